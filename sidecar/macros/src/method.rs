//! `#[derive(Method)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Token, Type, Variant,
    parse::{Parse, ParseStream},
};

/// The form of the attribute, for errors.
const FORM: &str = "#[method(\"service.entity.method_name\", reply = Reply)], with `schemas` behind it where both types have a JSON Schema";

/// The arguments of the attribute.
struct Arguments {
    target: LitStr,
    reply: Type,
    /// The word `schemas`, if it is there.
    schemas: Option<Ident>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let target: LitStr = input.parse()?;
        input.parse::<Token![,]>()?;
        let name: Ident = input.parse()?;
        if name != "reply" {
            return Err(Error::new(name.span(), "the second argument is `reply = Reply`"));
        }
        input.parse::<Token![=]>()?;
        let reply = input.parse()?;
        let mut schemas = None;
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "schemas" {
                return Err(Error::new(name.span(), "the third argument can only be the word `schemas`"));
            }
            schemas = Some(name);
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(Self { target, reply, schemas })
    }
}

/// Writes the trait.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let mut attributes = input.attrs.iter().filter(|attribute| attribute.path().is_ident("method"));
    let attribute = attributes.next().ok_or_else(|| {
        Error::new(input.ident.span(), format!("the name of the method is missing: {FORM}"))
    })?;
    if let Some(second) = attributes.next() {
        return Err(Error::new_spanned(second, "a request has one method"));
    }
    let Arguments { target, reply, schemas } = attribute
        .parse_args()
        .map_err(|error| Error::new(error.span(), format!("{error}; the form is {FORM}")))?;
    if !is_target(&target.value()) {
        return Err(Error::new(target.span(), "a target is `service.entity.method_name`"));
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    if schemas.is_some() {
        for attribute in attributes_within(&input.data).filter(|attribute| attribute.path().is_ident("serde"))
        {
            if let Some(word) = not_in_a_schema(attribute) {
                return Err(Error::new_spanned(
                    attribute,
                    format!(
                        "`schemas`: a JSON Schema does not tell of serde's `{word}`, so that bodies would be refused which the type takes"
                    ),
                ));
            }
        }
    }
    let schemas = schemas.map(|word| {
        quote_spanned! { word.span() =>
            fn schemas() -> ::core::option::Option<::tpro_sidecar::Schemas> {
                ::core::option::Option::Some(::tpro_sidecar::Schemas::of::<Self, #reply>())
            }
        }
    });
    Ok(quote! {
        impl #generics ::tpro_sidecar::Method for #name #arguments #bounds {
            const TARGET: &'static str = #target;
            type Reply = #reply;
            #schemas
        }
    })
}

/// The attributes of all fields and variants.
fn attributes_within(data: &Data) -> impl Iterator<Item = &Attribute> {
    let (own, variants): (Option<&Fields>, Vec<&Variant>) = match data {
        Data::Struct(data) => (Some(&data.fields), Vec::new()),
        Data::Enum(data) => (None, data.variants.iter().collect()),
        Data::Union(_) => (None, Vec::new()),
    };
    let of_variants = variants.iter().flat_map(|variant| variant.attrs.iter()).collect::<Vec<_>>();
    let fields = own.into_iter().chain(variants.into_iter().map(|variant| &variant.fields));
    fields.flat_map(|fields| fields.iter().flat_map(|field| field.attrs.iter())).chain(of_variants)
}

/// The word of serde in this attribute that schemars does not read.
fn not_in_a_schema(attribute: &Attribute) -> Option<String> {
    let words = attribute.meta.require_list().ok()?.tokens.clone().into_iter();
    let mut words = words.filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    });
    words.find(|word| ["alias", "with", "deserialize_with"].contains(&word.as_str()))
}

/// True if the text has three names. The rules of a name are looked at when the service starts.
fn is_target(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    text.split('.').count() == 3 && text.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn the_trait_has_the_target_and_the_reply() {
        let written = expand(&parse_quote! {
            #[method("analytic.example.simple", reply = Session)]
            struct Login<T> where T: Clone { name: T }
        });
        let expected = quote! {
            impl<T> ::tpro_sidecar::Method for Login<T> where T: Clone {
                const TARGET: &'static str = "analytic.example.simple";
                type Reply = Session;
            }
        };
        assert_eq!(written.unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn the_trait_has_schemas_where_they_are_asked_for() {
        let written = expand(&parse_quote! {
            #[method("analytic.example.simple", reply = Session, schemas)]
            struct Login;
        });
        let written = written.unwrap().to_string();
        let made = quote! { ::tpro_sidecar::Schemas::of::<Self, Session>() }.to_string();
        assert!(written.contains(&made), "{written}");
    }

    #[test]
    fn a_mistake_is_named() {
        let refused = |input: DeriveInput| expand(&input).unwrap_err().to_string();
        let missing = refused(parse_quote! { struct Login; });
        assert!(missing.starts_with("the name of the method is missing"), "{missing}");
        let two_names = refused(parse_quote! { #[method("example.simple", reply = ())] struct Login; });
        assert_eq!(two_names, "a target is `service.entity.method_name`");
        let no_reply = refused(parse_quote! { #[method("a.b.c", result = ())] struct Login; });
        assert!(no_reply.starts_with("the second argument is `reply = Reply`"), "{no_reply}");
        let alias = refused(parse_quote! {
            #[method("a.b.c", reply = (), schemas)]
            struct Login { #[serde(default, alias = "user")] login: String }
        });
        assert!(alias.contains("serde's `alias`"), "{alias}");
        let third = refused(parse_quote! { #[method("a.b.c", reply = (), schema)] struct Login; });
        assert!(third.starts_with("the third argument can only be"), "{third}");
        let twice = refused(parse_quote! {
            #[method("a.b.c", reply = ())]
            #[method("a.b.d", reply = ())]
            struct Login;
        });
        assert_eq!(twice, "a request has one method");
    }
}
