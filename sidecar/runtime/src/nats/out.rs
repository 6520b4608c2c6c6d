//! The bytes on their way to the server.
//!
//! Those who have something to say put it here, and the connection writes all that is here at once:
//! while one write is under way the next one grows.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Bytes beyond which the next message is to wait. A message is put in whole, however large it is.
const FULL: usize = 256 * 1024;
/// Memory that is kept for the next bytes.
const KEPT: usize = 2 * FULL;

/// The bytes on their way.
#[derive(Default)]
pub(super) struct Out {
    bytes: Mutex<Vec<u8>>,
    /// There is a connection.
    here: AtomicBool,
    closed: AtomicBool,
    filled: Notify,
    emptied: Notify,
}

impl Out {
    /// Puts in what `write` writes.
    pub fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.lock();
        let was_empty = bytes.is_empty();
        write(&mut bytes);
        drop(bytes);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// True if the next message need not wait.
    pub fn has_room(&self) -> bool {
        self.lock().len() < FULL || self.is_closed()
    }

    /// Waits until the next message need not wait, or nothing is taken any more.
    pub async fn room(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            // From here on no change is missed.
            emptied.as_mut().enable();
            if self.has_room() {
                return;
            }
            emptied.await;
        }
    }

    /// Waits until the next message need not wait. False if there is no connection, and no room
    /// before there is one.
    pub async fn room_for_one(&self) -> bool {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            let here = self.here.load(Ordering::SeqCst);
            if self.has_room() || !here {
                return self.has_room();
            }
            emptied.await;
        }
    }

    /// There is a connection.
    pub fn arrive(&self) {
        self.here.store(true, Ordering::SeqCst);
    }

    /// Waits until something is here, and puts it in the place of `taken`. False if nothing is here
    /// and nothing comes any more.
    pub async fn take(&self, taken: &mut Vec<u8>) -> bool {
        loop {
            taken.clear();
            taken.shrink_to(KEPT);
            let mut filled = std::pin::pin!(self.filled.notified());
            filled.as_mut().enable();
            // In this order: what was put in before the end is written.
            let closed = self.is_closed();
            std::mem::swap(&mut *self.lock(), taken);
            if !taken.is_empty() {
                self.emptied.notify_waiters();
                return true;
            }
            if closed {
                return false;
            }
            filled.await;
        }
    }

    /// The connection is gone. All that is here is forgotten: it was meant for it.
    pub fn leave(&self) {
        self.here.store(false, Ordering::SeqCst);
        self.lock().clear();
        self.emptied.notify_waiters();
    }

    /// Nothing is taken any more. What is here is still written.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.filled.notify_one();
        self.emptied.notify_waiters();
    }

    /// Waits until nothing is taken any more.
    pub async fn closed(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.is_closed() {
                return;
            }
            emptied.await;
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_put_in_is_taken_at_once_and_in_order() {
        let (out, mut taken) = (Out::default(), Vec::new());
        assert_eq!(out.take(&mut taken).now_or_never(), None, "nothing is here");
        out.put(|bytes| bytes.extend_from_slice(b"one"));
        out.put(|bytes| bytes.extend_from_slice(b"two"));
        assert!(out.take(&mut taken).await);
        assert_eq!(taken, b"onetwo");
    }

    #[tokio::test]
    async fn who_comes_when_it_is_full_waits_until_it_is_taken_or_forgotten() {
        let (out, mut taken) = (Out::default(), Vec::new());
        let full = vec![0; FULL];
        out.put(|bytes| bytes.extend_from_slice(&full));
        assert_eq!(out.room().now_or_never(), None);
        assert!(out.take(&mut taken).await && taken.len() == FULL);
        assert_eq!(out.room().now_or_never(), Some(()));
        out.put(|bytes| bytes.extend_from_slice(&full));
        let (mut room, mut polled) = (std::pin::pin!(out.room()), 0);
        let waited = std::future::poll_fn(|cx| {
            polled += 1;
            let poll = room.as_mut().poll(cx);
            if polled == 1 {
                out.leave();
            }
            poll
        });
        waited.await;
        assert_eq!(polled, 2);
    }

    #[tokio::test]
    async fn without_a_connection_nobody_waits_for_room() {
        let out = Out::default();
        assert_eq!(out.room_for_one().now_or_never(), Some(true), "a few messages wait for the next one");
        let full = vec![0; FULL];
        out.put(|bytes| bytes.extend_from_slice(&full));
        assert_eq!(out.room_for_one().now_or_never(), Some(false));
        out.arrive();
        let (mut room, mut polled) = (std::pin::pin!(out.room_for_one()), 0);
        let room = std::future::poll_fn(|cx| {
            polled += 1;
            let poll = room.as_mut().poll(cx);
            if polled == 1 {
                out.leave();
            }
            poll
        });
        assert!(room.await, "what was full is forgotten");
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_is_taken() {
        let (out, mut taken) = (Out::default(), Vec::new());
        out.put(|bytes| bytes.push(1));
        out.close();
        assert!(out.take(&mut taken).await && taken == [1]);
        assert!(!out.take(&mut taken).await && taken.is_empty());
        assert_eq!(out.room().now_or_never(), Some(()), "nobody waits for ever");
    }
}
