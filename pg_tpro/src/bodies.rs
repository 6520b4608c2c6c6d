//! The check of a body against what the copies of its service have said they take.
//!
//! `tpro.check_bodies` switches it on. The catalogue of methods is in tables, which
//! `tpro.misfits_of` reads; here is what a publish asks, and the validator.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::prelude::*;
use serde_json::Value;
use tpro_schema::{Problem, Schema, Verdict};

use crate::fault::{Fault, SqlState};
use crate::json::JsonText;
use crate::plan;
use crate::settings::CheckBodies;

/// The most bytes of schemas that are kept ready, about.
const KEPT: usize = 4 * 1024 * 1024;
/// The bytes of a schema within a schema, about.
const NODE: usize = 400;

/// The remedy for a body that does not fit.
const NO_FIT: &str = "SELECT * FROM tpro.check(service_name, entity, method_name, body) lists all problems, and \
                      tpro.methods has the schema. SET tpro.check_bodies = off publishes the body as it is.";
/// The remedy for a batch with a body that does not fit.
const NO_FIT_OF_A_BATCH: &str = "The path begins with the number of the request. SELECT * FROM tpro.check(service_name, entity, \
                                 method_name, body -> number) lists all problems of its body, and tpro.methods has the schema. \
                                 SET tpro.check_bodies = off publishes the batch as it is.";
/// The remedy for a method that no copy has.
const NO_METHOD: &str = "SELECT entity, method_name FROM tpro.methods WHERE service_name = ... lists the methods that are \
                         there. SET tpro.check_bodies = off publishes the message as it is.";

thread_local! {
    // By their texts, for the life of the backend.
    static SCHEMAS: RefCell<Schemas> = RefCell::default();
    // Kept for the life of the backend.
    static ASK: Cell<pg_sys::SPIPlanPtr> = const { Cell::new(std::ptr::null_mut()) };
}

/// Schemas that are ready to be asked. None stands for a text that is no schema.
#[derive(Default)]
struct Schemas {
    bytes: usize,
    ready: HashMap<Box<str>, Option<Rc<Schema>>>,
}

impl Schemas {
    fn of(&mut self, text: &str) -> Option<Rc<Schema>> {
        if let Some(ready) = self.ready.get(text) {
            return ready.clone();
        }
        let schema = serde_json::from_str(text).ok().and_then(|schema: Value| Schema::of(&schema).ok());
        let bytes = 2 * text.len() + schema.as_ref().map_or(0, |schema| schema.size() * NODE);
        if self.bytes + bytes > KEPT {
            *self = Self::default();
        }
        let schema = schema.map(Rc::new);
        self.bytes += bytes;
        self.ready.insert(text.into(), schema.clone());
        schema
    }
}

/// `tpro.must_be_schema(what, schema)`: refuses what a body cannot be checked by.
#[pg_extern]
fn must_be_schema(what: &str, schema: JsonText<'_>) {
    let error = match serde_json::from_str::<Value>(schema.0) {
        Ok(schema) => Schema::of(&schema).err().map(|error| error.to_string()),
        Err(_) => Some("it is nested too deep".to_owned()),
    };
    if let Some(error) = error {
        Fault::new(
            SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("{what} must be a JSON Schema: {error}"),
        )
        .hint("https://json-schema.org. Null stands for a body, or a result, of any form.")
        .raise();
    }
}

/// `tpro.misfits(schema, body, batch)`: places and problems by turns. Null: nothing that is known.
#[pg_extern]
fn misfits(schema: JsonText<'_>, body: JsonText<'_>, batch: bool) -> Option<Vec<String>> {
    let schema = SCHEMAS.with_borrow_mut(|schemas| schemas.of(schema.0))?;
    // A body that is nested deeper than the reader goes is not judged.
    let body: Value = serde_json::from_str(body.0).ok()?;
    let verdict = match &body {
        Value::Array(bodies) if batch => schema.check_batch(bodies),
        body => schema.check(body),
    };
    match verdict {
        Verdict::Misfits(problems) => {
            Some(problems.into_iter().flat_map(|Problem { path, text }| [path, text]).collect())
        }
        Verdict::Fits | Verdict::Unknown => None,
    }
}

/// A body that is published, with its target: the values of a row that is being inserted.
pub struct Published {
    /// Space, service, entity and method, as texts.
    pub target: [Option<pg_sys::Datum>; 4],
    /// A `jsonb`.
    pub body: Option<pg_sys::Datum>,
    /// True if the body is a batch, whose elements are bodies.
    pub is_batch: bool,
}

/// Refuses a body that no running copy would take, or warns of it.
pub fn check(published: &Published, level: CheckBodies) {
    let is_sure = matches!(level, CheckBodies::Error);
    let Some(Misfit { target, path, problem }) = ask(published, is_sure) else { return };
    let no_fit = if published.is_batch { NO_FIT_OF_A_BATCH } else { NO_FIT };
    let (text, hint) = match path.as_deref() {
        None => (problem, NO_METHOD),
        Some("") => (format!("the body does not fit {target}: it {problem}"), no_fit),
        Some(path) => (format!("the body does not fit {target}: {path} {problem}"), no_fit),
    };
    if is_sure {
        Fault::new(SqlState::ERRCODE_INVALID_PARAMETER_VALUE, text).hint(hint).raise();
    }
    Fault::new(SqlState::ERRCODE_WARNING, text).hint(hint).warn();
}

/// The first problem of a body.
struct Misfit {
    target: String,
    /// Its place.
    path: Option<String>,
    problem: String,
}

/// Asks for the problems of a body.
fn ask(published: &Published, is_sure: bool) -> Option<Misfit> {
    let Published { target, body, is_batch } = published;
    let [space, service, entity, method] = *target;
    let flag = |is: bool| is.into_datum();
    let given = [space, service, entity, method, *body, flag(*is_batch), flag(is_sure)];
    // A column without a value is refused by its domain.
    if given.iter().any(Option::is_none) {
        return None;
    }
    let mut values = given.map(|value| value.unwrap_or(pg_sys::Datum::null()));
    // SAFETY: SPI is connected and finished here; when an error is raised in between, PostgreSQL's
    // end of the (sub)transaction finishes it. The values are of the plan's types and outlive the
    // call. The plan reads only, in the snapshot of the INSERT. The results are copied before
    // SPI_finish frees them.
    unsafe {
        if pg_sys::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
            return None;
        }
        let Some(plan) = prepared() else {
            pg_sys::SPI_finish();
            return None;
        };
        let code = pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), std::ptr::null(), true, 1);
        let table = pg_sys::SPI_tuptable;
        let found = code == pg_sys::SPI_OK_SELECT as i32 && pg_sys::SPI_processed == 1 && !table.is_null();
        let text = |column: i32| {
            let text = pg_sys::SPI_getvalue(*(*table).vals, (*table).tupdesc, column);
            (!text.is_null()).then(|| std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        let problem = if found { Some((text(1), text(2), text(3))) } else { None };
        pg_sys::SPI_finish();
        let (target, path, problem) = problem?;
        Some(Misfit { target: target?, path, problem: problem? })
    }
}

/// The plan. SPI must be connected.
fn prepared() -> Option<pg_sys::SPIPlanPtr> {
    if ASK.get().is_null() {
        use pg_sys::{BOOLOID, JSONBOID, TEXTOID};

        let mut types = [TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID, BOOLOID];
        let plan = plan::kept(
            c"SELECT pg_catalog.concat_ws('.', $2, $3, $4), m.misfits[1], m.misfits[2]
                FROM tpro.misfits_of($1, $2, $3, $4, $5, $6, $7) AS m (misfits) WHERE m.misfits IS NOT NULL",
            &mut types,
        );
        ASK.set(plan.ok()?);
    }
    Some(ASK.get())
}
