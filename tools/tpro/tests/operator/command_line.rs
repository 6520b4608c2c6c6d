//! Help and mistakes, which are kept as they are printed in `tests/cmd`. `TRYCMD=overwrite` writes them again.

#[test]
fn help_and_mistakes_are_printed_as_they_are_kept() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("tpro", std::path::PathBuf::from(env!("CARGO_BIN_EXE_tpro")));
    // The developer's own database is not meant.
    for name in ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE"] {
        cases.env(name, "");
    }
    cases.case("tests/cmd/*.trycmd");
}
