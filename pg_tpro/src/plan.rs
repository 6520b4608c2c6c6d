//! The prepared INSERT of each sender, kept for the life of the backend.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;

use pgrx::pg_sys;

use crate::fault::{Fault, SqlState};
use crate::service::quoted;

/// The number of parameters of the INSERT.
pub const PARAMETERS: usize = 9;

const TYPES: [pg_sys::Oid; PARAMETERS] = [
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::INT4OID,
    pg_sys::JSONBOID,
    pg_sys::JSONBOID,
    pg_sys::TEXTOID,
];

thread_local! {
    // By sender. A plan of a service that was dropped stays; PostgreSQL analyses it again, by name,
    // when the service has been made again.
    static PLANS: RefCell<HashMap<Box<str>, pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
}

/// The plan of `INSERT INTO <sender>_service.mq_publish (protocol, space_name, service_name,
/// entity, method_name, timeout, headers, body, reply_to)`. The sender must exist, and SPI must be
/// connected.
pub fn insert_of(sender: &str) -> Result<pg_sys::SPIPlanPtr, Fault> {
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(sender).copied()) {
        return Ok(plan);
    }
    let plan = prepare(sender)?;
    PLANS.with_borrow_mut(|plans| plans.insert(sender.into(), plan));
    Ok(plan)
}

fn prepare(sender: &str) -> Result<pg_sys::SPIPlanPtr, Fault> {
    let statement = format!(
        "INSERT INTO {}.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body, \
         reply_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        quoted(&[sender, "_service"])
    );
    let failed =
        |what| Fault::new(SqlState::ERRCODE_INTERNAL_ERROR, format!("the INSERT could not be {what}"));
    let statement = CString::new(statement).map_err(|_| failed("written"))?;
    let mut types = TYPES;
    // SAFETY: SPI is connected; statement and types outlive the call. There are as many types as
    // parameters. The plan is generic: an INSERT of parameters has nothing to gain from their
    // values. A kept plan lives until the backend's end.
    unsafe {
        let plan = pg_sys::SPI_prepare_cursor(
            statement.as_ptr(),
            PARAMETERS as i32,
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
