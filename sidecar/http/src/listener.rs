//! A listener with a bounded number of connections.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::connection::{Connection, Seat};

/// The pause after the system gave no connection, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A TCP listener that holds a bounded number of connections.
pub struct Listener {
    listener: TcpListener,
    room: Arc<Semaphore>,
    seats: Vec<Weak<Seat>>,
    /// A connection that waits for room. It is kept here, because `accept` may be dropped and
    /// called again.
    waiting: Option<TcpStream>,
}

impl Listener {
    /// Bounds a listener to this number of connections.
    pub fn new(listener: TcpListener, connections: usize) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections)), seats: Vec::new(), waiting: None }
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection. When there is no room, the connection that has been silent for the
    /// longest time makes some. A call that is dropped loses no connection.
    pub async fn accept(&mut self) -> Connection {
        loop {
            if self.waiting.is_none() {
                self.waiting = Some(self.stream().await);
                self.make_room();
            }
            // Nobody closes the semaphore.
            let Ok(room) = self.room.clone().acquire_owned().await else {
                return std::future::pending().await;
            };
            if let Some(stream) = self.waiting.take() {
                let seat = Arc::new(Seat::new());
                self.seats.push(Arc::downgrade(&seat));
                return Connection::new(stream, seat, room);
            }
        }
    }

    fn make_room(&mut self) {
        self.seats.retain(|seat| seat.strong_count() > 0);
        if self.room.available_permits() > 0 {
            return;
        }
        let silent = self.seats.iter().filter_map(Weak::upgrade).min_by_key(|seat| seat.silent_since());
        if let Some(silent) = silent {
            silent.make_room();
            // It is told once only.
            self.seats.retain(|seat| Weak::as_ptr(seat) != Arc::as_ptr(&silent));
        }
    }

    async fn stream(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                // The error is one connection's own, or a shortage that may pass: neither ends the
                // service.
                Err(error) if is_of_one(&error) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A listener with room for so many, and its address.
    async fn listener(connections: usize) -> (Listener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        (Listener::new(listener, connections), address)
    }

    #[tokio::test]
    async fn the_one_that_has_been_silent_for_the_longest_time_makes_room() {
        let (mut listener, address) = listener(2).await;
        let mut ends = Vec::new();
        let mut held = Vec::new();
        for _ in 0..2 {
            ends.push(TcpStream::connect(address).await.expect("connected"));
            held.push(listener.accept().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The first speaks, so that the second has been silent for longer.
        ends[0].write_all(b"x").await.expect("sent");
        assert_eq!(held[0].read_u8().await.expect("received"), b'x');
        let mut second = held.remove(1);
        let reading = tokio::spawn(async move { second.read_u8().await.expect_err("no room").kind() });
        ends.push(TcpStream::connect(address).await.expect("connected"));
        held.push(listener.accept().await);
        assert_eq!(reading.await.expect("it ended"), io::ErrorKind::ConnectionAborted);
        for (end, byte) in [(0, b'a'), (2, b'b')] {
            ends[end].write_all(&[byte]).await.expect("sent");
        }
        assert_eq!(held[0].read_u8().await.expect("received"), b'a');
        assert_eq!(held[1].read_u8().await.expect("received"), b'b');
    }

    #[tokio::test]
    async fn a_wait_for_room_that_is_broken_off_loses_no_connection() {
        let (mut listener, address) = listener(1).await;
        let _first = TcpStream::connect(address).await.expect("connected");
        let first = listener.accept().await;
        let mut second = TcpStream::connect(address).await.expect("connected");
        // It has been told to make room, and its owner has not looked yet.
        let broken_off = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(broken_off.is_err());
        drop(first);
        let mut taken = listener.accept().await;
        second.write_all(b"x").await.expect("sent");
        assert_eq!(taken.read_u8().await.expect("received"), b'x');
    }
}
