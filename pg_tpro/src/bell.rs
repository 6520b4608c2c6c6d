//! The bell: wakes a sleeping dispatcher when a publish is committed, and costs nothing when it is
//! awake.
//!
//! A transaction that commits a NOTIFY holds a lock of the whole cluster through its WAL flush,
//! which ends group commit. So the trigger on `mq_publish` only notes that its service has
//! something to send. Just before the commit the bell's lock is tried in share mode. A session that
//! gets it knows that nobody else sleeps: the share lock goes when the commit is visible, so the
//! dispatcher can take the bell only then, and reads again after it. A session that does not get
//! the lock rings.
//!
//! A savepoint that is rolled back may leave a note behind, and then the bell rings for nothing.
//!
//! The same trigger is on `mq_later`, whose rows are sent later. A leader that is awake does not
//! read that table. So a commit tells it of the first time that is due soon, and of no other: what
//! is due after [`TOLD_AHEAD`] it finds by looking.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};

use pgrx::pg_sys::XactEvent;
use pgrx::prelude::*;
use tpro_wire::limits::TOLD_AHEAD;

use crate::backlog;
use crate::fault::{Fault, SqlState};
use crate::lock::{Lock, Tag};
use crate::refusal::Row;

thread_local! {
    // The services that this transaction has published for, by their schemas: hardly ever more than
    // one. The allocation is kept from transaction to transaction.
    static NOTED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    // By schema, the first time at which something that this transaction has published is to be
    // sent, in microseconds since the begin of 2000.
    static LATER: RefCell<Vec<(pg_sys::Oid, i64)>> = const { RefCell::new(Vec::new()) };
    // True while this transaction inserts rows that were judged when they were published.
    static JUDGED: Cell<bool> = const { Cell::new(false) };
}

/// The table of what is sent later.
const LATER_TABLE: &[u8] = b"mq_later";

unsafe extern "C-unwind" {
    // commands/async.h; not among pgrx's bindings.
    fn Async_Notify(channel: *const c_char, payload: *const c_char);
}

/// Asks PostgreSQL to tell of the end of each transaction and savepoint.
pub fn listen_to_transactions() {
    // SAFETY: the callbacks are guarded, live as long as the library (which is never unloaded), and
    // take no argument.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_end_of_savepoint), std::ptr::null_mut());
    }
}

/// The trigger function `tpro.bell()`: BEFORE INSERT, FOR EACH ROW, on an outbox. It refuses the
/// row or returns it, with the function of `on_reply` by its full name.
///
/// An outbox that release 0.1.0 has made, and nobody has upgraded yet, calls it AFTER INSERT, FOR
/// EACH STATEMENT. PostgreSQL ignores what it returns then.
#[pg_extern]
fn bell(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    const ASKED: u32 =
        pg_sys::TRIGGER_EVENT_TIMINGMASK | pg_sys::TRIGGER_EVENT_OPMASK | pg_sys::TRIGGER_EVENT_ROW;
    const EACH_ROW: u32 =
        pg_sys::TRIGGER_EVENT_BEFORE | pg_sys::TRIGGER_EVENT_INSERT | pg_sys::TRIGGER_EVENT_ROW;
    const EACH_STATEMENT: u32 = pg_sys::TRIGGER_EVENT_AFTER | pg_sys::TRIGGER_EVENT_INSERT;
    // SAFETY: PostgreSQL passes a valid call record; when its context is a TriggerData, the trigger
    // manager has made it, and its relation and its row are there until the trigger returns.
    let called = unsafe {
        let trigger = (*fcinfo).context.cast::<pg_sys::TriggerData>();
        let called_by_trigger_manager =
            !trigger.is_null() && (*trigger).type_ == pg_sys::NodeTag::T_TriggerData;
        called_by_trigger_manager
            .then(|| ((*trigger).tg_event & ASKED, (*trigger).tg_relation, (*trigger).tg_trigtuple))
    };
    let (outbox, row) = match called {
        Some((EACH_ROW, outbox, row)) => (outbox, row),
        Some((EACH_STATEMENT, outbox, _)) => (outbox, std::ptr::null_mut()),
        _ => Fault::new(
            SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "tpro.bell() is a trigger function, for BEFORE INSERT, FOR EACH ROW",
        )
        .raise(),
    };
    // A partition lies in the schema of its outbox: create_service() and the maintenance make it
    // there.
    // SAFETY: as above. The name of a table is a terminated string.
    let row = unsafe {
        let (table, judged) = (&*(*outbox).rd_rel, JUDGED.get());
        let is_later = CStr::from_ptr(table.relname.data.as_ptr()).to_bytes() == LATER_TABLE;
        let kept = if row.is_null() {
            note(table.relnamespace);
            row
        } else if is_later {
            let (kept, send_at) = Row::new(outbox, row).check_later();
            note_later(table.relnamespace, send_at);
            kept
        } else {
            let kept = Row::new(outbox, row).check(judged);
            note(table.relnamespace);
            kept
        };
        if !judged {
            backlog::check(outbox);
        }
        kept
    };
    // A pointer is a Datum as it is.
    row as i64
}

fn note(schema: pg_sys::Oid) {
    NOTED.with_borrow_mut(|noted| {
        if !noted.contains(&schema) {
            noted.push(schema);
        }
    });
}

fn note_later(schema: pg_sys::Oid, send_at: i64) {
    LATER.with_borrow_mut(|noted| match noted.iter_mut().find(|(of, _)| *of == schema) {
        Some((_, first)) => *first = send_at.min(*first),
        None => noted.push((schema, send_at)),
    });
}

/// `tpro.let_pass(rows)`: whether the rows that this transaction inserts next were judged already.
#[pg_extern]
fn let_pass(rows: bool) {
    JUDGED.set(rows);
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(event: XactEvent::Type, _argument: *mut c_void) {
    match event {
        XactEvent::XACT_EVENT_PRE_COMMIT => {
            each_noted(ring_if_asleep);
            while let Some((schema, send_at)) = LATER.with_borrow_mut(Vec::pop) {
                tell_if_soon(schema, send_at);
            }
        }
        // PostgreSQL refuses to prepare a transaction that notifies. A prepared one keeps the lock,
        // so that the dispatcher does not fall asleep before it is committed. If the dispatcher
        // slept already, its slow poll finds the row.
        XactEvent::XACT_EVENT_PRE_PREPARE => each_noted(|schema| {
            Tag::new(schema, Lock::Bell).try_share_in_transaction();
        }),
        // Nothing may be raised here.
        _ => forget(),
    }
}

/// Rows that come after a savepoint was rolled back to are judged. Nothing may be raised here.
#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_savepoint(
    event: pg_sys::SubXactEvent::Type,
    _savepoint: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        let _ = JUDGED.try_with(|judged| judged.set(false));
    }
}

/// Takes the notes one by one, so that an error in the middle leaves nothing borrowed.
fn each_noted(mut act: impl FnMut(pg_sys::Oid)) {
    while let Some(schema) = NOTED.with_borrow_mut(Vec::pop) {
        act(schema);
    }
}

fn forget() {
    // Not `with_borrow_mut`, which could panic.
    let _ = NOTED.try_with(|noted| {
        if let Ok(mut noted) = noted.try_borrow_mut() {
            noted.clear();
        }
    });
    let _ = LATER.try_with(|noted| {
        if let Ok(mut noted) = noted.try_borrow_mut() {
            noted.clear();
        }
    });
    let _ = JUDGED.try_with(|judged| judged.set(false));
}

fn ring_if_asleep(schema: pg_sys::Oid) {
    let bell = Tag::new(schema, Lock::Bell);
    // A session shares what it holds itself. A dispatcher that publishes, by a trigger on its
    // replies, rings itself.
    if bell.try_share_in_transaction() && !bell.is_held_here() {
        return;
    }
    // Not the channel of 0.1.0: copies of the Go system listen to it, and end at what they hear.
    notify(b"published_in_", schema, c"");
}

/// Tells the leader when the first of the messages is due, in microseconds since the begin of 2000,
/// if that is soon.
fn tell_if_soon(schema: pg_sys::Oid, send_at: i64) {
    // SAFETY: it reads the clock.
    let ahead = send_at.saturating_sub(unsafe { pg_sys::GetCurrentTimestamp() });
    if ahead > i64::try_from(TOLD_AHEAD.as_micros()).unwrap_or(i64::MAX) {
        return;
    }
    if let Ok(due) = CString::new(send_at.to_string()) {
        notify(b"due_in_", schema, &due);
    }
}

fn notify(channel: &[u8], schema: pg_sys::Oid, payload: &CStr) {
    // SAFETY: before the commit the catalogue can still be read; the name, if the schema still
    // exists, is a terminated string in the transaction's memory.
    let name = unsafe {
        let name = pg_sys::get_namespace_name(schema);
        (!name.is_null()).then(|| CStr::from_ptr(name))
    };
    // A schema that this transaction has dropped has no dispatcher.
    let Some(name) = name else { return };
    let channel = [channel, name.to_bytes_with_nul()].concat();
    // SAFETY: both are terminated strings, which PostgreSQL copies; nothing in the closure needs to
    // be dropped if it raises an error, which the guard turns into a panic.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| Async_Notify(channel.as_ptr().cast(), payload.as_ptr()));
    }
}
