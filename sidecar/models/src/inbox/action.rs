//! The steps of copies, of the server and of fate.

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A copy takes a delivery; if it is at work on the message, that joins or is refused.
    Take(usize, usize),
    /// It inserts the run that it bids for.
    Insert(usize),
    /// It loses its session while it does, and learns nothing.
    LoseInsert {
        /// The copy.
        who: usize,
        /// The row is there all the same.
        committed: bool,
    },
    /// It looks at what is known and decides.
    Look(usize),
    /// It counts a run of a transactional handler.
    Count(usize),
    /// The handler has its effect.
    Effect(usize),
    /// The handler puts the run off, and the copy notes in the inbox that the run is over.
    PutOff(usize),
    /// The outcome is written.
    Record(usize),
    /// The answer is sent.
    Answer(usize),
    /// The handler's time is over, and the copy stops it.
    Stop(usize),
    /// It learns that its transaction was ended.
    LearnUndone(usize),
    /// The last run's deadline passes.
    Expire,
    /// The copy dies, and another process starts in its place.
    Crash(usize),
    /// The server learns that the dead process is gone.
    EndGhost,
    /// SIGSTOP.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// The server ends the open transaction of a copy that says nothing.
    EndIdle(usize),
    /// The copy loses the session that holds its presence, and goes on.
    LosePresence(usize),
    /// It has a session again.
    Appear(usize),
}
