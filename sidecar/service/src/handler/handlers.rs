//! The handlers of a service, by name, without their types.

use std::collections::HashMap;

use tpro_wire::Target;

use super::{
    limits::Limits,
    schemas::Description,
    way::{Reaction, Way},
};

/// The handlers of a service.
#[derive(Default)]
pub struct Handlers {
    methods: HashMap<String, Way>,
    limits: HashMap<String, Limits>,
    descriptions: HashMap<String, Description>,
    replies: HashMap<String, Reaction>,
}

impl Handlers {
    /// Adds a method; false if it is there already.
    pub(super) fn add_method(&mut self, name: &str, way: Way) -> bool {
        self.methods.insert(name.to_owned(), way).is_none()
    }

    /// Makes other ways of all methods; false if there are none.
    pub(super) fn map_methods(&mut self, map: impl Fn(Way) -> Way) -> bool {
        let methods = std::mem::take(&mut self.methods);
        self.methods = methods.into_iter().map(|(name, way)| (name, map(way))).collect();
        !self.methods.is_empty()
    }

    /// Adds the handlers of a target's replies; false if they are there already.
    pub(super) fn add_reaction(&mut self, target: &str, reaction: Reaction) -> bool {
        self.replies.insert(target.to_owned(), reaction).is_none()
    }

    /// True if a reply of this target has a reply handler.
    pub fn has_reply_handler(&self, target: &Target) -> bool {
        self.replies.contains_key(target.service_method())
    }

    /// The names of all methods with their ways, in order.
    pub fn methods(&self) -> Vec<(&str, &'static str)> {
        let mut methods: Vec<_> =
            self.methods.iter().map(|(name, way)| (name.as_str(), way.as_str())).collect();
        methods.sort_unstable();
        methods
    }

    /// The limits of a method.
    pub(crate) fn limits(&self, name: &str) -> Limits {
        self.limits.get(name).copied().unwrap_or_default()
    }

    /// The limits of a method, to be set.
    pub(super) fn limits_mut(&mut self, name: &str) -> &mut Limits {
        self.limits.entry(name.to_owned()).or_default()
    }

    /// The description of a method, if it has one.
    pub(crate) fn description(&self, name: &str) -> Option<&Description> {
        self.descriptions.get(name)
    }

    /// The description of a method, to be set.
    pub(super) fn description_mut(&mut self, name: &str) -> &mut Description {
        self.descriptions.entry(name.to_owned()).or_default()
    }

    pub(crate) fn method(&self, name: &str) -> Option<&Way> {
        self.methods.get(name)
    }

    pub(crate) fn reaction(&self, target: &Target) -> Option<&Reaction> {
        self.replies.get(target.service_method())
    }
}
