//! The limit of the backlog: a publisher is refused when too many messages of its service are
//! unsettled.
//!
//! Nobody counts rows for it. The leader knows the number, and notes once a second how many
//! messages up to which id are unsettled (`mq_backlog`). The ids that the sequence has given out
//! since then are added. Each backend asks once a second, and remembers the answer. So the limit is
//! not exact: ids that were rolled back count until the leader has noted again, and the rows of a
//! second may pass beyond it.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use pgrx::spi::Spi;

use crate::fault::{Fault, OrRaise, SqlState};
use crate::service::{only_sidecar, quoted};
use crate::settings;

/// The time for which an answer is good.
const FRESH: Duration = Duration::from_secs(1);

thread_local! {
    // By schema: hardly ever more than one.
    static KNOWN: RefCell<Vec<(pg_sys::Oid, Instant, i64)>> = const { RefCell::new(Vec::new()) };
}

/// Refuses with 53400 when more messages of this schema wait than `tpro.max_backlog`.
///
/// # Safety
/// The relation is an open outbox.
pub unsafe fn check(outbox: pg_sys::Relation) {
    let most = settings::max_backlog();
    if most == 0 {
        return;
    }
    // SAFETY: the caller's promise.
    let (schema, owner) = unsafe { ((*(*outbox).rd_rel).relnamespace, (*(*outbox).rd_rel).relowner) };
    let known = KNOWN.with_borrow(|known| known.iter().find(|(of, ..)| *of == schema).copied());
    let waiting = match known {
        Some((_, at, waiting)) if at.elapsed() < FRESH => waiting,
        _ => {
            let Some(waiting) = ask(schema, owner) else { return };
            KNOWN.with_borrow_mut(|known| {
                known.retain(|(of, ..)| *of != schema);
                known.push((schema, Instant::now(), waiting));
            });
            waiting
        }
    };
    if waiting > most && !is_journal(schema) {
        let service = name_of(schema).unwrap_or_default();
        let service = service.strip_suffix("_service").unwrap_or(&service);
        Fault::new(
            SqlState::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            format!("about {waiting} messages of service {service} are unsettled, and tpro.max_backlog is {most}"),
        )
        .hint(
            "Its sidecar does not run, or cannot keep up: see the view tpro.services. Publish again when it has caught up; a \
             superuser can raise tpro.max_backlog.",
        )
        .raise();
    }
}

/// The number that the leader noted, and the ids after it. None if there is no note.
fn ask(schema: pg_sys::Oid, owner: pg_sys::Oid) -> Option<i64> {
    let name = name_of(schema)?;
    // No operator and no function: nothing here depends on the search_path of the user who inserts.
    let statement = format!(
        "SELECT b.unsettled, b.upto, s.last_value FROM {0}.mq_backlog b, {0}.mq_publish_id_seq s",
        quoted(&[&name])
    );
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: as PostgreSQL's own triggers of foreign keys do it. A publisher may not read this
    // table, so it is read as the owner of the outbox. An error in between ends the
    // (sub)transaction, and that puts the user back.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
    let read = Spi::get_three::<i64, i64, i64>(&statement);
    // SAFETY: the values are those of before.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    match read {
        Ok((Some(unsettled), Some(upto), Some(last))) => Some(unsettled + (last - upto).max(0)),
        _ => None,
    }
}

/// True if the user writes the record of calls that are over. Their rows come together with their
/// replies, so none of them waits.
fn is_journal(schema: pg_sys::Oid) -> bool {
    // SAFETY: reads a variable of the session.
    let user = unsafe { pg_sys::GetUserId() };
    settings::journaling()
        && name_of(schema).is_some_and(|name| {
            name.strip_suffix("_service").is_some_and(|service| only_sidecar(service, user).is_ok())
        })
}

fn name_of(schema: pg_sys::Oid) -> Option<String> {
    // SAFETY: a lookup in the system caches; the result, if there is one, is a terminated string of
    // our own.
    unsafe {
        let name = pg_sys::get_namespace_name(schema);
        if name.is_null() {
            return None;
        }
        let text = CStr::from_ptr(name).to_string_lossy().into_owned();
        pg_sys::pfree(name.cast());
        Some(text)
    }
}

/// `tpro.backlog(service)`: the estimate, as the trigger makes it.
#[pg_extern]
fn backlog(service: &str) -> i64 {
    let schema = crate::service::schema_of(service).or_raise().0;
    let outbox = CString::from(c"mq_publish");
    // SAFETY: lookups in the system caches, by a terminated string that outlives the call;
    // `schema_of` has found the table.
    let owner = unsafe {
        let table = pg_sys::get_relname_relid(outbox.as_ptr(), schema);
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, table.into());
        if tuple.is_null() {
            return 0;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    };
    ask(schema, owner).unwrap_or(0)
}
