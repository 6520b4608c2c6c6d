//! Peers: the same job by other job queues in PostgreSQL, beside the floor and tpro.
//!
//! A client publishes a job by SQL in its own transaction. A worker asks the responder of the floor
//! over NATS and inserts the reply row that the client looks for. Each queue has a database of its
//! own, since a notification wakes every session of its database that listens.

mod peer;
mod pgmq;
mod queue;

use std::time::Duration;

use tokio::task::block_in_place;
use tpro_testkit::{Context as _, Outcome, Process};

use crate::args::{Extent, Servers};
use crate::grid::Grid;
use crate::ground::Ground;
use crate::latency::{Arrival, Samples, Way, floor};
use crate::mode::Mode;
use crate::stand::Stand;
use crate::table::{median, ratios, thousands};
use peer::{Peer, Tuned};
use queue::{Queue, stop};

/// The responder that all of them ask.
const RESPONDER: &str = "floor-responder";
/// The patterns of arrivals.
const ARRIVALS: [Arrival; 4] = [
    Arrival::AT_ONCE,
    Arrival::Gap(Duration::from_millis(20)),
    Arrival::Poisson(50.0),
    Arrival::Poisson(500.0),
];
/// The pattern that takes too long for a quick run.
const SLOW: Arrival = Arrival::Poisson(50.0);
/// The modes of tpro that stand beside the peers.
const MODES: [Mode; 2] = [Mode::Stateless, Mode::Transactional];
/// The transactional mode is slower, and has so many times fewer messages.
const FEWER: usize = 10;

/// Consumes messages of pgmq until it is killed.
pub async fn consume(servers: Servers) -> Outcome {
    pgmq::run(servers).await
}

/// Measures. A peer that is not installed or does not start is left out.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<Grid> {
    let (mut queues, mut workers, mut remarks) = (Vec::new(), Vec::new(), remarks_on_tpro());
    for peer in Peer::ALL {
        match open(stand, peer).await {
            Ok((queue, started)) => {
                queues.push(queue);
                workers.extend(started);
                remarks.push(remark_on(peer));
            }
            Err(failure) => {
                eprintln!("peers: {} is left out: {failure}", peer.name());
                remarks.push(format!("{} is left out: it is not installed, or did not start.", peer.name()));
            }
        }
    }
    let samples = latency(stand, extent, &queues).await?;
    stop(workers).await?;
    let speeds = throughput(stand, extent, &queues).await?;
    Ok(grid(extent, &queues, &samples, &speeds, remarks))
}

async fn open(stand: &Stand, peer: Peer) -> Outcome<(Queue, Vec<Process>)> {
    let queue = Queue::open(stand, peer).await?;
    let workers = queue.start(stand, Tuned::Latency).await?;
    Ok((queue, workers))
}

/// The floor, the modes of tpro and the peers, in turns. All programs run throughout.
async fn latency(stand: &Stand, extent: &Extent, queues: &[Queue]) -> Outcome<Samples> {
    let database = stand.database().await?;
    database.connect().await?.batch_execute(floor::TABLES).await.context("making the tables of the floor")?;
    let _responder = stand.ready_task(RESPONDER, &database).await?;
    let _dispatcher = stand.ready_task("latency-floor", &database).await?;
    let echo = stand.sidecar(&database, "echo")?.start().await?;
    let main = stand.sidecar(&database, "main")?.start().await?;
    let samples = block_in_place(|| {
        let mut ways = vec![Way::of_floor(&database)?];
        for mode in MODES {
            ways.push(Way::of_mode(&database, mode)?);
        }
        for queue in queues {
            ways.push(queue.way()?);
        }
        let arrivals = ARRIVALS.into_iter().filter(|arrival| !extent.quick || *arrival != SLOW).collect();
        // Few messages of each pattern: some of the peers take long for many.
        Samples::take(&ways, arrivals, extent.peer_rounds, true)
    })?;
    main.stop().await?;
    echo.stop().await?;
    Ok(samples)
}

/// Jobs a second, by way and round.
async fn throughput(stand: &Stand, extent: &Extent, queues: &[Queue]) -> Outcome<Vec<Vec<f64>>> {
    let stateless = Ground::fill(stand, Mode::Stateless, extent.messages).await?;
    let transactional = Ground::fill(stand, Mode::Transactional, extent.messages / FEWER).await?;
    let rounds = extent.peer_rounds;
    let mut speeds = vec![Vec::new(); 1 + MODES.len() + queues.len()];
    for round in 0..rounds {
        let mut of_round = Vec::new();
        stateless.renew().await?;
        of_round.push(stateless.by_floor(stand, RESPONDER).await?.speed);
        for ground in [&stateless, &transactional] {
            ground.renew().await?;
            of_round.push(ground.by_tpro(stand, None).await?.speed);
        }
        let _responder = stand.ready_task(RESPONDER, &stateless.database).await?;
        for queue in queues {
            of_round.push(queue.drain(stand).await?);
        }
        speeds.iter_mut().zip(of_round).for_each(|(of_way, speed)| of_way.push(speed));
        eprintln!("peers, throughput: round {} of {rounds}", round + 1);
    }
    Ok(speeds)
}

fn grid(
    extent: &Extent,
    queues: &[Queue],
    samples: &Samples,
    speeds: &[Vec<f64>],
    remarks: Vec<String>,
) -> Grid {
    let tpro = MODES.map(|mode| format!("tpro, {}", mode.name()));
    let names = ["floor".to_owned()]
        .into_iter()
        .chain(tpro)
        .chain(queues.iter().map(|queue| queue.peer.name().to_owned()));
    let row = |(way, name): (usize, String)| {
        let latencies = (0..samples.arrivals.len()).map(|at| {
            let of = |share| ms(samples.quantile(at, way, share));
            format!("{} / {} ({:.1})", of(0.5), of(0.99), median(&samples.ratios(at, way, 0.5)))
        });
        let (speed, share) = (median(&speeds[way]), median(&ratios(&speeds[way], &speeds[0])));
        [name].into_iter().chain(latencies).chain([format!("{} ({share:.3})", thousands(speed))]).collect()
    };
    let arrivals = samples.arrivals.iter().map(|arrival| format!("{}, ms", arrival.name()));
    let head = [String::new()].into_iter().chain(arrivals).chain(["throughput, 1/s".to_owned()]).collect();
    let backlogs: Vec<String> = queues
        .iter()
        .map(|queue| format!("{} for {}", thousands(queue.peer.backlog() as f64), queue.peer.name()))
        .collect();
    let note = format!(
        "The job of the floor by job queues in PostgreSQL: publish by SQL, ask the responder of the floor over NATS, \
         insert a reply row. A message of tpro is answered by a service of its own. Latency is p50 / p99 from the end \
         of the commit to the moment at which the client sees the row; at Poisson arrivals it is from the moment at \
         which the job was to be published, so a queue that is slower than the rate falls behind. Throughput is jobs \
         a second while many wait: {} for the floor and tpro, {} in its transactional mode, {}. In brackets: times \
         the floor, by the median of {} rounds in turns. One machine runs all of it: PostgreSQL, nats-server, client \
         and workers.",
        thousands(extent.messages as f64),
        thousands((extent.messages / FEWER) as f64),
        backlogs.join(", "),
        extent.peer_rounds,
    );
    Grid { title: "Peers".to_owned(), note, head, rows: names.enumerate().map(row).collect(), remarks }
}

fn remarks_on_tpro() -> Vec<String> {
    let floor = "floor: no promise. A job that is under way when its program ends is lost.";
    let tpro = "tpro, its defaults: every committed message gets one reply row, also an error or a timeout. Delivery \
                is at least once; in the transactional mode inbox row, effects of the handler and outcome are one \
                transaction, so that effects in the database are exactly once.";
    vec![floor.to_owned(), tpro.to_owned()]
}

fn remark_on(peer: Peer) -> String {
    format!("{} {}: {}. {}.", peer.name(), peer.version(), peer.settings(), peer.promise())
}

/// Milliseconds, with as many digits as say something.
fn ms(figure: f64) -> String {
    if figure < 100.0 { format!("{figure:.2}") } else { format!("{figure:.0}") }
}
