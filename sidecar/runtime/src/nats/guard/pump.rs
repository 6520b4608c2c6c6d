//! The pump between the client library and a server, in both directions.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_buf},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::timeout,
};

use crate::nats::filter::{Filter, Heard, NotNats};

/// Bytes read at a time.
const READ: usize = 64 * 1024;
/// The longest time for the end of a connection.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// The reason why a connection cannot be made, or has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    NotNats(#[from] NotNats),
    #[error("it wants TLS")]
    Tls,
}

/// Carries from the client to the server, until the client closes.
pub(super) async fn up(from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut from = BufReader::with_capacity(READ, from);
    if copy_buf(&mut from, &mut to).await.is_ok() {
        let _ = timeout(SHUTDOWN, to.shutdown()).await;
    }
}

/// Carries from the server to the client all that passes the filter, until the server closes.
/// `hear` is told the news first.
pub(super) async fn down(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut hear: impl FnMut(Heard) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let (mut filter, mut input) = (Filter::default(), BytesMut::with_capacity(READ));
    let (mut chunks, mut heard) = (Vec::<Bytes>::new(), Vec::new());
    loop {
        input.reserve(READ);
        if from.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let passed = filter.pass(&mut input, |chunk| chunks.push(chunk), |news| heard.push(news));
        for news in heard.drain(..) {
            hear(news)?;
        }
        for mut chunk in chunks.drain(..) {
            to.write_all_buf(&mut chunk).await?;
        }
        passed?;
    }
}
