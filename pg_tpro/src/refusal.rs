//! The rules that hold for a row only at its INSERT: `tpro.max_body`, the priority, the ordering
//! key and its hold, the requests of a batch, the function for its reply, the time at which it is
//! sent, the form of its body if `tpro.check_bodies` asks for that, and that the transaction in the
//! row is the one that inserts it.
//!
//! The rules of the columns' domains hold for a value by itself, so that a dump is restored under
//! any settings, and no domain sees two columns. These are checked by the trigger, which a restore
//! makes after the data. A rule in a WHEN of the trigger or in a CHECK of the table would cost
//! more: PostgreSQL parses and plans it again for each statement, which takes about 10 us.

use std::ffi::CStr;

use pgrx::datum::FromDatum;
use pgrx::prelude::*;
use tpro_wire::rules;

use crate::bodies::{self, Published};
use crate::check::{accepted, body_too_large, required};
use crate::fault::{Fault, OrRaise, SqlState, passing_on};
use crate::json::{self, Elements, JsonShape, JsonText};
use crate::settings::CheckBodies;
use crate::{reply_function, settings, version};

/// A row that is being inserted.
pub struct Row {
    table: pg_sys::Relation,
    columns: pg_sys::TupleDesc,
    row: pg_sys::HeapTuple,
}

impl Row {
    /// The row of a trigger.
    ///
    /// # Safety
    /// The relation is open, and the row is one of it; both stay so while this lives.
    pub unsafe fn new(table: pg_sys::Relation, row: pg_sys::HeapTuple) -> Self {
        // SAFETY: the caller's promise.
        Self { table, columns: unsafe { (*table).rd_att }, row }
    }

    /// The value of a column. One that is not there, or has values of another length, counts as
    /// null.
    fn value(&self, column: &CStr, length: i16) -> Option<pg_sys::Datum> {
        let mut is_null = true;
        // SAFETY: the promise of `new`; the name is a terminated string, and a positive number is
        // that of a column.
        let datum = unsafe {
            let number = self.number(column)?;
            if version::length(self.columns, number as usize)? != length {
                return None;
            }
            pg_sys::SPI_getbinval(self.row, self.columns, number, &raw mut is_null)
        };
        (!is_null).then_some(datum)
    }

    /// The number of a column that is there.
    fn number(&self, column: &CStr) -> Option<i32> {
        // SAFETY: the promise of `new`; the name is a terminated string.
        let number = unsafe { pg_sys::SPI_fnumber(self.columns, column.as_ptr()) };
        (number > 0).then_some(number)
    }

    /// Microseconds since the begin of 2000, as PostgreSQL counts them.
    fn time(&self, column: &CStr) -> Option<i64> {
        self.value(column, 8).map(|time| time.value() as i64)
    }

    /// The value of a column of type text, with its number.
    fn text(&self, column: &CStr) -> Option<(i32, &str)> {
        let datum = self.value(column, -1)?;
        // SAFETY: the column is a text, and the row lives as long as this.
        Some((self.number(column)?, unsafe { <&str>::from_datum(datum, false) }?))
    }

    /// Refuses a row of an outbox that breaks one of the rules: 54000 the body is too large, 22023
    /// the priority, the ordering key, a batch, the form of on_reply or the transaction, 42883 or
    /// 42501 the function. `judged` says that body and function were judged when the row was
    /// published. Returns the row as it is to be kept.
    pub fn check(&self, judged: bool) -> pg_sys::HeapTuple {
        // SAFETY: the transaction's id is a variable of the session.
        let current = unsafe { pg_sys::GetTopFullTransactionId() }.value;
        if self.value(c"tx", 8).is_some_and(|tx| tx.value() as u64 != current) {
            another_transaction().raise();
        }
        if !judged {
            self.check_body();
            let is_batch = self.check_headers();
            if let Some(level) = settings::check_bodies() {
                self.check_fit(level, is_batch);
            }
        }
        if self.number(c"priority").is_some() {
            let priority = self.value(c"priority", 4).map(|priority| priority.value() as i32);
            required("priority", priority, rules::priority);
        }
        if let Some((_, key)) = self.text(c"ordering_key") {
            accepted(rules::ordering_key(key));
        }
        match self.text(c"on_reply") {
            Some((column, given)) if !judged => self.with_function(column, given),
            _ => self.row,
        }
    }

    /// The row with the function by the name that tpro.on_reply keeps as well.
    fn with_function(&self, column: i32, given: &str) -> pg_sys::HeapTuple {
        accepted(rules::on_reply(given));
        // SAFETY: the promise of `new`: the relation is that of a trigger.
        let schema = unsafe { (*(*self.table).rd_rel).relnamespace };
        passing_on(|| reply_function::checked(given, schema, |name| self.with(column, name)).or_raise())
    }

    /// A copy of the row with another value in a column, in the memory that was current when SPI
    /// was connected.
    fn with(&self, column: i32, value: pg_sys::Datum) -> pg_sys::HeapTuple {
        let (mut column, mut value) = (column, value);
        // SAFETY: the promise of `new`; number and value are of one column, and outlive the call.
        // SPI is connected.
        unsafe {
            pg_sys::SPI_modifytuple(
                self.table,
                self.row,
                1,
                &raw mut column,
                &raw mut value,
                std::ptr::null(),
            )
        }
    }

    /// Refuses a row that is to be sent later and breaks one of the rules: 54000 the body is too
    /// large, 22023 the priority, the ordering key, a batch, the form of on_reply or a time, 42883
    /// or 42501 the function. Returns the row as it is to be kept, and the time at which it is to
    /// be sent, in microseconds since the begin of 2000.
    pub fn check_later(&self) -> (pg_sys::HeapTuple, i64) {
        let row = self.check(false);
        let send_at = self.time(c"send_at");
        // SAFETY: it reads the clock.
        let now = unsafe { pg_sys::GetCurrentTimestamp() };
        // The infinite past is no time either.
        let ahead = send_at.map(|at| if at == i64::MIN { i64::MAX } else { at.saturating_sub(now) });
        required("send_at", ahead, rules::send_at);
        if let (Some(send_at), Some(expires_at)) = (send_at, self.time(c"expires_at")) {
            accepted(rules::expires_after_sending(send_at, expires_at));
        }
        (row, send_at.unwrap_or_default())
    }

    /// Headers that ask for a batch, or for a hold of the ordering key, are rare, and no others are
    /// read here. Returns true for a batch.
    fn check_headers(&self) -> bool {
        let Some(headers) = self.value(c"headers", -1) else { return false };
        // SAFETY: the column is a jsonb.
        let has = |word: &[u8]| unsafe { json::holds(headers, word) };
        // SAFETY: as above.
        let text = || unsafe { JsonText::from_datum(headers, false) }.map_or("", |JsonText(text)| text);
        let is_batch = has(b"batch") && rules::is_batch(text());
        if is_batch {
            self.check_batch();
        }
        if has(b"hold") && rules::holds_key(text()) {
            accepted(rules::held_key(self.text(c"ordering_key").is_some()));
        }
        is_batch
    }

    /// The journal of a call that is over has nothing to be refused.
    fn check_fit(&self, level: CheckBodies, is_batch: bool) {
        if self.value(c"direct", 1).is_some_and(|direct| direct.value() != 0) {
            return;
        }
        let target = [c"space_name", c"service_name", c"entity", c"method_name"];
        let target = target.map(|column| self.value(column, -1));
        let published = Published { target, body: self.value(c"body", -1), is_batch };
        passing_on(|| bodies::check(&published, level));
    }

    fn check_batch(&self) {
        // SAFETY: the column is a jsonb.
        let body = self.value(c"body", -1).and_then(|body| unsafe { Elements::from_datum(body, false) });
        // Another protocol has been refused by its domain.
        if let Some(Ok(protocol)) = self.text(c"protocol").map(|(_, protocol)| protocol.parse()) {
            accepted(rules::batch(protocol, body.and_then(|Elements(count)| count)));
        }
    }

    fn check_body(&self) {
        // SAFETY: the column is a jsonb.
        let body = self.value(c"body", -1).and_then(|body| unsafe { JsonShape::from_datum(body, false) });
        if let Some(bytes) =
            body.map(|JsonShape(shape)| shape.bytes).filter(|bytes| *bytes > settings::max_body())
        {
            body_too_large(bytes, settings::max_body()).raise();
        }
    }
}

fn another_transaction() -> Fault {
    Fault::new(
        SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
        "tx must be the transaction that inserts the row, by which the dispatcher finds it",
    )
    .hint(
        "Leave the column out: then the row is a new message, and is sent. What a backup has is put back as it was with \
         session_replication_role = replica, and SELECT tpro.adopt(...) afterwards.",
    )
}
