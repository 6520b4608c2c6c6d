//! Tells the database which methods this copy answers, for `tpro.methods` and for the check of
//! bodies that are published; and which others it hears of.
//!
//! A copy writes its methods when it begins to serve, and says twice a minute that it is still
//! there. A copy that has said nothing for two minutes does not count as running; one that stops
//! takes its word back. Nothing waits for any of this: without a database, or with one of an
//! earlier release, nobody knows the methods of the copy, and all else goes on.
//!
//! Once a minute one copy of each database asks on NATS which services there are elsewhere. What it
//! hears is noted, and not trusted.

mod heard;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;
use tpro_runtime::{backoff::jittered, failpoint, nats::Publication, random};
use tpro_wire::Priority;

use crate::{
    handler::{Handlers, QueryError, cause::describe},
    host::Host,
};

/// The pause between two words of a copy.
const PAUSE: Duration = Duration::from_secs(25);
/// The pause before the first word is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time for a word.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time for the last word.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// The question of the Service API of NATS.
const QUESTION: &str = "$SRV.INFO";
/// The time for answers to it.
const ANSWERS: Duration = Duration::from_secs(1);
/// The most copies that are noted at once.
const MAX_COPIES: usize = 500;
/// The most bytes of answers that are read at once.
const MAX_BYTES: usize = 4 * 1024 * 1024;

const HEARS: &str = "SELECT tpro.hears($1)";
const HEARD: &str = "SELECT tpro.heard($1, $2::text::jsonb)";
const SERVES: &str = "SELECT tpro.serves($1, $2, $3, $4, $5::text::jsonb)";
const SERVES_NO_MORE: &str = "SELECT tpro.serves_no_more($1, $2, $3)";

/// The word of this copy in the catalogue.
pub(crate) struct Catalogue {
    app: Arc<Host>,
    /// The name of this copy there.
    copy: String,
    /// The methods of the program, as JSON.
    methods: String,
    /// True if the database has known them once.
    is_told: AtomicBool,
    has_warned: AtomicBool,
}

impl Catalogue {
    /// The methods of a copy with this name.
    pub(crate) fn new(app: &Arc<Host>, handlers: &Handlers, copy: &str) -> Self {
        let (is_told, has_warned) = Default::default();
        Self {
            app: app.clone(),
            copy: copy.to_owned(),
            methods: methods(handlers).to_string(),
            is_told,
            has_warned,
        }
    }

    /// Tells the database until `stop`, and then takes the word back.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let pause =
            failpoint::number("catalogue.pause_ms").map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let pause = pause.unwrap_or(PAUSE);
        let telling = async {
            // Until its methods are known, a body that only this release takes may be refused.
            while !self.tell().await {
                sleep(jittered(FIRST_PAUSE)).await;
            }
            loop {
                sleep(jittered(pause)).await;
                self.tell().await;
            }
        };
        if stop.run_until_cancelled(telling).await.is_none() {
            let _ = timeout(LAST_PATIENCE, self.take_back()).await;
        }
    }

    /// Says that this copy is there, and its methods where the database does not know them. Asks
    /// for others if it is the turn of this copy. True if the database has heard it, or never will.
    async fn tell(&self) -> bool {
        let telling = async {
            if !self.say(None).await? {
                self.say(Some(&self.methods)).await?;
            }
            self.is_told.store(true, Ordering::Relaxed);
            if self.app.is_connected() && self.is_its_turn().await? {
                self.note(self.listen().await).await?;
            }
            Ok::<_, QueryError>(())
        };
        match timeout(PATIENCE, telling).await {
            Ok(Err(error)) if is_of_an_earlier_release(&error) => {
                tracing::debug!("the database keeps no catalogue of methods yet: {}", describe(&error));
                return true;
            }
            // A lost connection is told by others.
            Ok(Err(error)) if error.code().is_some() && !self.has_warned.swap(true, Ordering::Relaxed) => {
                tracing::warn!("the catalogue of methods cannot be written: {}", describe(&error));
            }
            Ok(Err(error)) => {
                tracing::debug!("the catalogue of methods cannot be written: {}", describe(&error));
            }
            Ok(Ok(())) | Err(_) => {}
        }
        self.is_told.load(Ordering::Relaxed)
    }

    /// True if the database knows the methods of this copy now.
    async fn say(&self, methods: Option<&str>) -> Result<bool, QueryError> {
        let Host { app, .. } = &*self.app;
        let connection = app.pool.get(Priority::default()).await?;
        let statement = connection.prepare_cached(SERVES).await?;
        let (service, release) = (app.source.service.as_str(), &app.config.version);
        let row = connection
            .query_one(&statement, &[&service, &app.config.space.as_str(), &self.copy, release, &methods])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// True if nobody of this database has asked for a minute.
    async fn is_its_turn(&self) -> Result<bool, QueryError> {
        let Host { app, .. } = &*self.app;
        let connection = app.pool.get(Priority::default()).await?;
        let statement = connection.prepare_cached(HEARS).await?;
        Ok(connection.query_one(&statement, &[&app.source.service.as_str()]).await?.try_get(0)?)
    }

    /// Asks on NATS, and returns the copies that answer.
    async fn listen(&self) -> Vec<Value> {
        let nats = &self.app.nats;
        // Two tokens: all services may answer there, also on a server with permissions.
        let inbox = format!("_INBOX.tpro-{}.{:016x}", self.app.source.service, random::next_u64());
        let mut answers = nats.subscribe(inbox.clone());
        let question = Publication { subject: QUESTION, reply: Some(&inbox), ..Publication::default() };
        if nats.publish(question).await.is_err() {
            return Vec::new();
        }
        let (until, mut copies, mut bytes) = (Instant::now() + ANSWERS, Vec::new(), 0);
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            bytes += answer.payload().len();
            copies.extend(heard::copies(answer.payload()));
            if bytes > MAX_BYTES || copies.len() >= MAX_COPIES {
                break;
            }
        }
        copies.truncate(MAX_COPIES);
        copies
    }

    /// Notes the copies that were heard.
    async fn note(&self, copies: Vec<Value>) -> Result<(), QueryError> {
        let Host { app, .. } = &*self.app;
        let connection = app.pool.get(Priority::default()).await?;
        let copies = Value::Array(copies).to_string();
        connection.query(HEARD, &[&app.source.service.as_str(), &copies]).await?;
        Ok(())
    }

    async fn take_back(&self) -> Result<(), QueryError> {
        let Host { app, .. } = &*self.app;
        let connection = app.pool.get(Priority::default()).await?;
        let (service, space) = (app.source.service.as_str(), app.config.space.as_str());
        connection.query(SERVES_NO_MORE, &[&service, &space, &self.copy]).await?;
        Ok(())
    }
}

/// True if the extension or the service is of a release that kept no catalogue: the function is not
/// there, or the sidecar may not call it yet.
fn is_of_an_earlier_release(error: &QueryError) -> bool {
    let code = error.code();
    code == Some(&SqlState::UNDEFINED_FUNCTION) || code == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

/// The methods of a program, as `tpro.serves` takes them.
fn methods(handlers: &Handlers) -> Value {
    let method = |(name, mode): (&str, &str)| {
        let (entity, method_name) = name.split_once('.').unwrap_or_default();
        let description = handlers.description(name);
        let schemas = description.and_then(|description| description.schemas.as_ref());
        json!({
            "entity": entity,
            "method_name": method_name,
            "mode": mode,
            "description": description.and_then(|description| description.text()),
            "body_schema": schemas.map(|schemas| schemas.body()),
            "result_schema": schemas.map(|schemas| schemas.result()),
        })
    };
    handlers.methods().into_iter().map(method).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnyBody, Ctx, Fault, Service, Tx};

    async fn answer(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }
    async fn book(_: Tx, _: u8) -> Result<u8, Fault> {
        Ok(1)
    }

    #[test]
    fn each_method_is_told_with_what_is_known_of_it() {
        let service = Service::new("co")
            .handle("example.any", answer)
            .handle_transactional("example.book", book)
            .description("books a seat")
            .schemas::<u8, u8>();
        let told = methods(&service.handlers);
        assert_eq!(told[0]["method_name"], "any");
        assert_eq!((&told[0]["mode"], &told[0]["body_schema"]), (&json!("default"), &Value::Null));
        assert_eq!((&told[1]["entity"], &told[1]["mode"]), (&json!("example"), &json!("transactional")));
        assert_eq!(told[1]["description"], "books a seat");
        assert_eq!(told[1]["body_schema"]["maximum"], 255);
    }
}
