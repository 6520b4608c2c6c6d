//! Random numbers for ids and jitter, from a seed of the system. Not for secrets: span ids need to
//! be apart, not unguessable.

use std::cell::RefCell;

use tpro_wire::random::Random;

thread_local! {
    /// One generator per thread, seeded once from the system, so that an id costs neither a lock
    /// nor a system call.
    static RANDOM: RefCell<Random> = RefCell::new(Random::from_bytes(seed()));
}

fn seed() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    if getrandom::fill(&mut bytes).is_err() {
        // Without the system's source the ids are still apart within the process: they come from
        // the time and the thread's own stack.
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let place = std::ptr::from_ref(&bytes).addr();
        bytes[..16].copy_from_slice(&time.as_nanos().to_le_bytes());
        bytes[16..24].copy_from_slice(&(place as u64).to_le_bytes());
        bytes[24] = 1;
    }
    bytes
}

/// The next number of this thread's generator.
pub fn with<T>(draw: impl FnOnce(&mut Random) -> T) -> T {
    RANDOM.with_borrow_mut(draw)
}

/// The next 64 bits.
pub fn next_u64() -> u64 {
    with(Random::next_u64)
}

/// So many random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    with(Random::bytes)
}
