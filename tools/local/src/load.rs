//! The programs that load tpro and measure it: `make bench`, `chaos`, `soak` and `simulate`.

use crate::cargo::{self, Profile};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::peers;
use crate::replace::by;
use crate::settings::{Settings, shortened};
use crate::setup::{self, Use};

/// The benchmark, in a database of its own beside the local services. With PEERS=1 other job queues
/// are installed for it.
pub fn bench(checkout: &Checkout) -> Outcome {
    let with_peers = wants_peers(&checkout.settings)?;
    setup::install(checkout, Use::Services)?;
    let programs = ["tpro-bench", "echo_service", "main_service"];
    measured(checkout, "building the benchmark", &programs, &["--lib"])?;
    if with_peers {
        peers::install(checkout)?;
    }
    by(checkout.command(Profile::Measured.folder(checkout).join("tpro-bench")))
}

/// Load under random faults, on servers of its own; then a look if the promise was kept.
pub fn chaos(checkout: &Checkout) -> Outcome {
    load(checkout, "run", 600)
}

/// Load without faults; then a look if anything grows.
pub fn soak(checkout: &Checkout) -> Outcome {
    load(checkout, "soak", 1800)
}

/// Random runs of the real cores on simulated servers.
pub fn simulate(checkout: &Checkout) -> Outcome {
    let (seconds, seed) = (seconds(&checkout.settings, 60)?, seed(checkout)?);
    setup::install(checkout, Use::Services)?;
    measured(checkout, "building", &["tpro-simulate"], &[])?;
    let mut program = checkout.command(Profile::Measured.folder(checkout).join("tpro-simulate"));
    program.arg(seconds).args(seed);
    by(program)
}

fn load(checkout: &Checkout, kind: &str, default: u64) -> Outcome {
    let (seconds, seed) = (enough_seconds(&checkout.settings, default)?, seed(checkout)?);
    setup::install(checkout, Use::Services)?;
    // The example is `rogue`, the service whose handlers have effects. Building any
    // turns the feature `failpoints` on in all services (cargo tree -e features -i fail: the crate
    // is a dev-dependency of itself). Built without, the crate would be compiled a second time for
    // minutes, and that one service would have it all the same. A point that nobody has set is a
    // look into an empty map, which grows by nothing.
    let programs = ["tpro-chaos", "main_service", "analytic_service", "co_service"];
    measured(checkout, "building", &programs, &["--lib", "--example", "rogue"])?;
    let mut program = checkout.command(Profile::Measured.folder(checkout).join("tpro-chaos"));
    program.args([kind, "--seconds", &seconds]);
    if let Some(seed) = seed {
        program.args(["--seed", &seed]);
    }
    program.arg("--logs").arg(checkout.logs());
    by(program)
}

/// Builds these programs and no more: each is optimised as a whole, which takes a minute or two.
fn measured(checkout: &Checkout, label: &str, programs: &[&str], more: &[&str]) -> Outcome {
    let programs = programs.iter().flat_map(|program| ["--bin", program]);
    let arguments: Vec<&str> = programs.chain(more.iter().copied()).collect();
    cargo::build_all(checkout, Profile::Measured, label, &arguments)
}

/// PEERS, which asks for other job queues.
fn wants_peers(settings: &Settings) -> Outcome<bool> {
    match settings.get("PEERS").as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => fail(format!("PEERS={}: say 1, or leave it out", shortened(other))),
    }
}

/// SECONDS. make hands it on as LOAD_SECONDS, since bash counts in SECONDS itself; without make it
/// is taken as it is.
pub fn seconds(settings: &Settings, default: u64) -> Outcome<String> {
    let key = if settings.get("LOAD_SECONDS").is_some() { "LOAD_SECONDS" } else { "SECONDS" };
    Ok(settings.whole_number(key, default, "SECONDS")?.to_string())
}

/// SECONDS of a run of `tpro-chaos`, whose bounds these are. It would name them after the build.
pub fn enough_seconds(settings: &Settings, default: u64) -> Outcome<String> {
    let seconds = seconds(settings, default)?;
    match seconds.parse() {
        Ok(10..=1_000_000_u64) => Ok(seconds),
        _ => fail(format!("SECONDS={seconds}: a run takes from 10 to 1000000 seconds")),
    }
}

/// SEED, which gives the faults of an earlier run again.
fn seed(checkout: &Checkout) -> Outcome<Option<String>> {
    let Some(seed) = checkout.settings.get("SEED") else { return Ok(None) };
    if (1..=20).contains(&seed.len()) && seed.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(Some(seed));
    }
    let shown: String = seed.chars().take(40).collect();
    fail(format!("SEED={shown}: a seed is a whole number, as the run before has printed it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_of_make_come_first_and_those_without_make_count_too() {
        let of = |pairs: &[(&str, &str)]| {
            let mut settings = Settings::default();
            pairs.iter().for_each(|(key, value)| settings.set(key, *value));
            seconds(&settings, 7).map_err(|failure| failure.to_string())
        };
        assert_eq!(of(&[]).as_deref(), Ok("7"));
        assert_eq!(of(&[("SECONDS", "60")]).as_deref(), Ok("60"));
        assert_eq!(of(&[("SECONDS", "61"), ("LOAD_SECONDS", "60")]).as_deref(), Ok("60"));
        assert_eq!(of(&[("SECONDS", "60"), ("LOAD_SECONDS", "")]).as_deref(), Ok("60"));
        assert!(of(&[("SECONDS", "1.5")]).is_err_and(|refused| refused.starts_with("SECONDS=1.5: ")));
    }

    #[test]
    fn a_run_that_is_too_short_or_too_long_is_refused_before_anything_is_built() {
        let of = |value: &str| {
            let mut settings = Settings::default();
            settings.set("SECONDS", value);
            enough_seconds(&settings, 600).map_err(|failure| failure.to_string())
        };
        assert_eq!(of("10").as_deref(), Ok("10"));
        assert_eq!(of("").as_deref(), Ok("600"));
        for wrong in ["0", "9", "1000001"] {
            assert!(of(wrong).is_err_and(|refused| refused.starts_with(&format!("SECONDS={wrong}: "))));
        }
    }

    #[test]
    fn peers_are_asked_for_by_1_and_another_value_is_refused() {
        let of = |value: &str| {
            let mut settings = Settings::default();
            settings.set("PEERS", value);
            wants_peers(&settings).map_err(|failure| failure.to_string())
        };
        assert_eq!((of(""), of("0"), of("1")), (Ok(false), Ok(false), Ok(true)));
        assert_eq!(of("yes"), Err("PEERS=yes: say 1, or leave it out".to_owned()));
    }
}
