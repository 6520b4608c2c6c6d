//! The locks of a service: lock tags that SQL cannot make.
//!
//! SQL's advisory locks are open to everybody: an unprivileged role could take the leader's lock
//! and stop all dispatch. The locks here are of the same kind (`LOCKTAG_ADVISORY`, so that
//! `pg_locks` shows them), but of a class that `pg_advisory_lock` never uses (it has 1 and 2). So
//! nobody can take them by SQL. Their holder can still drop them: `pg_advisory_unlock_all()` and
//! `DISCARD ALL` let them go, so a leader's session must run neither.

use pgrx::pg_sys;

use crate::version;

/// A lock of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Held by the leader of the service, for its session.
    Leader,
    /// Held exclusively by the sleeping leader, shared by transactions that are committing a
    /// publish.
    Bell,
    /// Held by the session that makes and drops partitions of the service.
    Maintenance,
    /// Held by a living copy of the service, for a session.
    Copy(i32),
    /// Shared by all who wait for a reply to the service.
    Waiters,
    /// Shared by those who wait for a reply to one of these messages.
    Waiter(u32),
    /// Shared by those who wait for a reply to any of many messages.
    AnyWaiter,
}

/// The tag of a lock: it names the service by its schema.
#[derive(Clone, Copy, Debug)]
pub struct Tag(pg_sys::LOCKTAG);

impl Tag {
    /// The tag of this lock of the service whose schema this is.
    pub fn new(schema: pg_sys::Oid, lock: Lock) -> Self {
        let (kind, class) = match lock {
            Lock::Leader => (1, 3),
            Lock::Bell => (2, 3),
            Lock::Maintenance => (3, 3),
            Lock::Copy(key) => (key.cast_unsigned(), 4),
            Lock::Waiter(bucket) => (bucket, 5),
            Lock::Waiters => (1, 6),
            Lock::AnyWaiter => (2, 6),
        };
        Self(pg_sys::LOCKTAG {
            // SAFETY: a variable of PostgreSQL that is set once, before any function can be called.
            locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
            locktag_field2: schema.to_u32(),
            locktag_field3: kind,
            locktag_field4: class,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            // The lock method of user locks: its session locks outlive a transaction that fails.
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        })
    }

    /// Takes the lock for this session, if nobody else has it. Taking it again changes nothing.
    pub fn try_hold(&self) -> bool {
        match self.try_acquire(pg_sys::ExclusiveLock, true) {
            pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => false,
            // PostgreSQL counts; one release must be enough.
            pg_sys::LockAcquireResult::LOCKACQUIRE_ALREADY_HELD => self.release(pg_sys::ExclusiveLock),
            _ => true,
        }
    }

    /// Lets the lock go, if this session has it.
    pub fn let_go(&self) {
        // Releasing a lock that is not held would be a warning for the user.
        if self.is_held_here() {
            self.release(pg_sys::ExclusiveLock);
        }
    }

    /// True if this session has the lock exclusively.
    pub fn is_held_here(&self) -> bool {
        // SAFETY: the tag is a valid lock tag.
        unsafe { version::lock_is_held_here(&self.0, pg_sys::ExclusiveLock as i32) }
    }

    /// Shares the lock until the transaction has ended, if nobody has it exclusively.
    pub fn try_share_in_transaction(&self) -> bool {
        self.try_acquire(pg_sys::ShareLock, false) != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }

    /// Shares the lock, which nobody takes exclusively, until the transaction has ended or
    /// [`Self::share_no_more`] is called as often.
    pub fn share_in_transaction(&self) {
        self.try_acquire(pg_sys::ShareLock, false);
    }

    /// Undoes one [`Self::share_in_transaction`] of the same statement, if there was one.
    pub fn share_no_more(&self) {
        // SAFETY: the tag is a valid lock tag. Releasing a lock that is not held would be a warning
        // for the user.
        unsafe {
            if version::lock_is_held_here(&self.0, pg_sys::ShareLock as i32) {
                pg_sys::LockRelease(&self.0, pg_sys::ShareLock as i32, false);
            }
        }
    }

    /// The tag as PostgreSQL takes it.
    pub fn as_ptr(&self) -> *const pg_sys::LOCKTAG {
        &raw const self.0
    }

    /// True if another session has the lock exclusively.
    pub fn is_held_elsewhere(&self) -> bool {
        match self.try_acquire(pg_sys::ShareLock, true) {
            pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => true,
            _ => {
                self.release(pg_sys::ShareLock);
                false
            }
        }
    }

    fn try_acquire(&self, mode: u32, session: bool) -> pg_sys::LockAcquireResult::Type {
        // SAFETY: the tag is a valid lock tag, and `dontWait` is true: nothing waits here, so that
        // no waiter holds back xmin and no deadlock can come about.
        unsafe { pg_sys::LockAcquire(&self.0, mode as i32, session, true) }
    }

    fn release(&self, mode: u32) -> bool {
        // SAFETY: the tag is a valid lock tag, of a session lock that this session has.
        unsafe { pg_sys::LockRelease(&self.0, mode as i32, true) }
    }
}
