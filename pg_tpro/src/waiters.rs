//! Waiters for replies, and the way in which they are woken: the bell the other way round.
//!
//! `LISTEN` does not work inside a function. So a waiter holds a lock in share mode that says what
//! it waits for, looks for the reply, and rests on the latch of its backend. When replies are
//! committed, the dispatcher's session asks the lock table who holds one of these locks, and sets
//! their latches. The order matters: the lock comes before the look, and the question after the
//! commit, so a waiter either sees the reply or is asked about.
//!
//! A latch that is set says no more than "look again". Any signal sets it, and a wait for a lock
//! may take it away. So a waiter looks by itself now and then, and waits for nobody who has died.

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::fault::{Fault, OrRaise, SqlState};
use crate::lead::own;
use crate::lock::{Lock, Tag};
use crate::version;

/// Ids share locks, by their remainder: the lock table of the server has room for some thousands.
const BUCKETS: i64 = 1024;
/// One waiter takes no more locks than these; then it waits for any reply.
const MOST: usize = 16;
/// The longest rest.
const LONGEST: f64 = 60.0;

/// `tpro.watch(schema, ids)`: from now on this transaction waits for replies of these messages.
#[pg_extern]
fn watch(schema: pg_sys::Oid, ids: Vec<i64>) {
    may_use(schema).or_raise();
    tags(schema, &ids).iter().for_each(Tag::share_in_transaction);
}

/// `tpro.unwatch(schema, ids)`: it does no more. It is for the statement that watches: PostgreSQL
/// hands the locks of a statement on to its transaction, which keeps them until its end.
#[pg_extern]
fn unwatch(schema: pg_sys::Oid, ids: Vec<i64>) {
    tags(schema, &ids).iter().for_each(Tag::share_no_more);
}

/// `tpro.rest(seconds)`: rests until somebody sets the latch of this backend, or for so long.
#[pg_extern]
fn rest(seconds: f64) {
    // As pg_sleep, for those who look into pg_stat_activity.
    const WHY: u32 = pg_sys::WaitEventTimeout::WAIT_EVENT_PG_SLEEP;
    const EVENTS: u32 = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let milliseconds = (seconds.clamp(0.0, LONGEST) * 1000.0).ceil() as std::ffi::c_long;
    // SAFETY: the latch is this backend's own, and lives as long as it.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, EVENTS as i32, milliseconds, WHY);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    check_for_interrupts!();
}

/// `tpro.replied(service, ids)`: wakes those who wait for replies of these messages, which are
/// committed. While nobody waits, it is one look into the lock table.
#[pg_extern]
fn replied(service: &str, ids: Vec<i64>) {
    let (tag, schema) = own(service, Lock::Waiters);
    if holders(&tag, |_| {}) == 0 {
        return;
    }
    let buckets = buckets(&ids).into_iter().map(Lock::Waiter);
    for lock in buckets.chain([Lock::AnyWaiter]) {
        holders(&Tag::new(schema, lock), wake);
    }
}

/// Refuses who may not use the schema, and so may see no reply there: he has nothing to wait for.
fn may_use(schema: pg_sys::Oid) -> Result<(), Fault> {
    if version::may_use_schema(schema) {
        return Ok(());
    }
    Err(Fault::new(
        SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
        "only who may use the schema of a service waits for its replies",
    )
    .hint("Wait for messages of a service whose replies you may read."))
}

/// The locks of one who waits for these.
fn tags(schema: pg_sys::Oid, ids: &[i64]) -> Vec<Tag> {
    let buckets = buckets(ids);
    let locks = match buckets.len() > MOST {
        true => vec![Lock::AnyWaiter],
        false => buckets.into_iter().map(Lock::Waiter).collect(),
    };
    [Lock::Waiters].into_iter().chain(locks).map(|lock| Tag::new(schema, lock)).collect()
}

/// The buckets of these ids, each once.
fn buckets(ids: &[i64]) -> Vec<u32> {
    let mut buckets: Vec<u32> = ids.iter().map(|id| id.rem_euclid(BUCKETS) as u32).collect();
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

/// Does something for each other session that shares this lock. Returns how many there are.
fn holders(tag: &Tag, act: impl Fn(pg_sys::VirtualTransactionId)) -> usize {
    let mut count = 0;
    // SAFETY: the tag is a valid lock tag; the array has `count` entries and is ours to free.
    unsafe {
        let first = pg_sys::GetLockConflicts(tag.as_ptr(), pg_sys::ExclusiveLock as i32, &raw mut count);
        let count = usize::try_from(count).unwrap_or_default();
        (0..count).for_each(|at| act(*first.add(at)));
        pg_sys::pfree(first.cast());
        count
    }
}

fn wake(waiter: pg_sys::VirtualTransactionId) {
    // SAFETY: an entry of the array of processes stays valid when its process ends; a latch that
    // another process has by then is set for nothing, which is allowed.
    unsafe {
        let process = version::process(waiter);
        if !process.is_null() {
            pg_sys::SetLatch(&raw mut (*process).procLatch);
        }
    }
}
