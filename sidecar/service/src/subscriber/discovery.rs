//! Answers the tools of NATS that ask which services there are: `nats micro ls`, `info`, `stats`.
//!
//! The protocol is the Service API of NATS:
//! <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md>. Each copy is
//! an instance. Each method of the service is an endpoint. What is told here is in no body and in
//! no error: names, numbers, times, and what somebody has written about a method.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::select_all};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tpro_runtime::{
    log,
    nats::{Message, Publication, Subscriber},
};

use super::{method_counts::MethodCounts, serving::Serving};
use crate::{handler::schemas::Description, host::Host};

/// The start of all subjects of the protocol.
const PREFIX: &str = "$SRV";
/// The first token of the subjects under which clients wait for answers.
const INBOX: &str = "_INBOX";

/// The longest wait for the methods in SQL. Without a database those are told that were there last.
const SQL_PATIENCE: Duration = Duration::from_millis(250);

/// A kind of question.
#[derive(Clone, Copy)]
enum Verb {
    Ping,
    Info,
    Stats,
}

impl Verb {
    /// The verb of a subject.
    fn of(subject: &str) -> Option<Self> {
        match subject.split('.').nth(1)? {
            "PING" => Some(Self::Ping),
            "INFO" => Some(Self::Info),
            "STATS" => Some(Self::Stats),
            _ => None,
        }
    }

    /// The type of its answer.
    fn answer(self) -> &'static str {
        match self {
            Self::Ping => "io.nats.micro.v1.ping_response",
            Self::Info => "io.nats.micro.v1.info_response",
            Self::Stats => "io.nats.micro.v1.stats_response",
        }
    }
}

/// The part of a method that is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Numbers,
    /// Its way and its description.
    Kind,
    /// These, and its JSON Schemas.
    Schemas,
}

/// A copy that can be discovered.
pub(super) struct Discovery {
    serving: Arc<Serving>,
    /// The fields of every answer but its type.
    instance: Map<String, Value>,
    started: String,
    questions: Vec<Subscriber>,
}

impl Discovery {
    /// Subscribes the subjects of the protocol for this copy; `id` is its name there.
    pub(super) fn start(serving: Arc<Serving>, id: String) -> Self {
        let app = &serving.app;
        let name = &app.source.service;
        let all = ["PING", "INFO", "STATS"].map(|verb| format!("{PREFIX}.{verb}"));
        let ours = [format!("{PREFIX}.*.{name}"), format!("{PREFIX}.*.{name}.{id}")];
        let questions = all.into_iter().chain(ours).map(|subject| app.nats.subscribe(subject)).collect();
        Self { instance: instance(app, id), started: log::now(), questions, serving }
    }

    /// Answers until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut questions = select_all(std::mem::take(&mut self.questions));
        while let Some(Some(question)) = stop.run_until_cancelled(questions.next()).await {
            self.answer(&question).await;
        }
    }

    async fn answer(&self, question: &Message) {
        let Some(verb) = Verb::of(question.subject()) else { return };
        let Some(reply) = question.reply().filter(|reply| is_inbox(reply)) else { return };
        let mut payload = self.word(verb, Told::Schemas).await;
        if payload.len() > self.serving.app.nats.max_payload() {
            payload = self.word(verb, Told::Kind).await;
        }
        // The tool waits a moment, asks again, or does without.
        let answer = Publication { subject: reply, payload: payload.as_bytes(), ..Publication::default() };
        if let Err(error) = self.serving.app.nats.publish(answer).await {
            tracing::debug!("a question of the Service API of NATS is not answered: {error}");
        }
    }

    /// The answer to a question.
    async fn word(&self, verb: Verb, told: Told) -> String {
        let mut answer = self.instance.clone();
        answer.insert("type".into(), verb.answer().into());
        match verb {
            Verb::Ping => {}
            Verb::Info => {
                let description = format!("a service of tpro, in space {}", self.serving.app.config.space);
                answer.insert("description".into(), description.into());
                answer.insert("endpoints".into(), self.endpoints(told).await);
            }
            Verb::Stats => {
                answer.insert("started".into(), self.started.clone().into());
                answer.insert("endpoints".into(), self.endpoints(Told::Numbers).await);
            }
        }
        Value::Object(answer).to_string()
    }

    /// The methods.
    async fn endpoints(&self, told: Told) -> Value {
        let Serving { app, service, sql: methods_in_sql, .. } = &*self.serving;
        let deadline = Instant::now() + SQL_PATIENCE;
        let sql = methods_in_sql.all(deadline).await;
        let in_sql = sql.iter().filter(|(method, _)| service.method(method).is_none());
        let mut in_sql: Vec<_> =
            in_sql.map(|(method, sql)| (method.as_str(), sql.way.as_str(), &sql.counts)).collect();
        in_sql.sort_unstable_by_key(|(method, ..)| *method);
        let described = match told {
            Told::Kind | Told::Schemas if !in_sql.is_empty() => methods_in_sql.described(deadline).await,
            _ => Arc::default(),
        };
        let of_program = service.methods().into_iter();
        let of_program =
            of_program.filter_map(|(method, way)| Some((method, way, self.serving.counts(method)?)));
        let methods = of_program.chain(in_sql).map(|(method, way, counts)| {
            let mut endpoint = json!({
                // A name has no dots there.
                "name": method.replace('.', "_"),
                "subject": format!("{}.{}.{method}", app.config.space, app.source.service),
                "queue_group": app.source.service.queue_group(),
            });
            let more = match told {
                Told::Numbers => stats(counts),
                Told::Kind | Told::Schemas => {
                    let description = service.description(method).or(described.get(method));
                    json!({"metadata": metadata(way, description, told == Told::Schemas)})
                }
            };
            if let (Value::Object(endpoint), Value::Object(more)) = (&mut endpoint, more) {
                endpoint.extend(more);
            }
            endpoint
        });
        methods.collect()
    }
}

/// A method in the metadata of its endpoint: a text for each key. A schema is JSON in a text.
fn metadata(way: &str, description: Option<&Description>, with_schemas: bool) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("tpro.way".into(), way.into());
    let Some(description) = description else { return metadata };
    if let Some(text) = description.text() {
        metadata.insert("tpro.description".into(), text.into());
    }
    if let Some(schemas) = description.schemas.as_ref().filter(|_| with_schemas) {
        for (key, schema) in [("tpro.body_schema", schemas.body()), ("tpro.result_schema", schemas.result())]
        {
            if !schema.is_null() {
                metadata.insert(key.into(), schema.to_string().into());
            }
        }
    }
    metadata
}

/// The numbers of a method.
fn stats(counts: &MethodCounts) -> Value {
    let (requests, nanos) = counts.spent();
    json!({
        "num_requests": requests,
        "num_errors": counts.errors(),
        // The text of an error is for the one who asked.
        "last_error": "",
        "processing_time": nanos,
        "average_processing_time": nanos.checked_div(requests).unwrap_or(0),
    })
}

/// The fields of every answer. `id` is the name of this copy as long as it runs.
fn instance(app: &Host, id: String) -> Map<String, Value> {
    let version = &app.config.version;
    let fields = [
        ("name", app.source.service.to_string().into()),
        ("id", id.into()),
        ("version", semver(version).into()),
        (
            "metadata",
            json!({
                "tpro.copy": app.config.copy.to_string(),
                "tpro.release": version,
                "tpro.space": app.config.space,
            }),
        ),
    ];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// True if clients wait for answers there: `_INBOX.x` or `_INBOX.x.y`. A service that listens to
/// another subject could take an answer for a request of ours. These two are also the forms that
/// the permissions of a service allow.
fn is_inbox(subject: &str) -> bool {
    let mut tokens = subject.split('.');
    tokens.next() == Some(INBOX) && (1..=2).contains(&tokens.count())
}

/// A release in the form that the protocol wants, three numbers: `2.73` is `2.73.0`. A release that
/// is not made of one to three numbers is `0.0.0`; the metadata have it as it is.
fn semver(release: &str) -> String {
    let numbers: Option<Vec<u64>> = release.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([major]) => format!("{major}.0.0"),
        Some([major, minor]) => format!("{major}.{minor}.0"),
        Some([major, minor, patch]) => format!("{major}.{minor}.{patch}"),
        _ => "0.0.0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schemas;

    #[test]
    fn a_release_becomes_three_numbers() {
        for (release, version) in [
            ("1", "1.0.0"),
            ("2.73", "2.73.0"),
            ("01.2.3", "1.2.3"),
            ("1.2.3.4", "0.0.0"),
            ("1.0-rc1", "0.0.0"),
            ("", "0.0.0"),
        ] {
            assert_eq!(semver(release), version, "{release}");
        }
    }

    #[test]
    fn the_metadata_of_a_method_are_texts() {
        assert_eq!(Value::Object(metadata("default", None, true)), json!({"tpro.way": "default"}));
        let schemas = Some(Schemas::of::<u8, u8>());
        let known = Description { text: Some("counts".to_owned()), schemas };
        let told = metadata("stateless", Some(&known), true);
        assert!(told.values().all(Value::is_string), "{told:?}");
        let schema: Value = serde_json::from_str(told["tpro.body_schema"].as_str().unwrap()).unwrap();
        assert_eq!(schema["maximum"], 255);
        let of_body = Description { text: None, schemas: Some(Schemas::known(json!({}), Value::Null)) };
        let of_body = metadata("stateless", Some(&of_body), true);
        assert_eq!(Value::Object(of_body), json!({"tpro.way": "stateless", "tpro.body_schema": "{}"}));
        let short = metadata("stateless", Some(&known), false);
        assert_eq!(Value::Object(short), json!({"tpro.way": "stateless", "tpro.description": "counts"}));
    }

    #[test]
    fn only_an_inbox_is_answered() {
        assert!(is_inbox("_INBOX.a") && is_inbox("_INBOX.a.b"));
        for subject in ["", "_INBOX", "_INBOX.a.b.c", "_INBOXES.a", "tpro.co.x.y", "x._INBOX.a"] {
            assert!(!is_inbox(subject), "{subject}");
        }
    }

    #[test]
    fn a_question_is_known_by_its_second_token() {
        assert!(matches!(Verb::of("$SRV.PING"), Some(Verb::Ping)));
        assert!(matches!(Verb::of("$SRV.STATS.main.00"), Some(Verb::Stats)));
        assert!(Verb::of("$SRV").is_none() && Verb::of("$SRV.SCHEMA.main").is_none());
    }
}
