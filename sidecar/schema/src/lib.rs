//! Does a body fit a JSON Schema?
//!
//! A publish asks this inside a backend of PostgreSQL. There a stack that overflows ends the whole
//! server, and a loop without an end cannot be cancelled. So this is not a complete validator, but
//! one with bounds: the size of a schema ([`MAX_SCHEMA`]), the depth of a check ([`MAX_DEPTH`]) and
//! its steps ([`MAX_STEPS`]).
//!
//! **It never refuses a body that a complete validator would take.** A keyword that is not known
//! here permits everything, a `oneOf` is read as an `anyOf`, and a check that reaches a bound ends
//! with [`Verdict::Unknown`]. So does one that meets an array where the schema has an object: a
//! type of serde that has its members by name takes them by position, too. A test compares it with
//! a complete validator.
//!
//! The language is JSON Schema: <https://json-schema.org/draft/2020-12/json-schema-validation>, and
//! <https://json-schema.org/draft-07/json-schema-validation> for a schema that says so.
//!
//! ```
//! use serde_json::json;
//! use tpro_schema::{Schema, Verdict};
//!
//! let schema = Schema::of(&json!({
//!     "type": "object",
//!     "properties": {"login": {"type": "string"}},
//!     "required": ["login"]
//! }))?;
//! assert_eq!(schema.check(&json!({"login": "ann"})), Verdict::Fits);
//! let Verdict::Misfits(problems) = schema.check(&json!({"login": 7})) else { unreachable!() };
//! assert_eq!(problems[0].path, "login");
//! assert_eq!(problems[0].text, "must be a string");
//! # Ok::<(), tpro_schema::SchemaError>(())
//! ```
#![forbid(unsafe_code)]

mod check;
mod compile;
mod equal;
mod kinds;
mod node;
mod number;
mod path;
mod reference;

use node::Node;
use serde_json::Value;

/// The largest schema, in bytes of compact JSON.
pub const MAX_SCHEMA: usize = 32 * 1024;
/// The most schemas within a schema.
pub const MAX_NODES: usize = 5_000;
/// The deepest nesting of schemas in one check. Each takes some hundred bytes of the stack.
pub const MAX_DEPTH: usize = 400;
/// The most steps of a check: about one for each value and each schema that it meets.
pub const MAX_STEPS: usize = 200_000;
/// The most problems that a check lists.
pub const MAX_PROBLEMS: usize = 20;

/// A schema that is ready to be asked.
#[derive(Debug)]
pub struct Schema {
    /// The first one is the schema itself.
    nodes: Vec<Node>,
}

/// An answer to the question if a body fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that the schema says speaks against it.
    Fits,
    /// It does not fit: at most [`MAX_PROBLEMS`] problems, and at least one.
    Misfits(Vec<Problem>),
    /// The check has reached one of its bounds, or has met members by position.
    Unknown,
}

/// A place in a body that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, as `tags[1].kind`. Empty for the body itself. A name that a program could not
    /// have is `?`, since it may be data.
    pub path: String,
    /// The rest of a sentence about it, as `must be a string`. It has no value of the body.
    pub text: String,
}

/// A text that is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is larger than [`MAX_SCHEMA`].
    #[error("a schema has at most {MAX_SCHEMA} bytes of JSON, not {0}")]
    TooLarge(usize),
    /// A schema is an object or a boolean.
    #[error("a schema is an object or a boolean{}", at(.0))]
    NotASchema(String),
    /// A keyword has a value that it cannot have.
    #[error("{keyword}{} must be {expected}", at(.place))]
    Keyword {
        /// The keyword.
        keyword: &'static str,
        /// The place of its schema, as a JSON Pointer.
        place: String,
        /// The values that it takes.
        expected: &'static str,
    },
    /// It has more than [`MAX_NODES`] schemas within it.
    #[error("a schema has at most {MAX_NODES} schemas within it")]
    TooMany,
    /// It has a text with a zero byte.
    #[error("a schema has no \\u0000, which jsonb cannot hold")]
    Nul,
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("a schema is nested at most {MAX_DEPTH} levels deep")]
    TooDeep,
}

fn at(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" at {place}") }
}

impl Schema {
    /// Reads a schema.
    pub fn of(schema: &Value) -> Result<Self, SchemaError> {
        compile::nodes(schema).map(|nodes| Self { nodes })
    }

    /// Asks if a body fits.
    pub fn check(&self, body: &Value) -> Verdict {
        check::check(&self.nodes, std::iter::once(body)).1
    }

    /// Asks if all bodies of a batch fit, within the bounds of one check. The problems are those of
    /// the first that does not, and their paths begin with its number.
    pub fn check_batch(&self, bodies: &[Value]) -> Verdict {
        let (number, verdict) = check::check(&self.nodes, bodies.iter());
        let Verdict::Misfits(mut problems) = verdict else { return verdict };
        for problem in &mut problems {
            let dot = if problem.path.is_empty() || problem.path.starts_with('[') { "" } else { "." };
            problem.path = format!("[{number}]{dot}{}", problem.path);
        }
        Verdict::Misfits(problems)
    }

    /// The number of schemas within it. Each takes some 400 bytes.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }
}
