//! `#[derive(Settings)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Ident, Lit, LitStr, Meta, Result,
    Token,
    ext::IdentExt as _,
    parse::{Parse, ParseStream},
};

/// The form of the attribute, for errors.
const FORM: &str = "#[setting(\"KEY\", default = \"...\", secret)]";

/// The arguments of the attribute of a field.
#[derive(Default)]
struct Arguments {
    key: Option<LitStr>,
    default: Option<LitStr>,
    is_secret: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        if input.peek(LitStr) {
            arguments.key = Some(input.parse()?);
            input.parse::<Option<Token![,]>>()?;
        }
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "default" => {
                    input.parse::<Token![=]>()?;
                    arguments.default = Some(input.parse()?);
                }
                "secret" => arguments.is_secret = true,
                _ => return Err(Error::new(name.span(), format!("not an argument; the form is {FORM}"))),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// Writes the trait.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "settings are a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "settings are a struct with named fields"));
    };
    let (mut declared, mut read) = (Vec::new(), Vec::new());
    for field in &fields.named {
        let (declares, reads) = setting(field)?;
        declared.push(declares);
        read.push(reads);
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::tpro_sidecar::Settings for #name #arguments #bounds {
            fn declared() -> ::std::vec::Vec<::tpro_sidecar::OwnSetting> {
                ::std::vec![#(#declared),*]
            }

            fn read(
                text: &dyn ::std::ops::Fn(&str) -> ::std::string::String,
            ) -> ::std::result::Result<Self, ::std::string::String> {
                ::std::result::Result::Ok(Self { #(#read),* })
            }
        }
    })
}

/// The declaration of a field, and the code that reads it.
fn setting(field: &Field) -> Result<(TokenStream, TokenStream)> {
    let Some(name) = &field.ident else {
        return Err(Error::new_spanned(field, "a setting has a name"));
    };
    let mut attributes = field.attrs.iter().filter(|attribute| attribute.path().is_ident("setting"));
    let arguments = match attributes.next() {
        Some(Attribute { meta: Meta::Path(_), .. }) | None => Arguments::default(),
        Some(attribute) => attribute.parse_args::<Arguments>()?,
    };
    if let Some(second) = attributes.next() {
        return Err(Error::new_spanned(
            second,
            "a field is one setting: all its arguments go into one attribute",
        ));
    }
    let key = arguments.key.map_or_else(|| name.unraw().to_string().to_uppercase(), |key| key.value());
    let is_upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if key.is_empty() || !key.bytes().all(is_upper) {
        return Err(Error::new(name.span(), "a key is made of capital letters, digits and underscores"));
    }
    let help = help(&field.attrs);
    if help.is_empty() {
        return Err(Error::new(name.span(), "a setting has a comment (`/// ...`): `--help` prints it"));
    }
    let (default, is_secret, ty) =
        (arguments.default.map_or_else(String::new, |it| it.value()), arguments.is_secret, &field.ty);
    Ok((
        quote! { ::tpro_sidecar::OwnSetting::of::<#ty>(#key, #default, #help, #is_secret) },
        quote! { #name: ::tpro_sidecar::OwnSetting::value(&text(#key))? },
    ))
}

/// The comment of a field in one line, without its last point.
fn help(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let text: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    text.join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_field_is_a_setting() {
        let written = expand(&parse_quote! {
            struct Own {
                /// A pause, in
                /// milliseconds.
                #[setting("PAUSE_MS", default = "200")]
                pause: u32,
                /// The token of the gateway.
                #[setting(secret)]
                gateway: Option<String>,
            }
        });
        let written = written.unwrap().to_string();
        for part in [
            quote! { ::tpro_sidecar::OwnSetting::of::<u32>("PAUSE_MS", "200", "A pause, in milliseconds", false) },
            quote! {
                ::tpro_sidecar::OwnSetting::of::<Option<String> >("GATEWAY", "", "The token of the gateway", true)
            },
            quote! { pause: ::tpro_sidecar::OwnSetting::value(&text("PAUSE_MS"))? },
        ] {
            assert!(written.contains(&part.to_string()), "{part}\nis not in\n{written}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let refused = |input: DeriveInput| expand(&input).unwrap_err().to_string();
        let mute = refused(parse_quote! { struct Own { pause: u32 } });
        assert!(mute.starts_with("a setting has a comment"), "{mute}");
        let small = refused(parse_quote! { struct Own { /** A pause. */ #[setting("pause")] pause: u32 } });
        assert_eq!(small, "a key is made of capital letters, digits and underscores");
        let odd = refused(parse_quote! { struct Own { /** A pause. */ #[setting(hidden)] pause: u32 } });
        assert!(odd.starts_with("not an argument"), "{odd}");
        let twice = refused(parse_quote! {
            struct Own { /** A code. */ #[setting("PIN")] #[setting(secret)] pin: String }
        });
        assert!(twice.starts_with("a field is one setting"), "else the value would be shown: {twice}");
        assert_eq!(refused(parse_quote! { enum Own { A } }), "settings are a struct");
        assert_eq!(refused(parse_quote! { struct Own(u8); }), "settings are a struct with named fields");
    }
}
