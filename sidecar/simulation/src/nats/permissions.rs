//! What a user may publish and subscribe to.

use std::sync::Arc;

use super::subject::matches;

/// The permissions of a user. Without a list everything is allowed that is not denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The subjects that the user may publish to.
    pub publish: Option<Vec<Arc<str>>>,
    /// The subjects that the user may not publish to.
    pub publish_denied: Vec<Arc<str>>,
    /// The subjects that the user may subscribe to.
    pub subscribe: Option<Vec<Arc<str>>>,
    /// The subjects that the user may not subscribe to.
    pub subscribe_denied: Vec<Arc<str>>,
}

impl Permissions {
    /// True if the user may publish to this subject.
    pub fn may_publish(&self, subject: &str) -> bool {
        is_allowed(self.publish.as_deref(), &self.publish_denied, subject)
    }

    /// True if the user may subscribe to this subject.
    pub fn may_subscribe(&self, subject: &str) -> bool {
        is_allowed(self.subscribe.as_deref(), &self.subscribe_denied, subject)
    }

    /// True if a message of this subject may come to the user by a subscription with wildcards.
    pub fn may_get(&self, subject: &str) -> bool {
        is_allowed(None, &self.subscribe_denied, subject)
    }
}

fn is_allowed(allowed: Option<&[Arc<str>]>, denied: &[Arc<str>], subject: &str) -> bool {
    allowed.is_none_or(|allowed| allowed.iter().any(|pattern| matches(pattern, subject)))
        && !denied.iter().any(|pattern| matches(pattern, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_taken_off_what_is_allowed() {
        let permissions = Permissions {
            publish: Some(vec!["a.>".into()]),
            publish_denied: vec!["a.b".into()],
            ..Permissions::default()
        };
        let may = ["a.c", "a.b", "b"].map(|subject| permissions.may_publish(subject));
        assert_eq!(may, [true, false, false]);
        assert!(permissions.may_subscribe("b"));
        let permissions = Permissions { subscribe_denied: vec!["a.b".into()], ..Permissions::default() };
        assert!(permissions.may_subscribe("a.>") && !permissions.may_subscribe("a.b"));
        assert!(permissions.may_get("a.c") && !permissions.may_get("a.b"));
    }
}
