//! How a service says what it answers, and what a handler is given.

pub mod reply;

/// The handlers of one service.
pub struct Service {
    name: String,
}

impl Service {
    /// A service without handlers. The name is checked at `run`.
    pub fn new(name: &str) -> Self {
        Self { name: name.into() }
    }
    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Whether a reply of this target (`co.example.method`) has a reply handler.
    pub fn has_reply_handler(&self, _target: &tpro_wire::target::Target) -> bool {
        false
    }
}

/// What a handler is given.
pub struct Ctx {}

/// A transaction of a handler: `publish` but no `call`.
pub struct Tx {}

/// An error the caller sees.
pub struct Fault {}
