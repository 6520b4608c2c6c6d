//! The JSON Schemas of a method, and a sentence about it.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use tpro_schema::Schema;

/// The JSON Schemas of a method's body and of its result.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use schemars::JsonSchema;
/// use tpro_sidecar::Schemas;
///
/// #[derive(JsonSchema)]
/// #[allow(dead_code)]
/// struct Order {
///     prices: Vec<u32>,
/// }
///
/// let schemas = Schemas::of::<Order, u32>();
/// assert_eq!(schemas.body()["required"][0], "prices");
/// assert_eq!(schemas.result()["type"], "integer");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schemas {
    body: Value,
    result: Value,
}

/// The knowledge about a method beside its handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Description {
    /// A sentence about the method.
    pub(crate) text: Option<String>,
    pub(crate) schemas: Option<Schemas>,
}

impl Schemas {
    /// The schemas of a body that is read as `T`, and of a result `R` as it is written: JSON Schema
    /// of draft 2020-12.
    pub fn of<T: JsonSchema, R: JsonSchema>() -> Self {
        let settings = SchemaSettings::draft2020_12;
        Self {
            body: settings().for_deserialize().into_generator().into_root_schema_for::<T>().to_value(),
            result: settings().for_serialize().into_generator().into_root_schema_for::<R>().to_value(),
        }
    }

    /// Schemas that somebody has written; null stands for one that is not known.
    pub(crate) fn known(body: Value, result: Value) -> Self {
        Self { body, result }
    }

    /// The schema of the body.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The schema of the result.
    pub fn result(&self) -> &Value {
        &self.result
    }

    /// Each of them that a body could not be checked by, in words.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        let both = [("body", &self.body), ("result", &self.result)];
        both.into_iter().filter_map(|(what, schema)| {
            let error = Schema::of(schema).err()?;
            Some(format!("the schema of its {what}: {error}"))
        })
    }
}

impl Description {
    /// The sentence about the method: as it was given, or else the one about the type of its body.
    pub(crate) fn text(&self) -> Option<&str> {
        let of_body = || self.schemas.as_ref()?.body.get("description")?.as_str();
        self.text.as_deref().or_else(of_body)
    }
}
