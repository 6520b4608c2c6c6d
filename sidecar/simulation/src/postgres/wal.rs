//! The log of a server: what a server is made of that begins again, or that was a standby.

use std::sync::Arc;

use super::{
    row::{Row, Service},
    sequence::AHEAD,
    xid::Xid,
};

/// A record of the log.
#[derive(Clone, Debug)]
pub enum Record {
    /// A transaction has written a row.
    Write(Service, Xid, Arc<Row>),
    /// A sequence may have given out all numbers up to this one.
    Sequence(Service, i64),
    /// A transaction was prepared under a name, and shares the bells of these services.
    Prepare(Xid, Arc<str>, Vec<Service>),
    /// A transaction was committed.
    Commit(Xid),
    /// A transaction was rolled back.
    Abort(Xid),
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct Wal {
    records: Vec<Record>,
    /// Records up to here are on the disk: no crash takes them away.
    flushed: usize,
}

impl Wal {
    /// Adds a record.
    pub fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Everything is on the disk.
    pub fn flush(&mut self) {
        self.flushed = self.records.len();
    }

    /// The number of records that are on the disk.
    pub fn flushed(&self) -> usize {
        self.flushed
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The records before a place.
    pub fn before(&self, end: usize) -> &[Record] {
        &self.records[..end.min(self.records.len())]
    }

    /// The place of the last record of a service's sequence, and the first number that it is for.
    pub fn last_sequence(&self, service: Service) -> Option<(usize, i64)> {
        self.records.iter().enumerate().rev().find_map(|(place, record)| match record {
            Record::Sequence(of, logged) if *of == service => Some((place, logged - AHEAD)),
            _ => None,
        })
    }

    /// Everything from a place on is lost.
    pub fn cut(&mut self, end: usize) {
        self.records.truncate(end);
        self.flush();
    }
}
