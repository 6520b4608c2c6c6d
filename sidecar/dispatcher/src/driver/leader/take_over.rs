//! The start of a leader: what it needs to know of the leader before it.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{BoxStream, FuturesUnordered},
};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;
use tpro_runtime::random;
use tpro_wire::uid::Uid;

use super::{
    Fall, Leader,
    jobs::{self, Done},
    pulse::Pulse,
    readiness::Readiness,
    sending::Sending,
};
use crate::{
    Context,
    core::{
        barrier::Barrier,
        bell::Bell,
        cursor::{Cursor, Pace, Unsettled},
        dice::Dice,
        floor::Floor,
        in_flight::InFlight,
        lanes::{Bounds, Lanes},
        note::Note,
        reader::Reader,
        recall::Recall,
        reply_queue::ReplyQueue,
        settler::Settler,
        timers::Timers,
    },
    driver::{outbox::Outbox, recovery, sender::Sender},
    election::claim::Claim,
};

/// Replies taken from the subscription at a time.
const REPLIES: usize = 512;

impl Leader {
    /// Begins to lead on a session that has the lock: finds out what there is to do, and is ready to send.
    pub async fn begin(
        app: &Context,
        outbox: Outbox,
        pid: i32,
        server: BoxStream<'static, AsyncMessage>,
        missed: Arc<AtomicBool>,
        claim: Claim,
    ) -> Result<Self, Fall> {
        let config = &app.config;
        let now = Instant::now();
        outbox.listen(&config.service).await?;
        let sending = Sending::new(app.nats.clone(), Sender::new(&app.source, &app.keys));
        // Before anything is sent: a reply to a leader before us settles too.
        let replies = app.nats.subscribe(sending.replies().wildcard()).await?;
        let bounds = Bounds {
            lane: config.limits.lane,
            total: config.limits.in_flight,
            bytes: config.limits.in_flight_bytes,
            page: usize::try_from(config.dispatch.page).unwrap_or(usize::MAX),
        };
        let mut lanes = Lanes::new(bounds, Dice::new(random::next_u64()));
        let mut unsettled = Unsettled::default();
        let cursor = outbox.cursor().await?;
        recovery::pending(&outbox, &cursor, &mut lanes, &mut unsettled).await?;
        if cursor.clean {
            // From here on something that the cursor does not know of may have been sent.
            outbox.move_cursor(&Cursor { clean: false, ..cursor.clone() }).await?;
        }
        // Messages that the leader before has sent and could not settle are not sent once more.
        let stuck = match cursor.clean && cursor.pending.is_empty() {
            true => None,
            false => outbox.try_to_settle().await?.map(|reason| outbox.stuck().hold(reason)),
        };
        // Rows that are published from now on do not wait until all that is looked through.
        let floor = Floor::new(config.maintenance.partition_rows, cursor.snapshot.clone());
        let (reader, recovery) = if cursor.clean {
            (Reader::new(cursor.snapshot), None)
        } else {
            let now = outbox.snapshot().await?;
            (Reader::new(now.clone()), Some(Reader::of_window(cursor.snapshot, now)))
        };
        let leading = CancellationToken::new();
        let leader = Self {
            pid,
            counts: app.counts.clone(),
            outbox: Arc::new(outbox),
            replies: replies.ready_chunks(REPLIES),
            server,
            missed,
            cancel_channel: config.service.cancel_channel(),
            claim,
            barrier: Barrier::new(Uid::v7(random::next_u64(), random::bytes()), sending.connection()),
            sending,
            again: app.link.again.listen(),
            forbidden: app.link.said.forbidden(),
            bell: Bell::new(config.dispatch.park_after, config.dispatch.slow_poll, now),
            reader,
            floor,
            recovery,
            looking: false,
            recall: Recall::new(now),
            stale: false,
            lanes,
            in_flight: InFlight::default(),
            timers: Timers::new(now),
            settler: Settler::default(),
            to_handle: ReplyQueue::new(config.pool_max),
            handling: FuturesUnordered::new(),
            _leading: leading.clone().drop_guard(),
            leading,
            unsettled,
            note: Note::new(now),
            pace: Pace::new(now),
            jobs: FuturesUnordered::new(),
            reading: false,
            fetching: false,
            hold: None,
            pulse: Pulse::new(config.dispatch.heartbeat, now),
            until: None,
            connected_at: now,
            now,
            swallowed: HashMap::new(),
            readiness: Readiness::default(),
            fired: Vec::new(),
            app: app.clone(),
        };
        let beat = leader.outbox.clone();
        leader.jobs.push(async move { beat.heartbeat().await.map(Done::Beat) }.boxed());
        if let Some(hold) = stuck {
            leader.jobs.push(jobs::until_it_settles(leader.outbox.clone(), hold).boxed());
        }
        Ok(leader)
    }
}
