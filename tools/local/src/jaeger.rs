//! The local trace viewer: the Jaeger UI over tools/viewer.

use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::process::Signal;
use crate::say::since;
use crate::{bind, cargo, environment, http, port, process, state};

/// Its program.
pub const PROGRAM: &str = "tpro-viewer";
/// The time that it has to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts it, unless it runs.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    // A bad address ends the command before it waits.
    let address = bind::address(checkout)?;
    let _lock = checkout.lock("jaeger")?;
    let (otlp, ui) = (state::port(checkout, "jaeger", "otlp"), state::port(checkout, "jaeger", "ui"));
    if let (true, Some(ui)) = (process::running(checkout, "jaeger"), ui) {
        checkout.screen.remark(format!("      jaeger    http://127.0.0.1:{ui}, running"));
        let bound = state::get(checkout, "jaeger", "address").unwrap_or_else(|| bind::LOOPBACK.to_owned());
        if checkout.settings.get("BIND").is_some() && bound != address {
            checkout.screen.note(format!(
                "      it listens on {bound}: make stop-jaeger, then BIND={address} make up-jaeger"
            ));
        }
        return Ok(());
    }
    cargo::build(checkout, "building the trace viewer", &["--bin", PROGRAM])?;
    let _ports = checkout.lock("ports")?;
    let given = |setting: &str| checkout.settings.get(setting);
    let otlp = port::pick("OTLP_PORT", given("OTLP_PORT").as_deref(), "4317", otlp)?;
    let ui = port::pick("JAEGER_PORT", given("JAEGER_PORT").as_deref(), "16686", ui)?;
    let mut viewer = checkout.command(cargo::profile(checkout).join(PROGRAM));
    viewer.arg("--otlp").arg(format!("127.0.0.1:{otlp}")).arg("--ui").arg(format!("{address}:{ui}"));
    // The limits of its memory.
    for (option, setting, default) in
        [("--max-memory-mb", "TRACES_MAX_MEMORY_MB", "256"), ("--max-traces", "TRACES_MAX", "20000")]
    {
        viewer.arg(option).arg(given(setting).unwrap_or_else(|| default.to_owned()));
    }
    let pid = process::spawn(checkout, "jaeger", &viewer)?;
    let remembered = [otlp.to_string(), ui.to_string()];
    let remembered = [("otlp", &*remembered[0]), ("ui", &remembered[1]), ("address", address)];
    process::remember(checkout, "jaeger", pid, &remembered)?;
    let ready = || port::listening(otlp) && http::get(ui, "/api/services").status == 200;
    if !process::is_up_within(checkout, "jaeger", None, PATIENCE, ready) {
        return fail(format!(
            "the trace viewer did not start on ports {otlp} (OTLP_PORT) and {ui} (JAEGER_PORT)"
        ));
    }
    environment::save(checkout)?;
    let reach = if address == bind::OPEN { ", open to the network without a password" } else { "" };
    checkout.screen.say(format!("      jaeger    http://127.0.0.1:{ui}{reach}, started in {}", since(at)));
    Ok(())
}

/// Stops it. Its traces are in its memory only.
pub fn stop(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("jaeger")?;
    let Some(pid) = process::pid_of(checkout, "jaeger") else {
        checkout.screen.say("      jaeger    not running");
        return Ok(());
    };
    process::signal(pid, Signal::TERM);
    if !process::gone_within(checkout, "jaeger", Duration::from_secs(10)) {
        process::signal(pid, Signal::KILL);
    }
    process::forget_pid(checkout, "jaeger");
    checkout.screen.say(format!("      jaeger    stopped in {}; its traces are gone", since(at)));
    Ok(())
}

/// Stops it, and forgets its ports.
pub fn down_all(checkout: &Checkout) -> Outcome {
    stop(checkout)?;
    state::forget(checkout, "jaeger");
    checkout.screen.say("      jaeger    nothing of it is left but its program");
    Ok(())
}
