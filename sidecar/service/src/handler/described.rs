//! The registration of a method's description: a sentence, and the JSON Schemas of body and result.

use schemars::JsonSchema;

use super::{
    Service,
    schemas::{Description, Schemas},
};

/// The longest sentence about a method, in bytes.
const MAX_TEXT: usize = 500;

impl<S> Service<S> {
    /// Says in a sentence what the method does that was registered last, at most 500 bytes. It is
    /// shown in `tpro.methods` and by the tools of NATS. Without it the doc comment of the body's
    /// type is shown, if the method has schemas.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    /// use tpro_sidecar::{Ctx, Fault, Service};
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Order {
    ///     prices: Vec<u32>,
    /// }
    ///
    /// #[derive(Serialize, JsonSchema)]
    /// struct Total {
    ///     sum: u32,
    /// }
    ///
    /// async fn total(_ctx: Ctx, order: Order) -> Result<Total, Fault> {
    ///     Ok(Total { sum: order.prices.iter().sum() })
    /// }
    ///
    /// fn service() -> Service {
    ///     Service::new("billing")
    ///         .handle("invoice.total", total)
    ///         .description("adds the prices of an order")
    ///         .schemas::<Order, Total>()
    /// }
    /// ```
    pub fn description(mut self, text: &str) -> Self {
        let given =
            (text.len() > MAX_TEXT || text.is_empty()).then(|| format!("it has 1 to {MAX_TEXT} bytes"));
        let is_second = |own: &mut Description| own.text.replace(text.to_owned()).is_some();
        self.describe("description", given.into_iter().collect(), is_second);
        self
    }

    /// Says which bodies the method takes that was registered last, and which results it has: as
    /// JSON Schemas, made of their types. They are shown in `tpro.methods` and by the tools of
    /// NATS, and with the setting `tpro.check_bodies` a publish of a body that does not fit is
    /// refused. See [`Service::description`] for an example.
    ///
    /// schemars reads the attributes of serde but for `alias`, `with` and `deserialize_with`. A
    /// type that has one of these takes more than its schema says; give it a schema of your own by
    /// `#[schemars(with = "...")]`, or none.
    ///
    /// A request that derives `Method` brings its schemas along, if it says so:
    /// `#[method("billing.invoice.total", reply = Total, schemas)]`.
    pub fn schemas<T: JsonSchema, R: JsonSchema>(mut self) -> Self {
        self.add_schemas(Schemas::of::<T, R>());
        self
    }

    pub(super) fn add_schemas(&mut self, schemas: Schemas) {
        let problems = schemas.problems().collect();
        let is_second = |own: &mut Description| own.schemas.replace(schemas).is_some();
        self.describe("schemas", problems, is_second);
    }

    /// Adds to what is known of the method that was registered last. `is_second` sets it, and
    /// returns whether it was there.
    fn describe(
        &mut self,
        what: &str,
        problems: Vec<String>,
        is_second: impl FnOnce(&mut Description) -> bool,
    ) {
        let Some(method) = &self.last else {
            self.problems.push(format!("{what} follows no handler of a method"));
            return;
        };
        self.problems.extend(problems.into_iter().map(|problem| format!("{what} of {method:?}: {problem}")));
        if is_second(self.handlers.description_mut(method)) {
            self.problems.push(format!("{what} of {method:?}: it is given twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use tpro_wire::ServiceName;

    use super::*;
    use crate::{AnyBody, Ctx, Fault, Method};

    async fn answer(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }

    /// Asks for a name.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Ask {
        name: String,
        #[serde(default)]
        age: Option<u8>,
    }

    impl Method for Ask {
        const TARGET: &'static str = "co.example.ask";
        type Reply = u8;

        fn schemas() -> Option<Schemas> {
            Some(Schemas::of::<Self, u8>())
        }
    }

    async fn ask(_: Ctx, asked: Ask) -> Result<u8, Fault> {
        Ok(asked.age.unwrap_or(u8::try_from(asked.name.len()).unwrap_or(0)))
    }

    fn problems(service: &Service) -> Vec<String> {
        service.problems(&ServiceName::parse("co").unwrap())
    }

    #[test]
    fn a_request_brings_its_schemas_and_its_sentence() {
        let service = Service::new("co").handle_request(ask).handle("example.any", answer);
        assert_eq!(problems(&service), Vec::<String>::new());
        let asked = service.handlers.description("example.ask").unwrap();
        assert_eq!(asked.text(), Some("Asks for a name."));
        let schemas = asked.schemas.clone().unwrap();
        assert_eq!(schemas.body()["required"], serde_json::json!(["name"]));
        assert_eq!(schemas.result()["maximum"], 255);
        assert!(service.handlers.description("example.any").is_none());
    }

    #[test]
    fn a_sentence_that_is_given_is_the_one_that_is_shown() {
        let service = Service::new("co").handle_request(ask).description("asks");
        assert_eq!(service.handlers.description("example.ask").unwrap().text(), Some("asks"));
    }

    #[test]
    fn all_mistakes_are_said_at_once() {
        let service = Service::new("co")
            .description("too early")
            .handle("example.any", answer)
            .description("")
            .schemas::<Ask, u8>()
            .schemas::<Ask, u8>();
        assert_eq!(
            problems(&service),
            [
                "description follows no handler of a method",
                r#"description of "example.any": it has 1 to 500 bytes"#,
                r#"schemas of "example.any": it is given twice"#,
            ]
        );
    }
}
