//! The rules that hold for a row only at its INSERT: `tpro.max_body`, the priority, and that the
//! transaction in the row is the one that inserts it.
//!
//! The rules of the columns' domains hold for a value by itself, so that a dump is restored under
//! any settings. These are checked by the trigger, which a restore makes after the data. A rule in
//! a WHEN of the trigger or in a CHECK of the table would cost more: PostgreSQL parses and plans it
//! again for each statement, which takes about 10 us.

use std::ffi::CStr;

use pgrx::datum::FromDatum;
use pgrx::prelude::*;
use tpro_wire::rules;

use crate::check::{body_too_large, required};
use crate::fault::{Fault, SqlState};
use crate::json::JsonShape;
use crate::settings;

/// Refuses a row of an outbox that breaks one of the rules: 54000 the body is too large, 22023 the
/// priority or the transaction.
///
/// # Safety
/// The relation is open, and the row is one of it.
pub unsafe fn check(outbox: pg_sys::Relation, row: pg_sys::HeapTuple) {
    // SAFETY: the caller's promise.
    let columns = unsafe { (*outbox).rd_att };
    // A column that is not there, or has values of another length, counts as null.
    let value = |column: &CStr, length: i16| {
        let mut is_null = true;
        // SAFETY: the caller's promise; the name is a terminated string, and a positive number is
        // that of a column.
        let datum = unsafe {
            let number = pg_sys::SPI_fnumber(columns, column.as_ptr());
            let attribute = (number > 0).then(|| (*columns).attrs.as_slice((*columns).natts as usize))?;
            if attribute.get(number as usize - 1)?.attlen != length {
                return None;
            }
            pg_sys::SPI_getbinval(row, columns, number, &raw mut is_null)
        };
        (!is_null).then_some(datum)
    };
    // SAFETY: the transaction's id is a variable of the session.
    let current = unsafe { pg_sys::GetTopFullTransactionId() }.value;
    if value(c"tx", 8).is_some_and(|tx| tx.value() as u64 != current) {
        another_transaction().raise();
    }
    // SAFETY: the column is a jsonb.
    let body = value(c"body", -1).and_then(|body| unsafe { JsonShape::from_datum(body, false) });
    if let Some(bytes) =
        body.map(|JsonShape(shape)| shape.bytes).filter(|bytes| *bytes > settings::max_body())
    {
        body_too_large(bytes, settings::max_body()).raise();
    }
    // SAFETY: as for `value`.
    let ranks = unsafe { pg_sys::SPI_fnumber(columns, c"priority".as_ptr()) } > 0;
    if ranks {
        required("priority", value(c"priority", 4).map(|priority| priority.value() as i32), rules::priority);
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
