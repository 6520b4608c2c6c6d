//! The settings of the extension (`SET tpro....`).
//!
//! A session that has loaded the library of an earlier release uses both libraries after an upgrade
//! of the extension. PostgreSQL lets a setting be defined once. So the settings stay those of the
//! library that came first, and the second one asks for them by name.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;
use tpro_wire::limits::{LARGEST_BODY, MAX_BODY};

use crate::version;

const SENDER: &CStr = c"tpro.sender";
const SPACE: &CStr = c"tpro.space";
const TRACEPARENT: &CStr = c"tpro.traceparent";
const BODY_LIMIT: &CStr = c"tpro.max_body";
const BACKLOG_LIMIT: &CStr = c"tpro.max_backlog";
const JOURNALING: &CStr = c"tpro.journaling";
const BODIES: &CStr = c"tpro.check_bodies";

static OUR_SENDER: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static OUR_SPACE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"tpro"));
static OUR_TRACEPARENT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static OUR_BODY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(MAX_BODY as i32);
static OUR_BACKLOG_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(2_000_000);
static OUR_JOURNALING: GucSetting<bool> = GucSetting::<bool>::new(false);
static OUR_BODIES: GucSetting<Level> = GucSetting::<Level>::new(Level::Off);

/// The values of `tpro.check_bodies`.
#[derive(Clone, Copy, PostgresGucEnum)]
enum Level {
    #[name = c"off"]
    Off,
    #[name = c"warn"]
    Warn,
    #[name = c"error"]
    Error,
}

/// The treatment of a body that no running copy of its service would take.
#[derive(Clone, Copy, Debug)]
pub enum CheckBodies {
    /// It is published with a warning.
    Warn,
    /// It is refused.
    Error,
}

/// True if the settings are those of another library.
static ARE_ELSEWHERE: AtomicBool = AtomicBool::new(false);
/// True if this setting, which a library of 0.1.0 does not have, is that of another library.
static BODIES_ARE_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Makes the settings known and keeps the prefix for ourselves, so that from PostgreSQL 15 on
/// `SET tpro.sendr = ...` is an error.
pub fn define() {
    let are_there = is_defined(BODY_LIMIT);
    ARE_ELSEWHERE.store(are_there, Ordering::Relaxed);
    // A library of 0.1.0 does not have it. And it is made known before the prefix is kept for
    // ourselves, which takes away what a user has set already.
    let is_defined_elsewhere = is_defined(BODIES);
    BODIES_ARE_ELSEWHERE.store(is_defined_elsewhere, Ordering::Relaxed);
    if !is_defined_elsewhere {
        GucRegistry::define_enum_guc(
            BODIES,
            c"Whether a body that no running copy of its service would take is published: off (it is), warn or error.",
            c"A service says what it takes by JSON Schemas, which are in tpro.methods.",
            &OUR_BODIES,
            GucContext::Userset,
            GucFlags::default(),
        );
    }
    if !are_there {
        define_ours();
    }
}

/// True if a library has defined the setting.
fn is_defined(name: &CStr) -> bool {
    // SAFETY: the name is a static C string. A number and a word of a list are never null; and what
    // a user has set before the library was loaded is marked as a placeholder.
    unsafe {
        !pg_sys::GetConfigOption(name.as_ptr(), true, false).is_null()
            && pg_sys::GetConfigOptionFlags(name.as_ptr(), true) as u32 & pg_sys::GUC_CUSTOM_PLACEHOLDER == 0
    }
}

fn define_ours() {
    GucRegistry::define_string_guc(
        SENDER,
        c"The service on whose behalf this session publishes.",
        c"An explicit argument `sender` wins.",
        &OUR_SENDER,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        SPACE,
        c"The space of messages that name none: the first token of their subject.",
        c"",
        &OUR_SPACE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        TRACEPARENT,
        c"The trace that messages published in this session continue (W3C traceparent).",
        c"Empty, or not a traceparent: each message begins a trace of its own.",
        &OUR_TRACEPARENT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        BODY_LIMIT,
        c"The largest body of a message, as JSON text.",
        c"The NATS server must take a little more than this in one message.",
        &OUR_BODY_LIMIT,
        1024,
        LARGEST_BODY as i32,
        GucContext::Suset,
        GucFlags::UNIT_BYTE,
    );
    GucRegistry::define_int_guc(
        BACKLOG_LIMIT,
        c"The most unsettled messages of a service before publishers are refused; 0: no limit.",
        c"An estimate, which each session makes once a second.",
        &OUR_BACKLOG_LIMIT,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        JOURNALING,
        c"Set by a sidecar while it records calls that are over: no backlog holds these up.",
        c"Heeded for members of the service's sidecar role only.",
        &OUR_JOURNALING,
        GucContext::Userset,
        GucFlags::default(),
    );
    version::reserve_settings();
}

/// `tpro.sender`, unless it is empty.
pub fn sender() -> Option<Cow<'static, str>> {
    text(SENDER, &OUR_SENDER)
}

/// `tpro.space`.
pub fn space() -> Cow<'static, str> {
    text(SPACE, &OUR_SPACE).unwrap_or(Cow::Borrowed("tpro"))
}

/// `tpro.traceparent`, unless it is empty.
pub fn traceparent() -> Option<Cow<'static, str>> {
    text(TRACEPARENT, &OUR_TRACEPARENT)
}

/// `tpro.max_body`, in bytes.
pub fn max_body() -> usize {
    // Its minimum is positive.
    number(BODY_LIMIT, &OUR_BODY_LIMIT).unsigned_abs() as usize
}

/// `tpro.max_backlog`, in messages; 0: no limit.
pub fn max_backlog() -> i64 {
    number(BACKLOG_LIMIT, &OUR_BACKLOG_LIMIT).into()
}

/// `tpro.journaling`.
pub fn journaling() -> bool {
    if are_elsewhere() { elsewhere(JOURNALING) == Some(c"on") } else { OUR_JOURNALING.get() }
}

/// `tpro.check_bodies`; none: nothing is checked.
pub fn check_bodies() -> Option<CheckBodies> {
    if BODIES_ARE_ELSEWHERE.load(Ordering::Relaxed) {
        return match elsewhere(BODIES)?.to_bytes() {
            b"warn" => Some(CheckBodies::Warn),
            b"error" => Some(CheckBodies::Error),
            _ => None,
        };
    }
    match OUR_BODIES.get() {
        Level::Off => None,
        Level::Warn => Some(CheckBodies::Warn),
        Level::Error => Some(CheckBodies::Error),
    }
}

fn number(name: &CStr, ours: &GucSetting<i32>) -> i32 {
    if !are_elsewhere() {
        return ours.get();
    }
    // PostgreSQL tells every number as digits.
    elsewhere(name).and_then(|text| text.to_str().ok()?.parse().ok()).unwrap_or_else(|| ours.get())
}

fn text(name: &CStr, ours: &GucSetting<Option<CString>>) -> Option<Cow<'static, str>> {
    let value = if are_elsewhere() {
        elsewhere(name)
    } else {
        // SAFETY: the setting is a static that only this thread and PostgreSQL's guc.c, on this
        // thread, touch. guc.c keeps a terminated string in it. Nothing here runs SET meanwhile.
        unsafe {
            let value = *ours.as_ptr();
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    };
    // Most sessions set none of them. A value is copied, since the next SET frees it.
    match value?.to_bytes() {
        [] => None,
        b"tpro" => Some(Cow::Borrowed("tpro")),
        _ => value.map(|value| Cow::Owned(value.to_string_lossy().into_owned())),
    }
}

fn are_elsewhere() -> bool {
    ARE_ELSEWHERE.load(Ordering::Relaxed)
}

/// The value of a setting of another library, until the next SET or the next question.
fn elsewhere<'a>(name: &CStr) -> Option<&'a CStr> {
    // SAFETY: the name is terminated, and so is the value. It lies in guc.c, which changes it with
    // the next SET or, for a number, with the next question; nothing here does either meanwhile.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}
