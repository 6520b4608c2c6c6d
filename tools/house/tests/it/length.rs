//! A source is short: it has one noun.

use std::io;

use tpro_house::length::{self, LIMIT};

#[test]
fn no_source_is_too_long() -> io::Result<()> {
    let all = length::all()?;
    assert!(all.len() > 200, "only {} sources were read", all.len());
    let long: Vec<_> = all.iter().filter(|(lines, _)| *lines > LIMIT).collect();
    assert!(long.is_empty(), "more than {LIMIT} lines before the tests: {long:?}");
    Ok(())
}

#[test]
fn tests_are_not_counted() {
    let source = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
    assert_eq!(length::of(source), 2);
    assert_eq!(length::of("fn a() {}\n".repeat(LIMIT + 1).as_str()), LIMIT + 1);
    // These are in a file of their own, and what follows is no test.
    assert_eq!(length::of("#[cfg(test)]\nmod tests;\n\nfn a() {}\n"), 4);
}
