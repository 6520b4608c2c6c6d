//! Prepared statements, kept for the life of the backend: the INSERTs of each sender.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::fault::{Fault, SqlState};
use crate::service::{quoted, schema_of};

/// The columns that an INSERT names beside those that every message gives, which an outbox of
/// release 0.1.0 has all of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `expires_at`, `priority` and `ordering_key`.
    pub ranked: bool,
    /// `on_reply`, which a publisher has no right to unless it is granted.
    pub handled: bool,
    /// `send_at`: of the table of what is sent later.
    pub later: bool,
}

/// The number of the columns that every message gives.
pub const PLAIN: usize = 9;
/// The place of `on_reply`.
const HANDLED: usize = 12;

/// The number of all columns.
pub const ALL: usize = 14;

/// The number of forms.
const FORMS: usize = 8;

/// The columns, each with its type. The number of its parameter is that of its place in every form.
const COLUMNS: [(&str, pg_sys::Oid); ALL] = [
    ("protocol", pg_sys::TEXTOID),
    ("space_name", pg_sys::TEXTOID),
    ("service_name", pg_sys::TEXTOID),
    ("entity", pg_sys::TEXTOID),
    ("method_name", pg_sys::TEXTOID),
    ("timeout", pg_sys::INT4OID),
    ("headers", pg_sys::JSONBOID),
    ("body", pg_sys::JSONBOID),
    ("reply_to", pg_sys::TEXTOID),
    ("expires_at", pg_sys::TIMESTAMPTZOID),
    ("priority", pg_sys::INT4OID),
    ("ordering_key", pg_sys::TEXTOID),
    ("on_reply", pg_sys::TEXTOID),
    ("send_at", pg_sys::TIMESTAMPTZOID),
];

impl Form {
    /// True if the INSERT names the column at this place.
    fn names(self, place: usize) -> bool {
        match place {
            0..PLAIN => true,
            PLAIN..HANDLED => self.ranked,
            HANDLED => self.handled,
            _ => self.later,
        }
    }

    /// The table, and the column of it that an earlier release does not have.
    fn table(self) -> (&'static CStr, Option<&'static CStr>) {
        match self {
            Self { later: true, .. } => (c"mq_later", Some(c"send_at")),
            Self { ranked: true, .. } => (c"mq_publish", Some(c"priority")),
            Self { handled: true, .. } => (c"mq_publish", Some(c"on_reply")),
            Self { .. } => (c"mq_publish", None),
        }
    }

    fn number(self) -> usize {
        usize::from(self.ranked) + 2 * usize::from(self.handled) + 4 * usize::from(self.later)
    }
}

type Plans = HashMap<Box<str>, pg_sys::SPIPlanPtr>;

thread_local! {
    // By form, and by sender. A plan of a service that was dropped stays; PostgreSQL analyses it
    // again, by name, when the service has been made again.
    static PLANS: RefCell<[Plans; FORMS]> = RefCell::default();
}

/// The plan of an INSERT into the outbox of the sender, with the parameters of `COLUMNS`. The
/// sender must exist, and SPI must be connected.
pub fn insert_of(sender: &str, form: Form) -> Result<pg_sys::SPIPlanPtr, Fault> {
    let kept = PLANS.with_borrow(|plans| plans[form.number()].get(sender).copied());
    if let Some(plan) = kept {
        return Ok(plan);
    }
    let plan = prepare(sender, form)?;
    PLANS.with_borrow_mut(|plans| plans[form.number()].insert(sender.into(), plan));
    Ok(plan)
}

fn prepare(sender: &str, form: Form) -> Result<pg_sys::SPIPlanPtr, Fault> {
    let (table, new) = form.table();
    if let Some(column) = new {
        must_have(sender, table, column)?;
    }
    let places = (0..ALL).filter(|place| form.names(*place));
    let names: Vec<&str> = places.clone().map(|place| COLUMNS[place].0).collect();
    let parameters: Vec<String> = places.map(|place| format!("${}", place + 1)).collect();
    let mut types = COLUMNS.map(|(_, kind)| kind);
    let statement = format!(
        "INSERT INTO {}.{} ({}) VALUES ({}) RETURNING id",
        quoted(&[sender, "_service"]),
        table.to_string_lossy(),
        names.join(", "),
        parameters.join(", ")
    );
    let failed =
        |what| Fault::new(SqlState::ERRCODE_INTERNAL_ERROR, format!("the INSERT could not be {what}"));
    let statement = CString::new(statement).map_err(|_| failed("written"))?;
    kept(&statement, &mut types).map_err(failed)
}

/// A plan that lives until the backend's end. SPI must be connected.
pub fn kept(statement: &CStr, types: &mut [pg_sys::Oid]) -> Result<pg_sys::SPIPlanPtr, &'static str> {
    // SAFETY: SPI is connected; statement and types outlive the call. There are as many types as
    // parameters, or more. The plan is generic: a statement that has its values as they are has
    // nothing to gain from them.
    unsafe {
        let plan = pg_sys::SPI_prepare_cursor(
            statement.as_ptr(),
            types.len() as i32,
            types.as_mut_ptr(),
            pg_sys::CURSOR_OPT_GENERIC_PLAN as i32,
        );
        if plan.is_null() {
            return Err("prepared");
        }
        if pg_sys::SPI_keepplan(plan) != 0 {
            return Err("kept");
        }
        Ok(plan)
    }
}

/// Refuses a service that is still as an earlier release has made it.
fn must_have(sender: &str, table: &CStr, column: &CStr) -> Result<(), Fault> {
    let schema = schema_of(sender)?;
    // SAFETY: lookups in the system caches, by terminated strings.
    let number = unsafe {
        let table = pg_sys::get_relname_relid(table.as_ptr(), schema.0);
        pg_sys::get_attnum(table, column.as_ptr())
    };
    if number > 0 {
        return Ok(());
    }
    let column = column.to_string_lossy();
    let fault = Fault::new(
        SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{sender}_service is as an earlier release has made it, which knew no {column}"),
    );
    Err(fault.hint(format!("SELECT tpro.upgrade_service('{sender}').")))
}
