//! The faults that are planted to see that a simulation finds them.
//!
//! Each is a place in the code of the product that `tpro_runtime::plant` switches, compiled only
//! with its feature `failpoints`. One of them is in the simulation's own code: the order of
//! `answer before outcome` is that of two `await`s in the product, and the simulation has a copy
//! that serves written a second time, without IO.

use std::time::{Duration, Instant};

use crate::world::Case;

/// The planted faults: the name of the switch, and the promise that is broken.
pub const PLANTS: [(&str, &str); 14] = [
    ("no second read", "who has taken the bell reads once more before the sleep"),
    ("sleep without a read", "who was refused the bell reads before it asks for it again"),
    ("settle by id without uid", "a reply is written for the message with its id and its uid"),
    ("cursor without open transactions", "the cursor keeps the transactions that are in progress"),
    ("accepted is a duplicate", "a message whose copy died without an outcome runs again"),
    ("answer before outcome", "an outcome is stored before it is answered"),
    ("deposed leader writes", "a leader that leads no more says nothing in the name of one"),
    ("lane without a bound", "a lane has a bounded number of messages in flight"),
    ("deaf while looking", "what is told to be due while a look is under way is looked for after it"),
    ("handler named too late", "a reply that is written after its handler was named in SQL goes to it"),
    ("last retry counted twice", "a message gives up one place in its lane, also in its last moment"),
    ("key before all is read", "a message with a key is given out when all that is visible was read"),
    ("key before the reply", "the next message with a key is sent when the reply is committed"),
    ("hold not asked for", "what is behind a message that has failed and holds its key is not sent"),
];

/// The find of a planted fault.
#[derive(Clone, Debug)]
pub struct Find {
    /// The seed that has shown it.
    pub seed: u64,
    /// Seeds that were tried, with that one.
    pub tried: u64,
    /// The time that they took.
    pub took: Duration,
    /// The first violation.
    pub broken: String,
}

/// Tries seeds from this one on, for so long and for so many at least, until one is broken. The
/// caller has planted the fault.
pub fn find(first: u64, limit: Duration, least: u64) -> Option<Find> {
    let begin = Instant::now();
    let mut tried = 0;
    while begin.elapsed() < limit || tried < least {
        let seed = first.wrapping_add(tried);
        tried += 1;
        if let Some(broken) = Case::of(seed).run().broken.into_iter().next() {
            return Some(Find { seed, tried, took: begin.elapsed(), broken });
        }
    }
    None
}
