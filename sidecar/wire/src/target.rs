//! The target of a message.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{MAX_NAME, MAX_WORD};
use crate::token;

/// `<space>.<service>.<entity>.<method_name>`, which is also the NATS subject:
/// `tpro.analytic.example.simple`.
///
/// Space and service match `^[a-z][a-z0-9_]{0,39}$`, entity and method name
/// `^[A-Za-z0-9_-]{1,100}$`. No dot, no wildcard, no space and no line break can get in, so a
/// target cannot become another subject or another line of the NATS protocol. The service may be a
/// reserved name, since it may be somebody else's.
///
/// A clone shares the text.
#[derive(Clone)]
pub struct Target {
    subject: Arc<str>,
    /// The places of the dots. A `u16` each, since the longest subject has 283 bytes.
    dots: [u16; 3],
}

/// The reason why a text is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A subject with another number of tokens than four.
    #[error("a target is <space>.<service>.<entity>.<method_name>")]
    Shape,
    /// The space breaks its rule.
    #[error("the space must match ^[a-z][a-z0-9_]{{0,39}}$")]
    Space,
    /// The service breaks its rule.
    #[error("the service must match ^[a-z][a-z0-9_]{{0,39}}$")]
    Service,
    /// The entity breaks its rule.
    #[error("the entity must match ^[A-Za-z0-9_-]{{1,100}}$")]
    Entity,
    /// The method name breaks its rule.
    #[error("the method name must match ^[A-Za-z0-9_-]{{1,100}}$")]
    MethodName,
}

const MAX_LEN: usize = 2 * MAX_NAME + 2 * MAX_WORD + 3;

impl Target {
    /// Makes a target of its four tokens.
    pub fn new(space: &str, service: &str, entity: &str, method_name: &str) -> Result<Self, TargetError> {
        check(space, service, entity, method_name)?;
        // Put together on the stack: one allocation for the shared text, not two.
        let mut buffer = [b'.'; MAX_LEN];
        let mut end = 0;
        let mut dots = [0u16; 3];
        for (index, token) in [space, service, entity, method_name].into_iter().enumerate() {
            buffer[end..end + token.len()].copy_from_slice(token.as_bytes());
            end += token.len();
            if index < 3 {
                dots[index] = end as u16;
                end += 1;
            }
        }
        let subject = str::from_utf8(&buffer[..end]).map_err(|_| TargetError::Shape)?;
        Ok(Self { subject: subject.into(), dots })
    }

    /// Reads a target from a subject.
    pub fn parse(subject: &str) -> Result<Self, TargetError> {
        let mut tokens = subject.split('.');
        let (Some(space), Some(service), Some(entity), Some(method_name), None) =
            (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next())
        else {
            return Err(TargetError::Shape);
        };
        check(space, service, entity, method_name)?;
        let space_end = space.len();
        let service_end = space_end + 1 + service.len();
        let entity_end = service_end + 1 + entity.len();
        Ok(Self { subject: subject.into(), dots: [space_end as u16, service_end as u16, entity_end as u16] })
    }

    /// The NATS subject: `tpro.analytic.example.simple`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The space: `tpro`.
    pub fn space(&self) -> &str {
        &self.subject[..self.dot(0)]
    }

    /// The service: `analytic`.
    pub fn service(&self) -> &str {
        &self.subject[self.dot(0) + 1..self.dot(1)]
    }

    /// The service with its space: `tpro.analytic`.
    pub fn space_service(&self) -> &str {
        &self.subject[..self.dot(1)]
    }

    /// The entity: `example`.
    pub fn entity(&self) -> &str {
        &self.subject[self.dot(1) + 1..self.dot(2)]
    }

    /// The method name: `simple`.
    pub fn method_name(&self) -> &str {
        &self.subject[self.dot(2) + 1..]
    }

    /// The method as JSON-RPC calls it: `example.simple`.
    pub fn method(&self) -> &str {
        &self.subject[self.dot(1) + 1..]
    }

    /// The method with its service, as spans are named: `analytic.example.simple`.
    pub fn service_method(&self) -> &str {
        &self.subject[self.dot(0) + 1..]
    }

    fn dot(&self, index: usize) -> usize {
        usize::from(self.dots[index])
    }
}

fn check(space: &str, service: &str, entity: &str, method_name: &str) -> Result<(), TargetError> {
    if !token::is_name(space) {
        return Err(TargetError::Space);
    }
    if !token::is_name(service) {
        return Err(TargetError::Service);
    }
    if !token::is_word(entity) {
        return Err(TargetError::Entity);
    }
    if !token::is_word(method_name) {
        return Err(TargetError::MethodName);
    }
    Ok(())
}

// The subject says it all; the dots follow from it.
impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.subject.hash(state);
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.subject)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.subject).finish()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(subject: &str) -> Result<Self, TargetError> {
        Self::parse(subject)
    }
}
