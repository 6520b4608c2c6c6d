//! The attribute `#[tpro_testkit::test]`: an async test on a runtime with two threads, whose time
//! is taken.
#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes a test of an async function without arguments. `#[test(threads = 4)]` gives its runtime
/// another number of threads.
///
/// The function becomes `fn name() -> T { async fn name() -> T { ... }
/// tpro_testkit::testing::run(...) }`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let written = expand(arguments, function);
    written.unwrap_or_else(|mistake| source(&format!("::core::compile_error!({mistake:?});")))
}

fn expand(arguments: TokenStream, function: TokenStream) -> Result<TokenStream, String> {
    let threads = threads(&arguments.to_string())?;
    let mut tokens = function.into_iter().peekable();
    // Attributes, among them `ignore` and the documentation, stay with the test.
    let mut attributes = TokenStream::new();
    while let Some(TokenTree::Punct(hash)) =
        tokens.next_if(|it| matches!(it, TokenTree::Punct(it) if it.as_char() == '#'))
    {
        attributes.extend([TokenTree::Punct(hash)]);
        attributes.extend(tokens.next());
    }
    let rest: Vec<TokenTree> = tokens.collect();
    let [TokenTree::Ident(first), TokenTree::Ident(second), TokenTree::Ident(name), ..] = &rest[..] else {
        return Err("a test is an `async fn` without a visibility".to_owned());
    };
    if (first.to_string().as_str(), second.to_string().as_str()) != ("async", "fn") {
        return Err("a test is an `async fn`".to_owned());
    }
    match rest.get(3) {
        Some(TokenTree::Group(arguments)) if arguments.stream().is_empty() => {}
        _ => return Err("a test has no arguments".to_owned()),
    }
    let name = name.to_string();
    let call = source(&format!(
        "::tpro_testkit::testing::run({threads}, ::core::env!(\"CARGO_PKG_NAME\"), \
         ::core::concat!(::core::module_path!(), \"::{name}\"), {name}())"
    ));
    // The signature without `async` and without the body, and then the function itself as a part of
    // the new body.
    let signature = rest[1..rest.len() - 1].iter().cloned();
    let body: TokenStream = rest.iter().cloned().chain(call).collect();
    let body = TokenTree::Group(Group::new(Delimiter::Brace, body));
    Ok(attributes
        .into_iter()
        .chain(source("#[::core::prelude::v1::test]"))
        .chain(signature)
        .chain([body])
        .collect())
}

/// The number of threads that the arguments ask for.
fn threads(arguments: &str) -> Result<usize, String> {
    if arguments.is_empty() {
        return Ok(2);
    }
    let number = arguments.split_once('=').filter(|(name, _)| name.trim() == "threads");
    let number = number.and_then(|(_, number)| number.trim().parse().ok());
    number.ok_or_else(|| format!("the only argument is `threads = N`, not `{arguments}`"))
}

/// Tokens of code that is written here.
fn source(code: &str) -> TokenStream {
    code.parse().unwrap_or_default()
}
