//! The run of a test: its runtime, and the time that it takes.

use std::{
    fs::OpenOptions,
    future::Future,
    io::Write as _,
    time::{Duration, Instant},
};

/// The variable that names a file for the times of tests: a line for each, seconds and name.
const TIMES: &str = "TPRO_TEST_TIMES";

/// Runs a test on a runtime of its own. The attribute [`test`](crate::test) calls it.
pub fn run<T>(threads: usize, package: &str, name: &str, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("a test has no runtime: {error}"));
    let _time = Time { package, name, since: Instant::now() };
    runtime.block_on(test)
}

/// Takes the time of a test until it is dropped, also by a panic.
struct Time<'a> {
    package: &'a str,
    name: &'a str,
    since: Instant,
}

impl Drop for Time<'_> {
    fn drop(&mut self) {
        let Some(file) = std::env::var_os(TIMES) else { return };
        // Without its time a test is as good as with it.
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(file) {
            let _ = file.write_all(line(self.package, self.name, self.since.elapsed()).as_bytes());
        }
    }
}

/// `12.345 tpro-sidecar: cancels::what_is_answered_stays_answered`
fn line(package: &str, name: &str, time: Duration) -> String {
    // Without the name of the test program.
    let name = name.split_once("::").map_or(name, |(_, within)| within);
    format!("{:.3} {package}: {name}\n", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_line_with_the_name_that_cargo_test_knows() {
        let line = line("tpro-sidecar", "it::cancels::a_name", Duration::from_millis(1234));
        assert_eq!(line, "1.234 tpro-sidecar: cancels::a_name\n");
    }
}
