//! A handler in SQL: a function of the database, which `tpro.handle` names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::error::DbError;
use tpro_runtime::db;
use tpro_wire::error::code;

use super::{Ctx, Fault, QueryError, Tx, way::Way};

/// The statement that calls one function.
#[derive(Clone)]
pub(crate) struct SqlFunction(Arc<str>);

impl SqlFunction {
    /// For the function of this name, which is quoted where it has to be.
    ///
    /// The request is made by the names of its attributes, so that the type in the database may
    /// have more or fewer of them. The function is called by its name: the next message sees a new
    /// version of it.
    pub(crate) fn new(name: &str) -> Self {
        let comment = comment(name);
        Self(
            format!(
                "{comment}SELECT {name}($1::text::jsonb, jsonb_populate_record(NULL::tpro.request_row, $2::text::jsonb \
                 || jsonb_build_object('deadline', clock_timestamp() + $3::float8 * interval '1 second')))::text"
            )
            .into(),
        )
    }

    /// The way of a method whose function runs in the transaction of the inbox.
    pub(crate) fn transactional(self) -> Way {
        Way::Transactional(Box::new(move |tx, body| {
            let (function, body) = (self.clone(), body.to_owned());
            Box::pin(async move { function.call(&tx, &body).await })
        }))
    }

    /// The way of a method whose function runs in a transaction of its own, without the inbox.
    pub(crate) fn stateless(self) -> Way {
        Way::Stateless(Box::new(move |ctx: Ctx, body| {
            let (function, body) = (self.clone(), body.to_owned());
            Box::pin(async move { function.call(&ctx.tx().await?, &body).await })
        }))
    }

    async fn call(&self, tx: &Tx, body: &str) -> Result<String, Fault> {
        let request = RequestRow::of(tx)?;
        let rows = tx.query_text(&self.0, &[&body, &request, &tx.remaining().as_secs_f64()]).await;
        // One row, whose value is null if the function returns NULL.
        let rows = rows.map_err(fault_of)?;
        let result = rows.first().map(|row| row.try_get::<_, Option<String>>(0)).transpose()?.flatten();
        Ok(result.unwrap_or_else(|| "null".to_owned()))
    }
}

/// The comment that names the statement of a function in traces; no quoted name may end it.
pub(super) fn comment(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    if name.bytes().all(plain) { format!("/* {name} */ ") } else { String::new() }
}

/// The attributes of `tpro.request_row`, but for the deadline.
#[derive(Serialize)]
struct RequestRow<'a> {
    uid: String,
    space_name: &'a str,
    service_name: &'a str,
    entity: &'a str,
    method_name: &'a str,
    sender: Option<&'a str>,
    sender_instance: Option<String>,
    attempt: u32,
    language: Option<&'a str>,
    headers: Option<&'a RawValue>,
    traceparent: String,
    trace_id: String,
}

impl RequestRow<'_> {
    /// As JSON text.
    fn of(tx: &Tx) -> Result<String, Fault> {
        let (target, source) = (tx.target(), tx.source());
        let request = RequestRow {
            uid: tx.uid().to_string(),
            space_name: target.space(),
            service_name: target.service(),
            entity: target.entity(),
            method_name: target.method_name(),
            sender: source.map(|source| source.service.as_str()),
            sender_instance: source.map(|source| source.instance.to_string()),
            attempt: tx.attempt(),
            language: tx.language(),
            headers: tx.headers().and_then(|headers| serde_json::from_str(headers).ok()),
            traceparent: tx.span().to_string(),
            trace_id: tx.span().trace_id_hex(),
        };
        Ok(serde_json::to_string(&request)?)
    }
}

/// The fault of a function that has failed.
fn fault_of(error: QueryError) -> Fault {
    error.db().and_then(|error| raised(error).or_else(|| refused_body(error))).unwrap_or_else(|| error.into())
}

/// The fault that `tpro.raise_fault` has raised. Code and data are in a field that PostgreSQL
/// writes into no log.
fn raised(error: &DbError) -> Option<Fault> {
    #[derive(Deserialize)]
    struct Raised {
        code: i64,
        data: Option<Box<RawValue>>,
    }
    if error.code().code() != db::RAISED_FAULT {
        return None;
    }
    let Raised { code, data } = serde_json::from_str(error.datatype()?).ok()?;
    let fault = Fault::new(code, error.message());
    Some(match data {
        Some(data) => fault.data(data),
        None => fault,
    })
}

/// The fault of a body that is JSON and no `jsonb`, such as one with `\u0000`. An error inside of
/// the function has the function's lines in its context, too.
fn refused_body(error: &DbError) -> Option<Fault> {
    let is_of_body = |context: &str| context.starts_with("JSON data, line ") && !context.contains('\n');
    let text = "the body holds a text or a number that PostgreSQL does not take";
    error.where_().is_some_and(is_of_body).then(|| Fault::new(code::INVALID_PARAMS, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_name_becomes_a_comment() {
        assert!(SqlFunction::new("shop.price").0.starts_with("/* shop.price */ SELECT shop.price($1"));
        assert!(SqlFunction::new(r#"shop."*/""#).0.starts_with(r#"SELECT shop."*/"($1"#));
    }
}
