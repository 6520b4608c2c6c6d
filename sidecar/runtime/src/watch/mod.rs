//! What is looked at for as long as the process lives, for the readiness checks: the connections that `App` is made of.

mod database;
mod nats;

pub use self::database::ask_time;
use crate::{app::App, nats::again};

/// Watches from now on, until the process is told to stop.
pub fn start(app: &App) {
    app.stop.tasks.spawn(database::watch(app.clone()));
    app.stop.tasks.spawn(again::hear(app.nats.clone(), app.link.again.clone(), app.stop.soft.clone()));
    app.stop.tasks.spawn(nats::watch(app.clone()));
}
