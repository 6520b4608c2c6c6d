//! `tpro.publish`: an INSERT into the sender's outbox, with the caller's rights.

use std::borrow::Cow;
use std::ffi::c_char;

use pgrx::datum::FromDatum;
use pgrx::fcinfo::pg_getarg_datum;
use pgrx::prelude::*;

use crate::fault::{Fault, OrRaise, SqlState, passing_on};
use crate::plan::{self, Form};
use crate::service::{schema_of, sender};
use crate::settings;

/// The arguments, in the order of the install script.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Argument {
    ServiceName,
    Entity,
    MethodName,
    Body,
    Headers,
    Timeout,
    Protocol,
    ReplyTo,
    Sender,
    SpaceName,
    // From here on of `publish_ranked` only.
    SendAt,
    ExpiresAt,
    Priority,
    OrderingKey,
    OnReply,
}

/// Returns the id of the message. The values go to the INSERT as they came; the columns' domains
/// judge them.
#[pg_extern]
fn publish(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    // SAFETY: PostgreSQL passes a valid call record with as many arguments as the install script
    // declares.
    let (sender, values) = plain(|which| unsafe { pg_getarg_datum(fcinfo, which as usize) });
    passing_on(|| insert(&sender, Form::default(), values).or_raise())
}

/// Publishes with the arguments that release 0.1.0 did not have.
#[pg_extern]
fn publish_ranked(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    // SAFETY: as above.
    let argument = |which: Argument| unsafe { pg_getarg_datum(fcinfo, which as usize) };
    let (sender, values) = plain(argument);
    let send_at = argument(Argument::SendAt);
    let [expires_at, priority, ordering_key, on_reply] =
        [Argument::ExpiresAt, Argument::Priority, Argument::OrderingKey, Argument::OnReply].map(argument);
    let is_usual = expires_at.is_none()
        && priority.is_some_and(|priority| priority.value() == 0)
        && ordering_key.is_none();
    let later = send_at.is_some();
    // The defaults are the table's as well, and an outbox of 0.1.0 takes the row without them.
    let form = Form { ranked: later || !is_usual, handled: on_reply.is_some(), later };
    let mut values = values;
    values[plan::PLAIN..].copy_from_slice(&[expires_at, priority, ordering_key, on_reply, send_at]);
    passing_on(|| insert(&sender, form, values).or_raise())
}

/// The values of a row, in the order of the parameters of the plans.
type Values = [Option<pg_sys::Datum>; plan::ALL];

/// The sender, and the values that every message has; the others are null.
fn plain(argument: impl Fn(Argument) -> Option<pg_sys::Datum>) -> (Cow<'static, str>, Values) {
    // SAFETY: the argument is declared as text, and lives as long as the call.
    let named = argument(Argument::Sender).and_then(|datum| unsafe { <&str>::from_datum(datum, false) });
    let sender = sender(named).or_raise();
    // Looked up each time (in a cache of PostgreSQL's), since the service may have been dropped
    // meanwhile.
    schema_of(&sender).or_raise();
    let space = argument(Argument::SpaceName).or_else(|| settings::space().into_owned().into_datum());
    let values = [
        argument(Argument::Protocol),
        space,
        argument(Argument::ServiceName),
        argument(Argument::Entity),
        argument(Argument::MethodName),
        argument(Argument::Timeout),
        argument(Argument::Headers),
        argument(Argument::Body),
        argument(Argument::ReplyTo),
        None,
        None,
        None,
        None,
        None,
    ];
    (sender, values)
}

fn insert(sender: &str, form: Form, values: Values) -> Result<i64, Fault> {
    let nulls = values.map(|value| if value.is_none() { b'n' as c_char } else { b' ' as c_char });
    let mut values = values.map(|value| value.unwrap_or(pg_sys::Datum::null()));
    let broken = || Fault::new(SqlState::ERRCODE_INTERNAL_ERROR, "the INSERT returned no id");
    // SAFETY: SPI is connected and finished here; when an error is raised in between, PostgreSQL's
    // end of the (sub)transaction finishes it. Values and nulls outlive the call and are as many as
    // the plan has parameters, and of its types. The result is read before SPI_finish
    // frees it; an id is passed by value.
    unsafe {
        if pg_sys::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
            return Err(broken());
        }
        let plan = plan::insert_of(sender, form)?;
        let code = pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), false, 0);
        let table = pg_sys::SPI_tuptable;
        if code != pg_sys::SPI_OK_INSERT_RETURNING as i32 || pg_sys::SPI_processed != 1 || table.is_null() {
            return Err(broken());
        }
        let mut is_null = false;
        let id = pg_sys::SPI_getbinval(*(*table).vals, (*table).tupdesc, 1, &mut is_null);
        pg_sys::SPI_finish();
        i64::from_datum(id, is_null).ok_or_else(broken)
    }
}
