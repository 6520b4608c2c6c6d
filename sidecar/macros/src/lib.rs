//! The derive macros of `tpro_sidecar`, which exports them beside the traits of their names.
#![forbid(unsafe_code)]

mod method;
mod settings;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Ties a request type to its method and to the reply of that method.
///
/// `#[method("service.entity.method_name", reply = Reply)]` names both.
#[proc_macro_derive(Method, attributes(method))]
pub fn method(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    method::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Reads the settings of a service into a struct: each field is a setting.
///
/// `#[setting("KEY")]` names the key; without it the key is the name of the field in capital
/// letters. `default = "..."` is the text of the value when nobody sets it, `secret` keeps the
/// value out of sight. The field's comment is what `--help` prints.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    settings::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
