//! Services by name: their schemas and roles in this database.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use pgrx::{pg_sys, spi::Spi};
use tpro_wire::name::{NameError, ServiceName};

use crate::fault::{Fault, OrRaise, SqlState};
use crate::settings;

/// A service that this database has.
#[derive(Clone, Copy, Debug)]
pub struct Schema(pub pg_sys::Oid);

/// The schema of the service, or 3F000.
pub fn schema_of(service: &str) -> Result<Schema, Fault> {
    // A text that can name no service is not shown, since it may be a secret.
    let unknown = |shown: Cow<'static, str>| {
        Fault::new(SqlState::ERRCODE_INVALID_SCHEMA_NAME, shown)
            .hint("The services are in the view tpro.services; tpro.create_service() makes one.")
    };
    if ServiceName::check(service).is_err() {
        return Err(unknown("there is no service of this name".into()));
    }
    let name = identifier(&[service, "_service"]);
    // SAFETY: lookups in the system caches, by terminated strings that outlive the call.
    let found = unsafe {
        let schema = pg_sys::get_namespace_oid(name.as_ptr(), true);
        // A schema of that name that is not ours has no outbox.
        let ours = schema != pg_sys::InvalidOid
            && pg_sys::get_relname_relid(c"mq_publish".as_ptr(), schema) != pg_sys::InvalidOid;
        ours.then_some(Schema(schema))
    };
    found.ok_or_else(|| unknown(format!("there is no service {service}").into()))
}

/// The sender: the argument, or else the setting `tpro.sender`, or else 55000.
pub fn sender(argument: Option<&str>) -> Result<Cow<'_, str>, Fault> {
    argument.map(Cow::Borrowed).or_else(|| settings::sender()).ok_or_else(|| {
        Fault::new(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "no sender is given").hint(
            "SET tpro.sender = '<service>' in this session or for this role, or pass sender => '<service>'.",
        )
    })
}

/// Refuses a user who is not a member of the service's sidecar role.
pub fn only_sidecar(service: &str, user: pg_sys::Oid) -> Result<(), Fault> {
    let role = identifier(&[service, "_sidecar"]);
    // SAFETY: lookups in the system caches, by a terminated string that outlives the call.
    let member = unsafe {
        let role = pg_sys::get_role_oid(role.as_ptr(), true);
        match role {
            pg_sys::InvalidOid => pg_sys::superuser_arg(user),
            role => pg_sys::has_privs_of_role(user, role),
        }
    };
    member.then_some(()).ok_or_else(|| {
        Fault::new(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for service {service}"),
        )
        .hint(format!("Only members of role {service}_sidecar may do this."))
    })
}

/// `tpro.schema_of(sender)`: the schema of the sender, as the functions written in SQL need it.
#[pg_extern]
fn sender_schema(argument: Option<&str>) -> pg_sys::Oid {
    sender(argument).and_then(|sender| schema_of(&sender)).or_raise().0
}

/// Refuses if the extension in this database is of another release than this library: the template
/// needs the SQL objects of its own release.
fn same_release() -> Result<(), Fault> {
    const LIBRARY: &str = env!("CARGO_PKG_VERSION");
    let installed = Spi::get_one::<String>(
        "SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'pg_tpro'",
    );
    let installed = installed.ok().flatten().unwrap_or_default();
    if installed == LIBRARY {
        return Ok(());
    }
    let parts =
        |version: &str| version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u64>>();
    let fault = Fault::new(
        SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the extension pg_tpro in this database is {installed}, and the library is {LIBRARY}"),
    );
    Err(fault.hint(match parts(&installed) < parts(LIBRARY) {
        true => "As a superuser: ALTER EXTENSION pg_tpro UPDATE, then CALL tpro.upgrade_services().",
        false => "Connect again: this session has loaded the earlier library.",
    }))
}

/// `tpro.must_be_name(name)`: the rule of names, for the scripts that make and drop logins.
#[pg_extern]
fn must_be_name(name: &str) {
    ServiceName::check(name).map_err(|error| refused(name, error)).or_raise();
}

/// `tpro.create_service(name)`: its schema, tables and roles, from the template.
#[pg_extern]
fn create_service(name: &str) -> pg_sys::Oid {
    same_release().or_raise();
    let service = ServiceName::parse(name).map_err(|error| refused(name, error)).or_raise();
    let schema = identifier(&[name, "_service"]);
    // SAFETY: a lookup in the system caches, by a terminated string that outlives the call.
    if unsafe { pg_sys::get_namespace_oid(schema.as_ptr(), true) } != pg_sys::InvalidOid {
        let fault =
            Fault::new(SqlState::ERRCODE_DUPLICATE_SCHEMA, format!("schema {} exists", service.schema()));
        let left_over = Spi::get_one::<bool>(&format!("SELECT tpro.is_left_over('{name}')"));
        if matches!(left_over, Ok(Some(true))) {
            let hint = format!(
                "It is left of a service whose extension was dropped; its messages are gone, its inbox is there. \
                 SELECT tpro.drop_service('{name}') removes it, or ALTER SCHEMA ... RENAME keeps it."
            );
            fault.hint(hint).raise();
        }
        fault.raise();
    }
    let script = include_str!("../../sql/service.sql")
        .replace("@schema@", &quoted(&[name, "_service"]))
        .replace("@publisher@", &quoted(&[name, "_publisher"]))
        .replace("@sidecar@", &quoted(&[name, "_sidecar"]));
    if let Err(error) = Spi::run(&script) {
        Fault::new(SqlState::ERRCODE_INTERNAL_ERROR, format!("service {service}: {error}")).raise();
    }
    schema_of(name).or_raise().0
}

/// Joins the parts to a name that PostgreSQL takes as it is.
pub fn identifier(parts: &[&str]) -> CString {
    // Only names of services come here, and they have no zero byte.
    CString::new(parts.concat()).unwrap_or_default()
}

/// The name, quoted for a statement.
pub fn quoted(parts: &[&str]) -> String {
    let plain = identifier(parts);
    // SAFETY: PostgreSQL returns either its argument, which outlives the copy below, or a string of
    // its own.
    unsafe { CStr::from_ptr(pg_sys::quote_identifier(plain.as_ptr())) }.to_string_lossy().into_owned()
}

fn refused(name: &str, error: NameError) -> Fault {
    match error {
        NameError::Reserved => {
            Fault::new(SqlState::ERRCODE_RESERVED_NAME, format!("the name {name} is reserved"))
                .hint("Choose another name for the service.")
        }
        NameError::Malformed => Fault::new(SqlState::ERRCODE_INVALID_NAME, error.to_string()),
    }
}
