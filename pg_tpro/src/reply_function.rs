//! The function that a message names in `on_reply`.

use std::cell::Cell;

use pgrx::prelude::*;

use crate::fault::{Fault, SqlState};
use crate::plan;

thread_local! {
    // Kept for the life of the backend.
    static CHECK: Cell<pg_sys::SPIPlanPtr> = const { Cell::new(std::ptr::null_mut()) };
}

/// Has `tpro.reply_function` check the function for the service of a schema, and makes something of
/// the name by which it is kept. The name lives as long as `make` runs, while SPI is connected.
pub fn checked<T>(
    given: &str,
    schema: pg_sys::Oid,
    make: impl FnOnce(pg_sys::Datum) -> T,
) -> Result<T, Fault> {
    let broken = |_| Fault::new(SqlState::ERRCODE_INTERNAL_ERROR, "tpro.reply_function returned nothing");
    let mut values =
        [given.into_datum(), schema.into_datum()].map(|value| value.unwrap_or(pg_sys::Datum::null()));
    // SAFETY: SPI is connected and finished here; when an error is raised in between, PostgreSQL's
    // end of the (sub)transaction finishes it. The values are of the plan's types and outlive the
    // call. The plan reads only, in the snapshot of the INSERT. The result is used before
    // SPI_finish frees it.
    unsafe {
        if pg_sys::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
            return Err(broken(""));
        }
        let plan = prepared().map_err(broken)?;
        let code = pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), std::ptr::null(), true, 1);
        let table = pg_sys::SPI_tuptable;
        if code != pg_sys::SPI_OK_SELECT as i32 || pg_sys::SPI_processed != 1 || table.is_null() {
            return Err(broken(""));
        }
        let mut is_null = false;
        let name = pg_sys::SPI_getbinval(*(*table).vals, (*table).tupdesc, 1, &raw mut is_null);
        if is_null {
            return Err(broken(""));
        }
        let made = make(name);
        pg_sys::SPI_finish();
        Ok(made)
    }
}

/// The plan. SPI must be connected.
fn prepared() -> Result<pg_sys::SPIPlanPtr, &'static str> {
    if CHECK.get().is_null() {
        let mut types = [pg_sys::TEXTOID, pg_sys::OIDOID];
        CHECK.set(plan::kept(c"SELECT tpro.reply_function($1, $2)", &mut types)?);
    }
    Ok(CHECK.get())
}
