//! Random bytes, from the operating system but not by a system call for each row.

use std::cell::RefCell;

use crate::fault::{Fault, OrRaise, SqlState};

const POOL: usize = 1024;

struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

thread_local! {
    // A backend's own: it is filled at the first use, which is after the fork from the postmaster,
    // so that no two backends hand out the same bytes.
    static RANDOM: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL }) };
}

/// `N` bytes that nobody has got before. `N` is at most 64.
pub fn random<const N: usize>() -> [u8; N] {
    const { assert!(N <= 64) };
    RANDOM
        .with_borrow_mut(|pool| {
            if pool.used + N > POOL {
                getrandom::fill(&mut pool.bytes).map_err(|_| {
                    Fault::new(SqlState::ERRCODE_SYSTEM_ERROR, "the operating system gives no random bytes")
                })?;
                pool.used = 0;
            }
            let mut taken = [0; N];
            taken.copy_from_slice(&pool.bytes[pool.used..pool.used + N]);
            pool.used += N;
            Ok(taken)
        })
        .or_raise()
}
