//! A serving process between start and end, from the first connection to the last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tpro_dispatcher::Dispatcher;
use tpro_runtime::{
    app::App,
    clock::Clock,
    config::Config,
    db::{self, Servers},
    health::Health,
    nats, random,
    shutdown::Stop,
    watch,
};
use tpro_service::{
    handler::Started,
    host::Host,
    subscriber::{self, Subscriber},
    turn,
};
use tpro_wire::source::Source;

use super::{BootError, End, page::Counts, replies::Replies, start::Start};
use crate::http::Http;

/// The time that tasks have to drop their work when they are forced, before we go without them.
const LET_GO: Duration = Duration::from_millis(500);
/// The longest time for the last bytes to NATS.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Connects, starts the parts, waits for the order to stop, and stops them.
pub(super) async fn work(
    service: Started,
    config: &Arc<Config>,
    counts: Counts,
    health: &Health,
    start: &mut Start,
    http: &Http,
    stop: &Stop,
) -> Result<End, BootError> {
    let servers = Arc::new(Servers::of(config));
    let Some(facts) = db::prepare(config, &servers, health, stop).await? else { return Ok(End::Graceful) };
    http.instance_is(facts.instance);
    let link = nats::Link::default();
    let Some(client) = nats::connect(config, &link, &counts.nats, health, stop).await? else {
        return Ok(End::Graceful);
    };
    let app = App {
        config: config.clone(),
        source: Source { service: config.service.clone(), instance: facts.instance },
        responder: config.responder(),
        copy_key: copy_key(),
        keys: facts.keys,
        nats: client,
        link,
        max_body: Arc::new(AtomicUsize::new(facts.max_body)),
        serves: Arc::default(),
        pool: db::pool(config, &servers),
        servers,
        clock: Clock::new(facts.now, counts.clock_skew),
        spans: start.spans.clone(),
        db_counts: counts.db,
        health: health.clone(),
        stop: stop.clone(),
    };
    let inquiry = nats::inquiry::run(app.nats.clone(), config.clone(), app.health.clone(), stop.soft.clone());
    stop.tasks.spawn(inquiry);
    let Started { handlers, settings, state } = service;
    let handlers = Arc::new(handlers);
    let host = Host { app: app.clone(), settings, state, counts: counts.service, stage: None };
    let context = tpro_dispatcher::Context {
        app: app.clone(),
        counts: counts.dispatcher,
        replies: Arc::new(Replies { host: host.clone(), handlers: handlers.clone() }),
    };
    if !tpro_dispatcher::gate::wait(&context).await {
        disconnect(&app).await;
        return Ok(ended(stop, End::Graceful));
    }
    watch::start(&app);
    let dispatcher = tpro_dispatcher::start(&context);
    tpro_maintenance::start(&app, counts.maintenance);
    // Messages that are published here go out also while another database serves under this name.
    let subscriber = match turn::wait(&app).await {
        Some(turn) => Some(subscriber::start(&host, handlers, turn).await),
        None => None,
    };
    if subscriber.is_some() {
        app.serves.store(true, Ordering::Relaxed);
        tracing::info!(copy = config.copy, tpro.source = %app.source, "{} is up", config.service);
        health.release("start");
        start.succeeded(&app.source);
    }

    stop.soft.cancelled().await;

    health.hold("stop", "stopping");
    let end = finish(dispatcher, subscriber, config.stop_timeout, stop).await;
    disconnect(&app).await;
    match stop.fatal_reason() {
        Some(reason) => Err(BootError::Fatal(reason.to_owned())),
        None => Ok(ended(stop, end)),
    }
}

/// The end of a process that has come to this one. If nobody told it to stop, and it is to start
/// again, that end.
fn ended(stop: &Stop, end: End) -> End {
    if stop.anew_reason().is_some() && !stop.was_told() { End::Anew } else { end }
}

/// Lets the parts finish their accepted work, up to the limit or until a second signal.
async fn finish(dispatcher: Dispatcher, subscriber: Option<Subscriber>, limit: Duration, stop: &Stop) -> End {
    let deadline = Instant::now() + limit;
    let drained = async {
        // Both at once: handlers at work may wait for replies, and awaited replies may come from
        // handlers at work.
        let subscriber = async {
            if let Some(subscriber) = subscriber {
                subscriber.drain(deadline).await;
            }
        };
        tokio::join!(dispatcher.stop(deadline), subscriber);
        stop.tasks.close();
        stop.tasks.wait().await;
    };
    tokio::select! {
        // In this order: parts that hear the second signal may be gone before we look.
        biased;
        () = stop.hard.cancelled() => {}
        () = drained => return End::Graceful,
        // A little later than the parts' own limit, which lets them end in their own order.
        () = tokio::time::sleep_until((deadline + LET_GO).into()) => {
            tracing::warn!("STOP_TIMEOUT is over and {} tasks are still at work", stop.tasks.len());
        }
    }
    stop.hard.cancel();
    stop.tasks.close();
    // Work that was cut off rolls back. A task that does not hear it goes with the process.
    let _ = tokio::time::timeout(LET_GO, stop.tasks.wait()).await;
    End::Forced
}

/// Sends the last answers and lets the connections go.
async fn disconnect(app: &App) {
    let _ = tokio::time::timeout(LAST_BYTES, app.nats.close()).await;
    app.pool.close();
}

/// A number for this process: 31 bits, since one of its uses is a lock tag of PostgreSQL's `int`.
fn copy_key() -> i32 {
    i32::try_from(random::next_u64() >> 33).unwrap_or(1)
}
