//! The answers of a Go handler.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The answer of a handler to one request.
#[derive(Clone, Debug)]
pub enum GoAnswer {
    /// A result.
    Result(Value),
    /// `errors.New(...)`, of which JSON keeps nothing.
    Error,
    /// An error of PostgreSQL: RAISE EXCEPTION with this text.
    PgError(String),
    /// The program has no method of this name.
    WrongHandler,
    /// Another answer, when there is a permit.
    After(Arc<Semaphore>, Box<GoAnswer>),
}

impl GoAnswer {
    /// The member `result` or `error` of the answer, with its name.
    pub(super) fn member(&self) -> (&'static str, Value) {
        match self {
            GoAnswer::Result(value) => ("result", value.clone()),
            GoAnswer::Error => ("error", json!({})),
            GoAnswer::PgError(message) => ("error", pg_error(message)),
            GoAnswer::WrongHandler => ("error", json!("wrong handler")),
            GoAnswer::After(_, answer) => answer.member(),
        }
    }
}

/// The fields of pgconn's error, as Go writes a struct without tags.
fn pg_error(message: &str) -> Value {
    json!({
        "Severity": "ERROR", "Code": "P0001", "Message": message, "Detail": "", "Hint": "", "Position": 0,
        "InternalPosition": 0, "InternalQuery": "", "Where": "", "SchemaName": "", "TableName": "",
        "ColumnName": "", "DataTypeName": "", "ConstraintName": "", "File": "pl_exec.c", "Line": 3889,
        "Routine": "exec_stmt_raise",
    })
}
