//! The start of a leader: it asks how far the leader before it has come.

use std::sync::{Arc, atomic::AtomicBool};

use futures_util::{
    StreamExt as _,
    stream::{BoxStream, FuturesUnordered},
};
use std::time::Instant;
use tokio_postgres::AsyncMessage;
use tpro_runtime::random;
use tpro_wire::{reply_subject::ReplyPrefix, uid::Uid};

use super::{
    fall::Fall,
    handlers::Handlers,
    leader::Leader,
    outbox::{Callbacks, Outbox, OutboxError},
    sender::Sender,
    sending::Sending,
};
use crate::{
    Context,
    core::{Begin, Bounds, Core, Finding, Found, Inquiry, Settings, TakeOver},
    election::claim::Claim,
};

/// Replies taken from the subscription at a time.
const REPLIES: usize = 512;

/// Begins to lead on a session that has the lock: finds out what there is to do, and is ready to
/// send.
pub(crate) async fn begin(
    app: &Context,
    outbox: Outbox,
    pid: i32,
    server: BoxStream<'static, AsyncMessage>,
    missed: Arc<AtomicBool>,
    claim: Claim,
) -> Result<Leader, Fall> {
    let now = Instant::now();
    outbox.listen(&app.config.service).await?;
    let replies = ReplyPrefix::new(&app.source.service, &app.source.instance);
    let sending = Sending::new(
        app.nats.clone(),
        Sender::new(&app.source, replies.clone(), &app.keys),
        &app.config.reply_to_prefix,
    );
    // Before anything is sent: a reply to a leader before us settles too.
    let came = app.nats.subscribe(replies.wildcard());
    let found = look(&outbox).await?;
    let settings = settings(app, outbox.callbacks(), replies, sending.connection());
    Ok(Leader {
        core: Core::new(settings, found, app.counts.clone(), app.spans.clone(), now),
        outbox: Arc::new(outbox),
        pid,
        replies: came.ready_chunks(REPLIES),
        server,
        missed,
        cancel_channel: app.config.service.cancel_channel(),
        due_channel: app.config.service.due_channel(),
        claim,
        sending,
        again: app.link.again.listen(),
        forbidden: app.link.said.forbidden(),
        jobs: FuturesUnordered::new(),
        handlers: Handlers::new(pid),
        replied: Vec::new(),
        telling: FuturesUnordered::new(),
        standby: FuturesUnordered::new(),
        told: false,
        app: app.clone(),
    })
}

/// Asks until all is known.
async fn look(outbox: &Outbox) -> Result<Found, OutboxError> {
    let mut take_over = TakeOver::default();
    loop {
        let inquiry = match take_over.step() {
            Begin::Ask(inquiry) => inquiry,
            Begin::Lead(found) => return Ok(found),
        };
        take_over.finds(match inquiry {
            Inquiry::Cursor => Finding::Cursor(outbox.cursor().await?),
            Inquiry::Unsettled(ids) => Finding::Unsettled(outbox.unsettled(&ids).await?),
            Inquiry::Owed(ids) => Finding::Owed(outbox.owed(&ids).await?),
            Inquiry::MoveCursor(to) => outbox.move_cursor(&to).await.map(|()| Finding::Moved)?,
            Inquiry::TryToSettle => Finding::Tried(outbox.try_to_settle().await?),
            Inquiry::Snapshot => Finding::Snapshot(outbox.snapshot().await?),
        });
    }
}

fn settings(app: &Context, callbacks: Arc<Callbacks>, replies: ReplyPrefix, connection: u64) -> Settings {
    let config = &app.config;
    let handlers = app.replies.clone();
    Settings {
        service: app.source.service.clone(),
        replies,
        has_handler: Box::new(move |target| handlers.has(target) || callbacks.has(target)),
        pool: config.pool_max,
        bounds: Bounds {
            lane: config.limits.lane,
            total: config.limits.in_flight,
            bytes: config.limits.in_flight_bytes,
            page: usize::try_from(config.dispatch.page).unwrap_or(usize::MAX),
        },
        partition_rows: config.maintenance.partition_rows,
        hops: config.limits.hops,
        park_after: config.dispatch.park_after,
        slow_poll: config.dispatch.slow_poll,
        attempt_timeout: config.dispatch.attempt_timeout,
        heartbeat: config.dispatch.heartbeat,
        echo: Uid::v7(random::next_u64(), random::bytes()),
        go: config.go_check.then(|| Uid::v7(random::next_u64(), random::bytes())),
        seed: random::next_u64(),
        connection,
    }
}
