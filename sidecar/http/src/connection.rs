//! A connection that can be told to make room.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A TCP connection from a [`Listener`](crate::Listener). Once it is told to make room, every read
/// and write fails.
pub struct Connection {
    stream: TcpStream,
    told: Pin<Box<WaitForCancellationFutureOwned>>,
    seat: Arc<Seat>,
    _room: OwnedSemaphorePermit,
}

/// The listener's view of a connection.
pub(crate) struct Seat {
    since: Instant,
    /// The time of the last read, in milliseconds from `since`.
    heard: AtomicU64,
    leave: CancellationToken,
}

impl Seat {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), heard: AtomicU64::new(0), leave: CancellationToken::new() }
    }

    /// Ends the connection.
    pub(crate) fn make_room(&self) {
        self.leave.cancel();
    }

    /// The time since which nothing was read.
    pub(crate) fn silent_since(&self) -> Instant {
        self.since + std::time::Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    fn hears(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(passed, Ordering::Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, seat: Arc<Seat>, room: OwnedSemaphorePermit) -> Self {
        let told = Box::pin(seat.leave.clone().cancelled_owned());
        Self { stream, told, seat, _room: room }
    }

    /// The address at the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Fails once the connection was told to make room. Registers the task to be woken then.
    fn stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.told.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many connections")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stay(cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.seat.hears();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stay(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stay(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
