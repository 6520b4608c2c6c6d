//! Values as PostgreSQL writes and reads them. Its transaction ids are some numbers off from those of the simulation.

use std::{collections::BTreeMap, fmt::Write as _};

use tpro_simulation::postgres::{Snapshot, Xid};

/// The differences between both servers.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The real server's transaction ids are so much greater.
    pub offset: i64,
    /// The real server's pids, by the simulated ones.
    pub pids: BTreeMap<u32, i32>,
}

/// The ids of the first cursor, before any transaction.
const NEVER: u64 = 2;

impl Translation {
    /// A transaction id for the real server.
    pub fn xid(&self, xid: Xid) -> u64 {
        if xid.0 <= NEVER { xid.0 } else { xid.0.saturating_add_signed(self.offset) }
    }

    /// A transaction id from the real server.
    pub fn read_xid(&self, text: &str) -> Xid {
        let xid: u64 = text.parse().expect("is a transaction id");
        Xid(if xid <= NEVER { xid } else { xid.saturating_add_signed(-self.offset) })
    }

    /// A snapshot for the real server.
    pub fn snapshot(&self, snapshot: &Snapshot) -> String {
        let open: Vec<String> = snapshot.open().iter().map(|xid| self.xid(*xid).to_string()).collect();
        format!("'{}:{}:{}'", self.xid(snapshot.xmin()), self.xid(snapshot.xmax()), open.join(","))
    }

    /// A snapshot from the real server.
    pub fn read_snapshot(&self, text: &str) -> Snapshot {
        let mut parts = text.split(':');
        let mut part = || parts.next().expect("a snapshot has three parts");
        let (xmin, xmax) = (self.read_xid(part()), self.read_xid(part()));
        let open = part().split(',').filter(|xid| !xid.is_empty()).map(|xid| self.read_xid(xid)).collect();
        Snapshot::new(xmin, xmax, open)
    }
}

/// A uuid of version 7.
pub fn uuid(uid: u128) -> String {
    let hex = format!("{uid:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The uid that a uuid is.
pub fn read_uuid(text: &str) -> u128 {
    u128::from_str_radix(&text.replace('-', ""), 16).expect("is a uuid")
}

/// An array of values that are written already.
pub fn array<T>(values: &[T], kind: &str, write: impl Fn(&T) -> String) -> String {
    let mut text = String::from("ARRAY[");
    for (at, value) in values.iter().enumerate() {
        let _ = write!(text, "{}{}", if at > 0 { "," } else { "" }, write(value));
    }
    text + "]::" + kind + "[]"
}

/// A text, or NULL.
pub fn text(value: Option<&str>) -> String {
    value.map_or("NULL".to_owned(), |value| format!("'{}'", value.replace('\'', "''")))
}
