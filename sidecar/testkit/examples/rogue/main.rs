//! The service `rogue` of the tests: its handlers do what the body of a message tells them, and
//! that is what no good service does. They hang, panic, end the process, answer too much, ask
//! themselves.
//!
//! Most of them have an effect first: a row in the table `public.effect(uid, what)`, which the test
//! makes. The program serves under any name, so that one copy can ask another of its kind.

mod answers;
mod calls;
mod effects;
mod endings;
mod flaky;
mod numbers;
mod replies;

use tpro_sidecar::Service;

fn main() -> std::process::ExitCode {
    let name = std::env::var("SERVICE_NAME").unwrap_or_else(|_| "rogue".to_owned());
    let parts = [
        answers::register,
        calls::register,
        effects::register,
        endings::register,
        flaky::register,
        numbers::register,
        replies::register,
    ];
    tpro_sidecar::run(parts.into_iter().fold(Service::new(&name), |service, register| register(service)))
}
