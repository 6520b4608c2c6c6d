//! The ways in which the service of the benchmark answers.

/// A way to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Without the inbox.
    Stateless,
    /// The message is accepted before the handler runs, and its outcome is kept.
    Handle,
    /// The inbox row, the effects and the outcome are one transaction.
    Transactional,
    /// As transactional, by a function in SQL.
    Sql,
}

impl Mode {
    /// Those that a program answers.
    pub const ALL: [Self; 3] = [Self::Stateless, Self::Handle, Self::Transactional];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Handle => "handle",
            Self::Transactional => "transactional",
            Self::Sql => "handler in SQL",
        }
    }

    /// The method of the entity `bench` that answers so.
    pub fn method(self) -> &'static str {
        match self {
            Self::Stateless => "echo",
            Self::Handle => "echo_kept",
            Self::Transactional => "echo_in_transaction",
            Self::Sql => "echo_in_sql",
        }
    }
}
