//! The line between a client and its session in the database.

use std::collections::VecDeque;

use super::event::Owner;
use crate::{
    postgres::{Answer, Note, SqlState, Statement},
    time::Time,
};

/// The mark of a statement at its client.
pub type Tag = u64;

/// The end of a statement.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The mark of the statement.
    pub tag: Tag,
    /// Its answer.
    pub result: Result<Answer, SqlState>,
    /// When it ended, by the clock of the database.
    pub at: Time,
}

/// The messages that a statement settles.
pub type Settles = Vec<u128>;

/// A line.
pub struct Line {
    /// The one who has the session.
    pub owner: Owner,
    /// The process of that one; none for publishers and operators.
    pub process: Option<usize>,
    /// Statements that are not run yet.
    pub queue: VecDeque<(Tag, Statement)>,
    /// Those of them that have reached the server.
    pub arrived: usize,
    /// The statement that runs, and what it settles.
    pub busy: Option<(Tag, Settles)>,
    /// Answers on their way back.
    pub answers: VecDeque<Ended>,
    /// Notifications on their way to the client.
    pub notes: Vec<Note>,
    /// Nothing gets through.
    pub cut: bool,
    /// The backend stands still.
    pub frozen: bool,
    /// The server has ended the session.
    pub lost: bool,
    /// The client is gone.
    pub gone: bool,
}

impl Line {
    /// A line on which nothing is.
    pub fn new(owner: Owner, process: Option<usize>, cut: bool) -> Self {
        Self {
            owner,
            process,
            queue: VecDeque::new(),
            arrived: 0,
            busy: None,
            answers: VecDeque::new(),
            notes: Vec::new(),
            cut,
            frozen: false,
            lost: false,
            gone: false,
        }
    }
}

/// The messages that a statement settles.
pub fn settles(statement: &Statement) -> Settles {
    let replies = statement.settles().map(|(_, replies)| replies).unwrap_or_default();
    replies.iter().map(|reply| reply.uid).collect()
}
