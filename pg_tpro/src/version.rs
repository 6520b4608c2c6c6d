//! Calls that have another name or form in another major version of PostgreSQL.

use pgrx::pg_sys;

#[cfg(not(any(feature = "pg17", feature = "pg18")))]
unsafe extern "C-unwind" {
    // storage/sinvaladt.h; not among pgrx's bindings.
    fn BackendIdGetProc(backend: pg_sys::BackendId) -> *mut pg_sys::PGPROC;
}

/// The process of a session that holds a lock; null if it has ended.
///
/// # Safety
///
/// The caller is a backend.
pub unsafe fn process(holder: pg_sys::VirtualTransactionId) -> *mut pg_sys::PGPROC {
    // SAFETY: reads an array in shared memory, within its bounds.
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    unsafe {
        BackendIdGetProc(holder.backendId)
    }
    // SAFETY: as above.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    unsafe {
        pg_sys::ProcNumberGetProc(holder.procNumber)
    }
}

/// True if this session has the lock in this mode.
///
/// # Safety
///
/// The tag is valid.
pub unsafe fn lock_is_held_here(tag: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE) -> bool {
    // SAFETY: the tag is valid.
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    unsafe {
        pg_sys::LockHeldByMe(tag, mode)
    }
    // SAFETY: as above. Only this mode counts, and none that is stronger.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    unsafe {
        pg_sys::LockHeldByMe(tag, mode, false)
    }
}

/// True if the caller's role may use the schema.
pub fn may_use_schema(schema: pg_sys::Oid) -> bool {
    // SAFETY: reads the catalogue and a variable of the session.
    #[cfg(not(any(feature = "pg16", feature = "pg17", feature = "pg18")))]
    let answer = unsafe { pg_sys::pg_namespace_aclcheck(schema, pg_sys::GetUserId(), pg_sys::ACL_USAGE) };
    // SAFETY: as above.
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    let answer = unsafe {
        pg_sys::object_aclcheck(
            pg_sys::NamespaceRelationId,
            schema,
            pg_sys::GetUserId(),
            pg_sys::ACL_USAGE.into(),
        )
    };
    answer == pg_sys::AclResult::ACLCHECK_OK
}

/// Has a misspelt `tpro.NAME` refused. PostgreSQL 13 and 14 only warn of one that was set before.
pub fn reserve_settings() {
    // SAFETY: the name is a static C string, which PostgreSQL copies.
    #[cfg(not(any(feature = "pg13", feature = "pg14")))]
    unsafe {
        pg_sys::MarkGUCPrefixReserved(c"tpro".as_ptr());
    }
    // SAFETY: as above. It only warns of those that are there.
    #[cfg(any(feature = "pg13", feature = "pg14"))]
    unsafe {
        pg_sys::EmitWarningsOnPlaceholders(c"tpro".as_ptr());
    }
}

/// The length of the values of a column, which is counted from 1; negative if each has its own.
/// None if there is no column of that number.
///
/// # Safety
///
/// The columns are those of a table that is open.
pub unsafe fn length(columns: pg_sys::TupleDesc, number: usize) -> Option<i16> {
    // SAFETY: the caller's promise; the array has so many entries.
    unsafe {
        let count = usize::try_from((*columns).natts).ok()?;
        #[cfg(not(feature = "pg18"))]
        let attributes = (*columns).attrs.as_slice(count);
        #[cfg(feature = "pg18")]
        let attributes = (*columns).compact_attrs.as_slice(count);
        Some(attributes.get(number.checked_sub(1)?)?.attlen)
    }
}
