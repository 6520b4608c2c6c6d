//! The ground on which handlers run in a test: that of a real service, without its servers.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio::time::Instant;
use tpro_runtime::{
    app::App,
    clock::{self, Clock},
    config::{Config, OwnSetting},
    db::{self, DbCounts, Servers},
    health::Health,
    keys::Keys,
    metrics::registry,
    nats, random,
    shutdown::Stop,
    telemetry::Spans,
};
use tpro_wire::{
    Priority, ReplyPrefix, RequestHeaders, RpcError, Source, Target, TraceParent, Uid, error::code,
};
use uuid::Uuid;

use crate::{
    handler::{
        Ctx, Failure, Fault, Handlers, QueryError, ReplyCtx, Service, Started, Statements, Tx,
        calls::Calls,
        reply_ctx::Told,
        run::{Ended, run},
        scope::{Origin, Scope},
        transaction::INBOX_PATIENCE,
        way::Way,
    },
    host::Host,
    metrics::Counts,
    stage::Stage,
};

/// The time that a handler has.
const BUDGET: Duration = Duration::from_secs(30);
/// An address for tests without a database. Nobody connects to it.
const NO_DATABASE: &str = "postgresql://nobody@127.0.0.1:5432/nothing";

/// A service that has started, with nothing to talk to.
pub(super) struct Ground {
    host: Arc<Host>,
    handlers: Handlers,
    calls: Arc<Calls>,
    headers: RequestHeaders,
    stage: Arc<Stage>,
}

impl Ground {
    /// Starts a service. The error is all that is wrong with its registration or its settings.
    pub(super) fn new<S: Send + Sync + 'static>(
        service: Service<S>,
        mut settings: Vec<(String, String)>,
        has_state: bool,
        headers: RequestHeaders,
        stage: Stage,
    ) -> Result<Self, String> {
        // A state that is given needs no settings to be made of.
        let unchecked = |own: &OwnSetting| OwnSetting { check: |_| Ok(()), ..*own };
        let own: Vec<OwnSetting> = match has_state {
            true => service.settings().iter().map(unchecked).collect(),
            false => service.settings().to_vec(),
        };
        if !stage.has_database {
            settings.push(("DATABASE_URL".to_owned(), NO_DATABASE.to_owned()));
        }
        let config =
            Config::given(service.name(), &own, &settings).map_err(|problems| problems.to_string())?;
        let problems = service.problems(&config.service);
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        let Started { handlers, settings, state } = service.start(&config)?;
        let stage = Arc::new(stage);
        let counts = Counts::new(&mut registry(), Family::default());
        let app = app(Arc::new(config));
        let prefix = ReplyPrefix::direct(&app.source.service, &app.source.instance, 0);
        let calls = Arc::new(Calls::new(prefix, Gauge::default()));
        let host = Host { app, settings, state, counts, stage: Some(stage.clone()) };
        Ok(Self { host: Arc::new(host), handlers, calls, headers, stage })
    }

    pub(super) fn service(&self) -> &str {
        self.host.source.service.as_str()
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Runs the handler of a method.
    pub(super) async fn call(&self, method: &str, body: &str) -> Result<String, Fault> {
        let service = self.service();
        let Some(way) = self.handlers.method(method) else {
            let text = format!("method {method} is unknown to service {service}");
            return Err(Fault::pass_on(RpcError::new(code::METHOD_NOT_FOUND, text)));
        };
        let target = Target::parse(&format!("{}.{service}.{method}", self.host.config.space))?;
        let headers = self.headers.clone();
        let origin = Origin { uid: self.uid(), target, headers, deadline: Instant::now() + BUDGET };
        let span = TraceParent::root(random::bytes(), false);
        let scope = Scope::new(self.host.clone(), self.calls.clone(), &origin, span);
        let published = self.stage.published().len();
        let result = match way {
            Way::Default(handler) | Way::Stateless(handler) => {
                let ctx = Ctx::new(scope.clone());
                self.done(async { handler(ctx, body).await }).await
            }
            Way::Transactional(handler) => {
                let tx = Tx::new(scope.clone(), Arc::new(self.transaction(span).await?));
                self.done(async { handler(tx, body).await }).await
            }
        };
        self.end(scope.take_tx().as_deref(), result, published).await
    }

    /// Runs the reply handler of a target.
    pub(super) async fn reply(&self, target: &str, reply: Result<&str, Failure>) -> Result<(), Fault> {
        let parsed = Target::parse(&format!("{}.{target}", self.host.config.space))?;
        let Some(reaction) = self.handlers.reaction(&parsed) else {
            panic!("the service {} has no reply handler for {target}", self.service());
        };
        let span = TraceParent::root(random::bytes(), false);
        let statements = Arc::new(self.transaction(span).await?);
        let published = self.stage.published().len();
        let ctx = ReplyCtx::new(Told {
            app: (*self.host).clone(),
            statements: statements.clone(),
            id: 1,
            uid: self.uid(),
            target: parsed,
            attempts: 1,
            responder: None,
            reply_to: None,
            span,
        });
        let running = async {
            match reply {
                Ok(result) => (reaction.ok)(ctx, result).await,
                Err(failure) => (reaction.failed)(ctx, failure).await,
            }
        };
        let result = self.done(running).await;
        self.end(Some(&statements), result, published).await
    }

    fn uid(&self) -> Uid {
        Uid::v7(self.host.clock.unix_ms(), random::bytes())
    }

    async fn transaction(&self, span: TraceParent) -> Result<Statements, QueryError> {
        Statements::begin_entered(&self.host, Priority::default(), span, BUDGET, INBOX_PATIENCE).await
    }

    async fn done<R>(&self, handler: impl Future<Output = Result<R, Fault>>) -> Result<R, Fault> {
        match run(handler, Instant::now() + BUDGET, &self.host.stop.hard).await {
            Ended::Done(result) => result,
            Ended::Late | Ended::Stopped => {
                let text = "the handler was stopped: its time was over";
                Err(Fault::pass_on(RpcError::new(code::TIMEOUT, text)))
            }
        }
    }

    /// Ends the handler's transaction as the handler has ended. `published` is the number of
    /// messages that were published before it.
    async fn end<R>(
        &self,
        tx: Option<&Statements>,
        mut result: Result<R, Fault>,
        published: usize,
    ) -> Result<R, Fault> {
        if let Some(tx) = tx.filter(|_| self.stage.has_database) {
            match &result {
                Ok(_) => {
                    if let Err(error) = tx.commit().await {
                        result = Err(error.into());
                    }
                }
                Err(_) => tx.roll_back().await,
            }
        }
        if let Some(missing) = self.stage.missing() {
            panic!("{missing}");
        }
        if let Err(fault) = &result {
            self.stage.forget_after(published);
            let lacks = fault.chain().find_map(|error| error.downcast_ref::<QueryError>());
            if let Some(error @ QueryError::NoDatabase) = lacks {
                panic!("{error}");
            }
        }
        result
    }
}

fn app(config: Arc<Config>) -> App {
    let servers = Arc::new(Servers::of(&config));
    let link = nats::Link::default();
    App {
        source: Source { service: config.service.clone(), instance: Uuid::nil() },
        responder: config.responder(),
        copy_key: 1,
        keys: Keys::new(&[], &[]),
        nats: nats::unconnected(&config, &link),
        link,
        max_body: Arc::new(AtomicUsize::new(tpro_wire::limits::MAX_BODY)),
        serves: Arc::default(),
        pool: db::pool(&config, &servers),
        servers,
        clock: Clock::new(clock::host(), Gauge::default()),
        spans: Spans::off(),
        db_counts: DbCounts::new(&mut registry()),
        health: Health::default(),
        stop: Stop::default(),
        config,
    }
}
