//! The locks of a service: of the leader, of the bell, of the maintenance, of each copy.

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::fault::{Fault, OrRaise, SqlState};
use crate::lock::{Lock, Tag};
use crate::service::{only_sidecar, schema_of};

/// `tpro.lead(service)`: makes this session the leader's, unless another has it.
#[pg_extern]
fn lead(service: &str) -> bool {
    own(service, Lock::Leader).0.try_hold()
}

/// `tpro.sleep(service)`: takes the bell, so that every publisher that commits from now on rings
/// it.
#[pg_extern]
fn sleep(service: &str) -> bool {
    own(service, Lock::Bell).0.try_hold()
}

/// `tpro.wake(service)`: lets the bell go, because a leader that is awake needs none.
#[pg_extern]
fn wake(service: &str) {
    own(service, Lock::Bell).0.let_go();
}

/// `tpro.maintain(service)`: lets this session, and no other, make and drop the service's
/// partitions.
#[pg_extern]
fn maintain(service: &str) -> bool {
    own(service, Lock::Maintenance).0.try_hold()
}

/// `tpro.present(service, copy_key)`: says that this copy lives, for as long as this session does.
#[pg_extern]
fn present(service: &str, copy_key: i32) -> bool {
    let (tag, _) = own(service, Lock::Copy(copy_key));
    // `is_present` of another session shares the lock for a moment, which is no reason to say no.
    const TRIES: u32 = 10;
    (0..TRIES).any(|_| {
        tag.try_hold() || {
            // SAFETY: sleeps for a millisecond; it raises nothing and allocates nothing.
            unsafe { pg_sys::pg_usleep(1000) };
            false
        }
    })
}

/// `tpro.is_present(service, copy_key)`: true if that copy lives.
#[pg_extern]
fn is_present(service: &str, copy_key: i32) -> bool {
    own(service, Lock::Copy(copy_key)).0.is_held_elsewhere()
}

/// `tpro.must_serve(service)`: for functions that run with the rights of their owner. It asks about
/// the user who calls them, whom `current_user` does not show there.
#[pg_extern]
fn must_serve(service: &str) {
    // SAFETY: reads a variable of the session.
    let caller = unsafe { pg_sys::GetOuterUserId() };
    permitted(service, caller).or_raise();
}

/// A lock of a service, and its schema, for a caller who is its sidecar; else it raises.
pub fn own(service: &str, lock: Lock) -> (Tag, pg_sys::Oid) {
    // SAFETY: reads a variable of the session.
    let caller = unsafe { pg_sys::GetUserId() };
    let schema = permitted(service, caller).or_raise();
    (Tag::new(schema, lock), schema)
}

fn permitted(service: &str, caller: pg_sys::Oid) -> Result<pg_sys::Oid, Fault> {
    // SAFETY: reads a flag in shared memory.
    if unsafe { pg_sys::RecoveryInProgress() } {
        // A standby would give the lock, although a session on the primary has it.
        return Err(Fault::new(
            SqlState::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            "a server in recovery serves no messages",
        )
        .hint("Connect to the primary."));
    }
    let schema = schema_of(service)?;
    only_sidecar(service, caller)?;
    Ok(schema.0)
}
