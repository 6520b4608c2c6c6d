//! The prepared INSERTs of each sender, kept for the life of the backend.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::fault::{Fault, SqlState};
use crate::service::{quoted, schema_of};

/// The columns that an INSERT names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The columns that nearly every message gives. An outbox of release 0.1.0 has all of them.
    Plain,
    /// Those of `Plain`, and `expires_at` and `priority`.
    Ranked,
    /// Those of `Ranked`, and `send_at`: of the table of what is sent later.
    Later,
}

/// The number of parameters of [`Form::Plain`].
pub const PLAIN: usize = 9;
/// The number of parameters of [`Form::Ranked`].
const RANKED: usize = 11;

/// The number of all parameters.
pub const ALL: usize = 12;

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
    ("send_at", pg_sys::TIMESTAMPTZOID),
];

impl Form {
    fn columns(self) -> &'static [(&'static str, pg_sys::Oid)] {
        match self {
            Self::Plain => &COLUMNS[..PLAIN],
            Self::Ranked => &COLUMNS[..RANKED],
            Self::Later => &COLUMNS,
        }
    }

    /// The table, and the column of it that an earlier release does not have.
    fn table(self) -> (&'static CStr, Option<&'static CStr>) {
        match self {
            Self::Plain => (c"mq_publish", None),
            Self::Ranked => (c"mq_publish", Some(c"priority")),
            Self::Later => (c"mq_later", Some(c"send_at")),
        }
    }
}

type Plans = HashMap<Box<str>, pg_sys::SPIPlanPtr>;

thread_local! {
    // By sender. A plan of a service that was dropped stays; PostgreSQL analyses it again, by name,
    // when the service has been made again.
    static PLAIN_PLANS: RefCell<Plans> = RefCell::new(HashMap::new());
    static RANKED_PLANS: RefCell<Plans> = RefCell::new(HashMap::new());
    static LATER_PLANS: RefCell<Plans> = RefCell::new(HashMap::new());
}

/// The plan of an INSERT into the outbox of the sender, with the columns of this form in the order
/// of `COLUMNS`. The sender must exist, and SPI must be connected.
pub fn insert_of(sender: &str, form: Form) -> Result<pg_sys::SPIPlanPtr, Fault> {
    let plans = match form {
        Form::Plain => &PLAIN_PLANS,
        Form::Ranked => &RANKED_PLANS,
        Form::Later => &LATER_PLANS,
    };
    if let Some(plan) = plans.with_borrow(|plans| plans.get(sender).copied()) {
        return Ok(plan);
    }
    let plan = prepare(sender, form)?;
    plans.with_borrow_mut(|plans| plans.insert(sender.into(), plan));
    Ok(plan)
}

fn prepare(sender: &str, form: Form) -> Result<pg_sys::SPIPlanPtr, Fault> {
    let (table, new) = form.table();
    if let Some(column) = new {
        must_have(sender, table, column)?;
    }
    let (names, mut types): (Vec<&str>, Vec<pg_sys::Oid>) = form.columns().iter().copied().unzip();
    let parameters: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
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
    // SAFETY: SPI is connected; statement and types outlive the call. There are as many types as
    // parameters. The plan is generic: an INSERT of parameters has nothing to gain from their
    // values. A kept plan lives until the backend's end.
    unsafe {
        let plan = pg_sys::SPI_prepare_cursor(
            statement.as_ptr(),
            types.len() as i32,
            types.as_mut_ptr(),
            pg_sys::CURSOR_OPT_GENERIC_PLAN as i32,
        );
        if plan.is_null() {
            return Err(failed("prepared"));
        }
        if pg_sys::SPI_keepplan(plan) != 0 {
            return Err(failed("kept"));
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
