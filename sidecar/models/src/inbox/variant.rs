//! The protocols that the model knows: as built, and simpler ones.

/// The kind of handler, or the simpler form that is to be refuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Inbox row, effect and outcome in one transaction.
    Transactional,
    /// Accepts and outcomes written apart from the handler's effects.
    Default,
    /// Default, and the handler puts one run off: it asks to be asked again later.
    PutsOff,
    /// No inbox.
    Stateless,
    /// Default, but all that was accepted counts as a duplicate.
    AcceptedMeansDuplicate,
    /// Default, but the table of outcomes has no primary key.
    WithoutOutcomeKey,
    /// Default, but an owner that is present counts as at work for ever.
    WithoutDeadline,
    /// Default, but a repeat is known by its uid alone.
    ByUidAlone,
    /// Transactional, but the inbox row has a transaction of its own, after the handler's.
    InboxOutsideTransaction,
    /// Transactional, but the inbox has no primary key.
    WithoutInboxKey,
    /// Transactional, but the server does not end the transaction of a copy that is frozen.
    WithoutIdleTimeout,
    /// Transactional, but no run is counted before it begins.
    Uncounted,
}
