//! The install script, which is written by hand, and the library agree.

use std::collections::BTreeSet;
use std::fs;

use tpro_testkit::{Outcome, paths};

/// Whether this is what a function of the library is called there.
pub fn is_wrapper(name: &str) -> bool {
    name.ends_with("_wrapper") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[test]
fn every_function_of_the_script_is_in_the_library_and_the_other_way_round() -> Outcome {
    let script = fs::read_to_string(paths::checkout().join("sql/pg_tpro--0.1.1.sql"))?;
    let declared: BTreeSet<&str> = script.split('\'').filter(|text| is_wrapper(text)).collect();

    // The names that a library exports are zero-terminated strings in its file. PostgreSQL asks for two of each
    // function; other functions happen to be called wrappers, too.
    let library = fs::read(paths::extension_library()?)?;
    let names: BTreeSet<&str> = library
        .split(|byte| *byte == 0)
        .filter_map(|name| str::from_utf8(name).ok())
        .filter(|name| is_wrapper(name))
        .collect();
    let informed: BTreeSet<&str> = names.iter().filter_map(|name| name.strip_prefix("pg_finfo_")).collect();

    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(declared, informed);
    assert!(declared.is_subset(&names), "{names:?}");
    Ok(())
}
