//! The settings of the extension (`SET tpro....`).

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use tpro_wire::limits::{LARGEST_BODY, MAX_BODY};

static SENDER: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static SPACE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"tpro"));
static TRACEPARENT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static BODY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(MAX_BODY as i32);
static BACKLOG_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(2_000_000);
static JOURNALING: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Makes the settings known and keeps the prefix for ourselves, so that `SET tpro.sendr = ...` is
/// an error.
pub fn define() {
    GucRegistry::define_string_guc(
        c"tpro.sender",
        c"The service on whose behalf this session publishes.",
        c"An explicit argument `sender` wins.",
        &SENDER,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"tpro.space",
        c"The space of messages that name none: the first token of their subject.",
        c"",
        &SPACE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"tpro.traceparent",
        c"The trace that messages published in this session continue (W3C traceparent).",
        c"Empty, or not a traceparent: each message begins a trace of its own.",
        &TRACEPARENT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"tpro.max_body",
        c"The largest body of a message, as JSON text.",
        c"The NATS server must take a little more than this in one message.",
        &BODY_LIMIT,
        1024,
        LARGEST_BODY as i32,
        GucContext::Suset,
        GucFlags::UNIT_BYTE,
    );
    GucRegistry::define_int_guc(
        c"tpro.max_backlog",
        c"The most unsettled messages of a service before publishers are refused; 0: no limit.",
        c"An estimate, which each session makes once a second.",
        &BACKLOG_LIMIT,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"tpro.journaling",
        c"Set by a sidecar while it records calls that are over: no backlog holds these up.",
        c"Heeded for members of the service's sidecar role only.",
        &JOURNALING,
        GucContext::Userset,
        GucFlags::default(),
    );
    // SAFETY: the name is a static C string, which PostgreSQL copies.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"tpro".as_ptr()) };
}

/// `tpro.sender`, unless it is empty.
pub fn sender() -> Option<Cow<'static, str>> {
    text(&SENDER)
}

/// `tpro.space`.
pub fn space() -> Cow<'static, str> {
    text(&SPACE).unwrap_or(Cow::Borrowed("tpro"))
}

/// `tpro.traceparent`, unless it is empty.
pub fn traceparent() -> Option<Cow<'static, str>> {
    text(&TRACEPARENT)
}

/// `tpro.max_body`, in bytes.
pub fn max_body() -> usize {
    // Its minimum is positive.
    BODY_LIMIT.get().unsigned_abs() as usize
}

/// `tpro.max_backlog`, in messages; 0: no limit.
pub fn max_backlog() -> i64 {
    BACKLOG_LIMIT.get().into()
}

/// `tpro.journaling`.
pub fn journaling() -> bool {
    JOURNALING.get()
}

fn text(setting: &GucSetting<Option<CString>>) -> Option<Cow<'static, str>> {
    // Most sessions set none of them. A value is copied, since the next SET frees it.
    // SAFETY: the setting is a static that only this thread and PostgreSQL's guc.c, on this thread,
    // touch.
    let value: *const c_char = unsafe { *setting.as_ptr() };
    if value.is_null() {
        return None;
    }
    // SAFETY: guc.c keeps a terminated string in it, and nothing here runs SET meanwhile.
    let text = unsafe { CStr::from_ptr(value) };
    match text.to_bytes() {
        [] => None,
        b"tpro" => Some(Cow::Borrowed("tpro")),
        _ => Some(Cow::Owned(text.to_string_lossy().into_owned())),
    }
}
