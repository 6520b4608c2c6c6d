//! The service `rogue` of the tests: its handlers do what the body of a message tells them, and
//! that is what no good service does. They hang, panic, end the process, answer too much, ask
//! themselves.
//!
//! Most of them have an effect first: a row in the table `public.effect(uid, what)`, which the test
//! makes. The program serves under any name, so that one copy can ask another of its kind.
//! `ROGUE_WITHOUT` names parts that it leaves out, as a release before them would. With
//! `ROGUE_STATE=fails` it has a state that cannot be made.

mod answers;
mod calls;
mod effects;
mod endings;
mod flaky;
mod limits;
mod numbers;
mod put_off;
mod replies;

use tpro_sidecar::Service;

/// Registers the handlers of a part.
type Register = fn(Service) -> Service;

fn main() -> std::process::ExitCode {
    let name = std::env::var("SERVICE_NAME").unwrap_or_else(|_| "rogue".to_owned());
    let without = std::env::var("ROGUE_WITHOUT").unwrap_or_default();
    let parts: [(&str, Register); 9] = [
        ("answers", answers::register),
        ("calls", calls::register),
        ("effects", effects::register),
        ("endings", endings::register),
        ("flaky", flaky::register),
        ("limits", limits::register),
        ("numbers", numbers::register),
        ("put_off", put_off::register),
        ("replies", replies::register),
    ];
    let parts = parts.into_iter().filter(|(name, _)| !without.split(',').any(|part| part == *name));
    let fails = std::env::var("ROGUE_STATE").is_ok_and(|state| state == "fails");
    let state = move |(): ()| if fails { Err("told to fail") } else { Ok(()) };
    let service = Service::with_state(&name, state);
    tpro_sidecar::run(parts.fold(service, |service, (_, register)| register(service)))
}
