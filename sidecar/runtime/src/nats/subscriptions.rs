//! The subscriptions of a client, and the messages of each that wait to be read.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{block::Digits, message::Message, out::Out};

/// Messages of one subscription that wait to be read; a message that does not fit is dropped
/// without a word on the wire. Twice the default of `IN_FLIGHT_MAX`, since every request in flight
/// may get a reply and a "working".
const MESSAGES: usize = 8192;

/// All subscriptions of a client.
pub(super) struct Subscriptions {
    table: Mutex<Table>,
    out: Arc<Out>,
}

#[derive(Default)]
struct Table {
    last: u64,
    /// There is a connection, and it has all of them.
    joined: bool,
    closed: bool,
    by_number: HashMap<u64, Arc<Queue>>,
}

/// The messages of a subscription that wait to be read.
pub(super) struct Queue {
    number: u64,
    subject: String,
    group: Option<String>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    reader: Option<Waker>,
    /// The server sends no more. What it has sent is still read.
    left: bool,
    closed: bool,
    /// It is full, and that was told.
    full: bool,
}

/// The reading of many messages in a row.
pub(super) struct Delivery<'s> {
    table: &'s Table,
    /// The subscription of the message before: the next one is often of the same.
    last: Option<Arc<Queue>>,
    /// The readers to be woken when all are put.
    readers: Vec<Waker>,
}

/// A message could not be put to the others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub subject: String,
    /// It is the first one since there was room.
    pub is_first: bool,
}

impl Subscriptions {
    /// None so far. The server hears of them by what is put out.
    pub fn new(out: Arc<Out>) -> Self {
        Self { table: Mutex::default(), out }
    }

    /// Makes a subscription, also with each connection to come.
    pub fn add(&self, subject: String, group: Option<String>) -> Arc<Queue> {
        let mut table = self.lock();
        table.last += 1;
        let waiting = Mutex::new(Waiting { closed: table.closed, ..Waiting::default() });
        let queue = Arc::new(Queue { number: table.last, subject, group, waiting });
        table.by_number.insert(queue.number, queue.clone());
        if table.joined {
            self.out.put(|bytes| queue.write(bytes));
        }
        queue
    }

    /// Tells the server to send no more to a subscription. What has come, and what is on its way,
    /// is still delivered.
    pub fn leave(&self, queue: &Queue) {
        let table = self.lock();
        let was_left = std::mem::replace(&mut queue.lock().left, true);
        if table.joined && !was_left {
            self.out.put(|bytes| write_unsubscribe(bytes, queue.number));
        }
    }

    /// Ends a subscription.
    pub fn remove(&self, queue: &Queue) {
        self.leave(queue);
        self.lock().by_number.remove(&queue.number);
    }

    /// Takes a new connection: the bytes by which it gets all subscriptions. Those to come ask for
    /// themselves.
    pub fn join(&self) -> Vec<u8> {
        let mut table = self.lock();
        table.joined = true;
        let mut bytes = Vec::new();
        for queue in table.by_number.values().filter(|queue| !queue.lock().left) {
            queue.write(&mut bytes);
        }
        bytes
    }

    /// The connection is gone.
    pub fn part(&self) {
        self.lock().joined = false;
    }

    /// Nothing comes any more.
    pub fn close(&self) {
        let mut table = self.lock();
        (table.joined, table.closed) = (false, true);
        for queue in table.by_number.values() {
            let mut waiting = queue.lock();
            waiting.closed = true;
            if let Some(reader) = waiting.reader.take() {
                reader.wake();
            }
        }
    }

    /// Delivers messages in a row. Their readers are woken at the end, and find all of them.
    pub fn deliver<R>(&self, put: impl FnOnce(&mut Delivery<'_>) -> R) -> R {
        let table = self.lock();
        let mut delivery = Delivery { table: &table, last: None, readers: Vec::new() };
        let result = put(&mut delivery);
        let readers = delivery.readers;
        drop(table);
        readers.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery<'_> {
    /// Puts a message to those of its subscription. One of a subscription that has ended is
    /// nobody's.
    pub fn put(&mut self, number: u64, message: Message) -> Result<(), Full> {
        if self.last.as_ref().is_none_or(|queue| queue.number != number) {
            self.last = self.table.by_number.get(&number).cloned();
        }
        let Some(queue) = &self.last else { return Ok(()) };
        self.readers.extend(queue.put(message)?);
        Ok(())
    }
}

impl Queue {
    /// Puts a message to the others. Returns the reader, if it waits.
    fn put(&self, message: Message) -> Result<Option<Waker>, Full> {
        let mut waiting = self.lock();
        if waiting.messages.len() >= MESSAGES {
            let is_first = !std::mem::replace(&mut waiting.full, true);
            return Err(Full { subject: self.subject.clone(), is_first });
        }
        waiting.messages.push_back(message);
        Ok(waiting.reader.take())
    }

    /// Takes all that wait, into a place that is empty.
    pub fn take(&self, taken: &mut VecDeque<Message>) {
        self.lock().give(taken);
    }

    /// Takes all that wait, or waits itself if nothing is here. `None` at the end.
    pub fn poll_take(&self, cx: &Context<'_>, taken: &mut VecDeque<Message>) -> Poll<Option<()>> {
        let mut waiting = self.lock();
        if waiting.give(taken) {
            return Poll::Ready(Some(()));
        }
        if waiting.closed {
            return Poll::Ready(None);
        }
        if waiting.reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
            waiting.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// `SUB <subject> [queue group] <number>`
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"SUB ");
        bytes.extend_from_slice(self.subject.as_bytes());
        if let Some(group) = &self.group {
            bytes.push(b' ');
            bytes.extend_from_slice(group.as_bytes());
        }
        bytes.push(b' ');
        bytes.extend_from_slice(Digits::of(self.number).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Gives all messages away. False if there are none.
    fn give(&mut self, taken: &mut VecDeque<Message>) -> bool {
        let any = !self.messages.is_empty();
        if any {
            self.full = false;
            std::mem::swap(&mut self.messages, taken);
        }
        any
    }
}

/// `UNSUB <number>`
fn write_unsubscribe(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(b"UNSUB ");
    bytes.extend_from_slice(Digits::of(number).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::block::Block;

    fn message() -> Message {
        Message::new("a", None, &Block::default(), b"")
    }

    async fn said(out: &Out) -> String {
        let mut taken = Vec::new();
        out.put(|bytes| bytes.push(b'.'));
        out.take(&mut taken).await;
        String::from_utf8(taken).expect("is text")
    }

    #[tokio::test]
    async fn the_server_hears_of_a_subscription_once_with_each_connection() {
        let out = Arc::new(Out::default());
        let all = Subscriptions::new(out.clone());
        let early = all.add("a".into(), None);
        assert_eq!(said(&out).await, ".", "there is no connection");
        assert_eq!(all.join(), b"SUB a 1\r\n");
        let grouped = all.add("b".into(), Some("g".into()));
        assert_eq!(said(&out).await, "SUB b g 2\r\n.");
        all.leave(&grouped);
        all.remove(&grouped);
        assert_eq!(said(&out).await, "UNSUB 2\r\n.");
        all.part();
        let late = all.add("c".into(), None);
        all.remove(&early);
        assert_eq!(said(&out).await, ".");
        assert_eq!(all.join(), b"SUB c 3\r\n");
        drop(late);
    }

    #[test]
    fn what_comes_after_a_subscription_was_left_is_still_delivered() {
        let all = Subscriptions::new(Arc::default());
        let queue = all.add("a".into(), None);
        all.leave(&queue);
        assert_eq!(all.deliver(|all| all.put(1, message())), Ok(()));
        let (mut taken, cx) = (VecDeque::new(), Context::from_waker(Waker::noop()));
        assert_eq!(queue.poll_take(&cx, &mut taken), Poll::Ready(Some(())));
        assert_eq!(taken.len(), 1);
        taken.clear();
        assert_eq!(queue.poll_take(&cx, &mut taken), Poll::Pending);
        all.close();
        assert_eq!(queue.poll_take(&cx, &mut taken), Poll::Ready(None));
    }

    #[test]
    fn a_message_too_many_is_dropped_and_told_once() {
        let all = Subscriptions::new(Arc::default());
        let queue = all.add("a".into(), None);
        let put = |number| all.deliver(|all| all.put(number, message()));
        for _ in 0..MESSAGES {
            assert_eq!(put(1), Ok(()));
        }
        let full = |is_first| Err(Full { subject: "a".into(), is_first });
        assert_eq!([put(1), put(1)], [full(true), full(false)]);
        let mut taken = VecDeque::new();
        assert!(queue.poll_take(&Context::from_waker(Waker::noop()), &mut taken).is_ready());
        assert_eq!((taken.len(), put(1)), (MESSAGES, Ok(())));
        assert_eq!(put(7), Ok(()), "nobody's");
    }
}
