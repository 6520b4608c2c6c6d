//! Fast random numbers for ids and jitter. Not for secrets: span ids need to be apart, not
//! unguessable.

use std::cell::Cell;

thread_local! {
    /// One generator per thread, seeded once from the system, so that an id costs neither a lock
    /// nor a system call.
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

fn seed() -> [u64; 4] {
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
    let mut state = [0u64; 4];
    for (word, chunk) in state.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
    }
    state
}

/// The next 64 bits: xoshiro256++ (Blackman and Vigna,
/// <https://prng.di.unimi.it/xoshiro256plusplus.c>).
pub fn next_u64() -> u64 {
    STATE.with(|cell| {
        let mut s = cell.get();
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        cell.set(s);
        result
    })
}

/// So many random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0u8; N];
    for chunk in out.chunks_mut(8) {
        let word = next_u64().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    out
}

/// A number in `0.0..1.0`.
pub fn unit() -> f64 {
    // 53 bits: the precision of an f64.
    (next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
