//! The SQLSTATEs that the simulated server answers with.

use std::fmt;

/// An error of a statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// The connection is gone; the client does not learn how the statement ended.
    pub const LOST: Self = Self("08006");
    /// PREPARE TRANSACTION after a notification, or with both kinds of one lock.
    pub const NOT_SUPPORTED: Self = Self("0A000");
    /// A text that jsonb does not hold.
    pub const UNTRANSLATABLE: Self = Self("22P05");
    /// A row of this key is there.
    pub const UNIQUE: Self = Self("23505");
    /// Not within a transaction block.
    pub const ACTIVE_TRANSACTION: Self = Self("25001");
    /// A server in recovery.
    pub const READ_ONLY: Self = Self("25006");
    /// The transaction has failed.
    pub const FAILED_TRANSACTION: Self = Self("25P02");
    /// The session stood idle in its transaction for too long.
    pub const IDLE_IN_TRANSACTION: Self = Self("25P03");
    /// Two transactions wait for each other.
    pub const DEADLOCK: Self = Self("40P01");
    /// There is no such prepared transaction.
    pub const UNDEFINED: Self = Self("42704");
    /// A prepared transaction of this name is there.
    pub const DUPLICATE: Self = Self("42710");
    /// The disk is full.
    pub const DISK_FULL: Self = Self("53100");
    /// `lock_timeout`.
    pub const LOCK_NOT_AVAILABLE: Self = Self("55P03");
    /// `statement_timeout`.
    pub const CANCELLED: Self = Self("57014");
    /// The session was terminated, or its server stops.
    pub const ADMIN_SHUTDOWN: Self = Self("57P01");
    /// `tpro.cancel` of a message that is not there.
    pub const NO_DATA: Self = Self("P0002");
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
}
