//! A TCP proxy that can be told to be a bad network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::{Context, Outcome};

/// The fault of the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing: they pass.
    None,
    /// Each piece is late by this much. Pieces queue behind each other, as on a slow line.
    Latency(Duration),
    /// They are held back, and pass when the fault is over.
    Pause,
    /// They vanish, both ways; connections stay open and new ones are taken. A connection that has
    /// lost bytes is reset when the fault is over: TCP never goes on behind a gap.
    BlackHole,
    /// Every connection is reset, and every new one at once.
    Reset,
    /// A connection is closed after this many more bytes in either direction, in the middle of a
    /// message.
    CutAfter(u64),
}

/// Bytes that the kernel holds for a narrow line.
const NARROW: u32 = 16 << 10;

/// A proxy in front of one port on 127.0.0.1.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    line: Arc<Line>,
    listener: JoinHandle<()>,
}

/// The state that all connections of a proxy share.
struct Line {
    fault: watch::Receiver<Fault>,
    open: AtomicUsize,
    carried: AtomicU64,
    left: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of the port.
    pub async fn start(to: u16) -> Outcome<Proxy> {
        Proxy::of(TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the proxy")?, to)
    }

    /// Starts a proxy on another address than loopback: containers reach this machine there.
    pub async fn start_at(address: IpAddr, to: u16) -> Outcome<Proxy> {
        Proxy::of(TcpListener::bind((address, 0)).await.context("a port for the proxy")?, to)
    }

    /// Starts a proxy with little room in between: a sender that is faster than the line feels it
    /// soon, and not when the megabytes are full that the kernel would take for it.
    pub async fn start_narrow(to: u16) -> Outcome<Proxy> {
        let socket = TcpSocket::new_v4().context("a socket for the proxy")?;
        socket.set_recv_buffer_size(NARROW)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Proxy::of(socket.listen(64)?, to)
    }

    fn of(listener: TcpListener, to: u16) -> Outcome<Proxy> {
        let address = listener.local_addr()?;
        let (fault, seen) = watch::channel(Fault::None);
        let line = Arc::new(Line {
            fault: seen,
            open: AtomicUsize::new(0),
            carried: AtomicU64::new(0),
            left: AtomicU64::new(0),
        });
        let listening = line.clone();
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(listening.clone(), client, to));
            }
        });
        Ok(Proxy { address, fault, line, listener })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes the network bad, or with [`Fault::None`] good again.
    pub fn set(&self, fault: Fault) {
        if let Fault::CutAfter(bytes) = fault {
            self.line.left.store(bytes, Ordering::SeqCst);
        }
        self.fault.send_replace(fault);
    }

    /// The number of open connections.
    pub fn open(&self) -> usize {
        self.line.open.load(Ordering::SeqCst)
    }

    /// The number of bytes that have passed, both ways.
    pub fn carried(&self) -> u64 {
        self.line.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.fault.send_replace(Fault::Reset);
    }
}

/// Carries one connection until either side ends or the network cuts it.
async fn carry(line: Arc<Line>, client: TcpStream, to: u16) {
    line.open.fetch_add(1, Ordering::SeqCst);
    let _ = connection(&line, client, to).await;
    line.open.fetch_sub(1, Ordering::SeqCst);
}

async fn connection(line: &Line, mut client: TcpStream, to: u16) -> io::Result<()> {
    let mut fault = line.fault.clone();
    if *fault.borrow_and_update() == Fault::Reset {
        return client.set_zero_linger();
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let carried = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let lost = AtomicBool::new(false);
        let broken = |fault: &Fault| match fault {
            Fault::Reset => true,
            Fault::BlackHole => false,
            _ => lost.load(Ordering::SeqCst),
        };
        tokio::select! {
            // A bad line is looked at first, lest a byte pass behind a gap.
            biased;
            _ = fault.wait_for(broken) => Err(io::ErrorKind::ConnectionReset.into()),
            ended = async {
                tokio::try_join!(
                    pipe(line, &lost, client_read, server_write),
                    pipe(line, &lost, server_read, client_write)
                )
            } => ended.map(drop),
        }
    };
    if carried.is_err() {
        // Dropped with no linger, a connection is reset instead of closed. In good order it must
        // linger, to deliver the rest.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    carried
}

/// One direction. It ends with the end of the input, which it passes on as a half-closed
/// connection.
async fn pipe(
    line: &Line,
    lost: &AtomicBool,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
) -> io::Result<()> {
    let mut fault = line.fault.clone();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let mut piece = &buffer[..read];
        let now = *fault.borrow_and_update();
        if now != Fault::BlackHole && lost.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match now {
            Fault::None | Fault::Reset => {}
            Fault::Latency(late) => tokio::time::sleep(late).await,
            Fault::Pause => {
                // The sender is gone only when the proxy is: then the connection ends too.
                fault.wait_for(|fault| *fault != Fault::Pause).await.map_err(io::Error::other)?;
            }
            Fault::BlackHole => {
                lost.store(true, Ordering::SeqCst);
                continue;
            }
            Fault::CutAfter(_) => {
                let left = line.left.load(Ordering::SeqCst);
                piece = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                line.left.fetch_sub(piece.len() as u64, Ordering::SeqCst);
            }
        }
        to.write_all(piece).await?;
        line.carried.fetch_add(piece.len() as u64, Ordering::SeqCst);
        if piece.len() < read {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}
