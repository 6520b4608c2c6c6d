//! The watch over the connections that `App` is made of, for the readiness checks, for as long as
//! the process lives.

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
