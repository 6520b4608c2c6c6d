//! Free ports on loopback.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use tpro_servers::account::my_uid;

use crate::failure::{Failure, Outcome};
use crate::paths::own_folder;

/// Below the ports that Linux gives to outgoing connections (32768 and up), so that no connection
/// of another process takes a port between its choice and its use.
const FIRST: u16 = 20_000;
/// The number of blocks, and the number of ports in each.
const BLOCKS: u16 = 12;
const BLOCK: u16 = 1_000;

/// The block of this process. Processes that run beside it have other blocks, so that a server that
/// is stopped for a while finds its port free when it comes back.
static MINE: LazyLock<Block> = LazyLock::new(Block::take);

/// Ports from this one on.
struct Block {
    first: u16,
    next: AtomicU16,
    /// Locked for as long as this process lives; none if all blocks were taken, and this one is
    /// shared.
    _lock: Option<File>,
}

impl Block {
    fn take() -> Self {
        let start = (std::process::id() % u32::from(BLOCKS)) as u16;
        let mut blocks = (0..BLOCKS).map(|n| (start + n) % BLOCKS);
        let locked = blocks.find_map(|block| Some((block, lock(block)?)));
        let (block, lock) = locked.map_or((start, None), |(block, lock)| (block, Some(lock)));
        let next = if lock.is_some() { 0 } else { (std::process::id() % u32::from(BLOCK)) as u16 };
        Self { first: FIRST + block * BLOCK, next: AtomicU16::new(next), _lock: lock }
    }
}

fn lock(block: u16) -> Option<File> {
    // A folder of all test processes of this user, in any checkout. In a folder that is surely ours
    // nobody else lays a link.
    let folder = PathBuf::from(format!("/var/tmp/tpro-test-ports-{}", my_uid()));
    own_folder(&folder, 0o700).ok()?;
    let file = File::create(folder.join(block.to_string())).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// A port that nobody listened on a moment ago. No two calls of one process return the same one
/// soon.
pub fn free_port() -> Outcome<u16> {
    for _ in 0..BLOCK {
        let port = MINE.first + MINE.next.fetch_add(1, Ordering::Relaxed) % BLOCK;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new(format!("no free port between {} and {}", MINE.first, MINE.first + BLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_taken_is_not_given_out_again() {
        let taken = (0..BLOCKS).find_map(|block| Some((block, lock(block)?)));
        let (block, mine) = taken.expect("a block of the twelve is free");
        assert!(lock(block).is_none());
        drop(mine);
        assert!(lock(block).is_some());
    }
}
