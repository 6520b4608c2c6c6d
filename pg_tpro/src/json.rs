//! A `jsonb` argument: the text that will be sent, and its measures for the rules.

use std::ffi::CStr;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::datum::FromDatum;
use pgrx::pg_sys;
use tpro_wire::jsonb;
use tpro_wire::shape::Shape;

/// A `jsonb` value as text in PostgreSQL's form. `body::text` gives this text, and it is sent.
///
/// The text is not parsed again: PostgreSQL has written it, and the rules need no more than the
/// text.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a>(pub &'a str);

/// The size and depth of the text of a `jsonb` value, without writing it.
#[derive(Clone, Copy, Debug)]
pub struct JsonShape(pub Shape);

/// True for a `jsonb` value that is an object or an array, told from its first bytes.
#[derive(Clone, Copy, Debug)]
pub struct Structured(pub bool);

/// The number of elements of a `jsonb` array whose elements are objects or arrays; none for another
/// value.
#[derive(Clone, Copy, Debug)]
pub struct Elements(pub Option<usize>);

/// Bytes of a `jsonb` value without elements, beside its length.
const EMPTY: usize = size_of::<u32>();

/// True if the bytes of a `jsonb` value have this text in them: as a key, as a value or as a part
/// of one. `jsonb` keeps a text as it is. An empty object costs a look at its length, since nearly
/// every row has one as its headers.
///
/// # Safety
/// The datum must be a `jsonb` that is not null.
pub unsafe fn holds(datum: pg_sys::Datum, text: &[u8]) -> bool {
    // SAFETY: a jsonb datum points to a varlena; its length is the one of what is stored, which is
    // no shorter than a pointer to the value elsewhere.
    if unsafe { pgrx::varsize_any_exhdr(datum.cast_mut_ptr::<pg_sys::varlena>()) } <= EMPTY {
        return false;
    }
    // SAFETY: as above. The packed form has a header of one or four bytes, and the rest is there;
    // nothing writes to it.
    let bytes = unsafe {
        let packed = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
        let data = pgrx::vardata_any(packed).cast::<u8>();
        std::slice::from_raw_parts(data, pgrx::varsize_any_exhdr(packed))
    };
    bytes.windows(text.len()).any(|part| part == text)
}

impl FromDatum for JsonText<'_> {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller promises a jsonb datum when it is not null.
        let jsonb = (!is_null).then(|| unsafe { detoasted(datum) })?;
        // SAFETY: as above; `root` lies inside the value, whose length is in its header. PostgreSQL
        // returns a terminated string in the current memory context, which outlives this call of
        // the function.
        let text = unsafe {
            let length = pgrx::varsize_any(jsonb.cast());
            let text = pg_sys::JsonbToCString(
                std::ptr::null_mut(),
                &raw mut (*jsonb).root,
                i32::try_from(length).unwrap_or(i32::MAX),
            );
            CStr::from_ptr(text)
        };
        // The extension only installs into databases in UTF-8.
        text.to_str().ok().map(JsonText)
    }
}

impl FromDatum for JsonShape {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller promises a jsonb datum when it is not null.
        let jsonb = (!is_null).then(|| unsafe { detoasted(datum) })?;
        // SAFETY: a value in full has as many bytes as its header says, and nothing writes to them.
        let bytes =
            unsafe { std::slice::from_raw_parts(jsonb.cast::<u8>(), pgrx::varsize_any(jsonb.cast())) };
        let measured = bytes.get(size_of::<i32>()..).and_then(jsonb::shape);
        // A form that is not known is measured by its text.
        // SAFETY: as above.
        let by_text = || unsafe { JsonText::from_datum(datum, false) }.map(|JsonText(text)| Shape::of(text));
        measured.or_else(by_text).map(Self)
    }
}

impl FromDatum for Elements {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller promises a jsonb datum when it is not null.
        let jsonb = (!is_null).then(|| unsafe { detoasted(datum) })?;
        // SAFETY: a value in full has as many bytes as its header says, and nothing writes to them.
        let bytes =
            unsafe { std::slice::from_raw_parts(jsonb.cast::<u8>(), pgrx::varsize_any(jsonb.cast())) };
        bytes.get(size_of::<i32>()..).map(|root| Self(jsonb::structured_elements(root)))
    }
}

impl FromDatum for Structured {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller promises a jsonb datum when it is not null.
        let jsonb = (!is_null).then(|| unsafe { detoasted(datum) })?;
        // SAFETY: every jsonb value begins with this header.
        let header = unsafe { (*jsonb).root.header };
        Some(Self(header & pg_sys::JB_FSCALAR == 0))
    }
}

/// The value in full: decompressed and fetched from the TOAST table where it has been put there.
///
/// # Safety
/// The datum must be a `jsonb` that is not null.
unsafe fn detoasted(datum: pg_sys::Datum) -> *mut pg_sys::Jsonb {
    // SAFETY: a jsonb datum points to a varlena.
    unsafe { pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast() }
}

// SAFETY: the function's argument is declared `jsonb` in the install script, and a null one is an
// `Option`'s None.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonText<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as for the implementation.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(JsonText("null"))
    }
}

// SAFETY: as above.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonShape {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as for the implementation.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(JsonShape(Shape::default()))
    }
}

// SAFETY: as above.
unsafe impl<'fcx> ArgAbi<'fcx> for Structured {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as for the implementation.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Structured(false))
    }
}
