//! The log and the panic hook of the whole process, installed in one place.

use std::panic;

use tracing::Subscriber;

/// Makes this the log of the process, and sends panics there.
///
/// A panic's text stays in our own log: the default hook would write it to stderr, past format and
/// file.
pub fn install(subscriber: impl Subscriber + Send + Sync + 'static) {
    // Set before only by a test in the same process.
    let _ = tracing::subscriber::set_global_default(subscriber);
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("no text");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(code.location = place, "a task panicked: {text}");
    }));
}
