//! The rules that hold for a row only at its INSERT: `tpro.max_body`, and that the transaction in
//! the row is the one that inserts it.
//!
//! The rules of the columns' domains hold for a value by itself, so that a dump is restored under
//! any settings. These two are checked by a trigger for each row, which a restore makes after the
//! data. Its WHEN decides, and calls no function of this library that release 0.1.0 did not have: a
//! session that loaded that library goes on publishing after an upgrade. The trigger's own function
//! runs only to refuse.

use pgrx::datum::FromDatum;
use pgrx::prelude::*;

use crate::check::body_too_large;
use crate::fault::{Fault, SqlState};
use crate::json::JsonShape;
use crate::settings;

/// The rule that a row breaks.
enum Refusal {
    Body(usize),
    Transaction,
}

/// The trigger function `tpro.refuse()`: BEFORE INSERT, FOR EACH ROW, on an outbox. It refuses the
/// row and never returns.
#[pg_extern]
fn refuse(fcinfo: pg_sys::FunctionCallInfo) {
    const WANTED: u32 =
        pg_sys::TRIGGER_EVENT_BEFORE | pg_sys::TRIGGER_EVENT_INSERT | pg_sys::TRIGGER_EVENT_ROW;
    const ASKED: u32 =
        pg_sys::TRIGGER_EVENT_TIMINGMASK | pg_sys::TRIGGER_EVENT_OPMASK | pg_sys::TRIGGER_EVENT_ROW;
    // SAFETY: PostgreSQL passes a valid call record. When its context is a TriggerData, the trigger
    // manager has made it, and its relation and its row are there until the trigger returns. Column
    // names are terminated strings.
    let row = unsafe {
        let trigger = (*fcinfo).context.cast::<pg_sys::TriggerData>();
        let called_by_trigger_manager =
            !trigger.is_null() && (*trigger).type_ == pg_sys::NodeTag::T_TriggerData;
        (called_by_trigger_manager && (*trigger).tg_event & ASKED == WANTED).then(|| {
            let columns = (*(*trigger).tg_relation).rd_att;
            let value = |name: &std::ffi::CStr| {
                let number = pg_sys::SPI_fnumber(columns, name.as_ptr());
                let mut is_null = true;
                let datum = pg_sys::SPI_getbinval((*trigger).tg_trigtuple, columns, number, &raw mut is_null);
                (!is_null).then_some(datum)
            };
            (value(c"tx"), value(c"body"))
        })
    };
    match row.map(|(tx, body)| refusal(tx, body)) {
        Some(Some(Refusal::Body(bytes))) => body_too_large(bytes, settings::max_body()).raise(),
        Some(_) => Fault::new(
            SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
            "tx must be the transaction that inserts the row, by which the dispatcher finds it",
        )
        .hint(
            "Leave the column out: then the row is a new message, and is sent. What a backup has is put back as it was with \
             session_replication_role = replica, and SELECT tpro.adopt(...) afterwards.",
        )
        .raise(),
        None => Fault::new(
            SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "tpro.refuse() is a trigger function, for BEFORE INSERT, FOR EACH ROW",
        )
        .raise(),
    }
}

fn refusal(tx: Option<pg_sys::Datum>, body: Option<pg_sys::Datum>) -> Option<Refusal> {
    // SAFETY: the argument is an xid8, which is passed by value; the other one is a jsonb. The
    // transaction's id is a variable of the session.
    let (current, body) = unsafe {
        (
            pg_sys::GetTopFullTransactionIdIfAny().value,
            body.and_then(|body| JsonShape::from_datum(body, false)),
        )
    };
    if tx.is_some_and(|tx| tx.value() as u64 != current) {
        return Some(Refusal::Transaction);
    }
    body.map(|JsonShape(shape)| shape.bytes).filter(|bytes| *bytes > settings::max_body()).map(Refusal::Body)
}
