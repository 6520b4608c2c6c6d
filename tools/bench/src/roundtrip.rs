//! Messages a second from waiting outbox rows to reply rows: the sidecars of two services, against
//! the floor.
//!
//! Both find their rows waiting when they start, and both have another process answer. Every round
//! has equal rows; the replies of a round are taken away after it. All ways take turns within a
//! round. The floor of the transactional mode is another: pgbench, with the two inserts of the
//! inbox as a transaction, and as many clients as a copy has connections for handlers.

use tpro_testkit::{Failure, Outcome};

use crate::args::Extent;
use crate::collector::Collector;
use crate::ground::{Ground, Run};
use crate::line::{Goal, Line, Section, Unit};
use crate::mode::Mode;
use crate::pgbench::Pgbench;
use crate::stand::Stand;
use crate::table::{interval, median, ratio, ratios, thousands};

/// The share of the floor's speed that the sidecars are to have without the inbox.
const GOAL: f64 = 0.75;
/// With the inbox.
const GOAL_HANDLE: f64 = 0.4;
/// Of the floor whose responder keeps an inbox.
const GOAL_INBOX: f64 = 0.7;
/// In transactions, of pgbench.
const GOAL_TRANSACTIONAL: f64 = 0.6;
/// With every message traced, of the speed without traces.
const GOAL_TRACED: f64 = 0.75;
/// The responder of the floor.
const PLAIN: &str = "floor-responder";
/// The one that keeps an inbox.
const WITH_INBOX: &str = "inbox-responder";
/// `DB_POOL_MAX` as it is by default.
const CONNECTIONS: usize = 10;
/// Seconds of pgbench.
const SECONDS: u64 = 2;
/// The transactional mode is slower, and has so many times fewer messages.
const FEWER: usize = 10;

/// The two inserts of the inbox. To pgbench a colon before a letter or a digit is a variable.
const INBOX: &str = r#"BEGIN;
INSERT INTO echo_service.mq_receive (uid, run, copy_key, source, target, attempt, deadline, proof)
VALUES (tpro.uuid7(), 1, 1, 'main/00000000-0000-0000-0000-000000000000', 'tpro.echo.bench.echo_in_transaction', 1, clock_timestamp() + interval '15 s', 'k0123456789abcdef0123456789abcdef')
ON CONFLICT DO NOTHING RETURNING uid \gset
INSERT INTO echo_service.mq_outcome (uid, run, answer)
VALUES (:uid, 1, '{"result": {"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}}')
ON CONFLICT DO NOTHING RETURNING uid;
COMMIT;"#;

/// A handler in SQL that does nothing, as those of the program.
const HANDLER: &str =
    "CREATE FUNCTION public.echo(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE plpgsql AS
         'BEGIN RETURN body; END';
     SELECT tpro.handle('bench', 'echo_in_sql', 'public.echo'::regproc, service => 'echo')";
/// A reply handler in SQL that does nothing.
const REPLY_HANDLER: &str =
    "CREATE FUNCTION public.answered(reply tpro.reply_row) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
     SELECT tpro.on_reply('echo', 'bench', 'echo', 'public.answered'::regproc, sender => 'main')";

/// The runs of each way, in the order of the rounds.
#[derive(Default)]
struct Runs {
    floor: Vec<Run>,
    stateless: Vec<Run>,
    traced: Vec<Run>,
    handle: Vec<Run>,
    inbox: Vec<Run>,
    transactional: Vec<Run>,
    sql: Vec<Run>,
    sql_reply: Vec<Run>,
    pgbench: Vec<f64>,
}

/// The grounds and programs that only a full measure needs.
struct More {
    handle: Ground,
    transactional: Ground,
    sql: Ground,
    sql_reply: Ground,
    inbox: Pgbench,
    collector: Collector,
}

/// Measures, in every mode or in the stateless one only. Prints the lines of the stateless mode.
pub async fn measure(stand: &Stand, extent: &Extent, every_mode: bool) -> Outcome<Section> {
    let (messages, rounds) = (extent.messages, extent.roundtrip_rounds);
    let stateless = Ground::fill(stand, Mode::Stateless, messages).await?;
    let more = match every_mode {
        true => Some(More::fill(stand, messages).await?),
        false => None,
    };
    let mut runs = Runs::default();
    for round in 0..rounds {
        stateless.renew().await?;
        runs.floor.push(stateless.by_floor(stand, PLAIN).await?);
        runs.stateless.push(stateless.by_tpro(stand, None).await?);
        if let Some(more) = &more {
            stateless.renew().await?;
            runs.traced.push(stateless.by_tpro(stand, Some(&more.collector)).await?);
            more.round(stand, &mut runs).await?;
            eprintln!("throughput: round {} of {rounds}", round + 1);
        }
    }
    print(&runs, messages, extent.suffix());
    if more.as_ref().is_some_and(|more| more.collector.bytes() == 0) {
        return Err(Failure::new("the collector has got nothing"));
    }
    Ok(section(&runs, messages, extent.suffix()))
}

impl More {
    async fn fill(stand: &Stand, messages: usize) -> Outcome<Self> {
        let transactional = Ground::fill(stand, Mode::Transactional, messages / FEWER).await?;
        let inbox = Pgbench::new(stand, &transactional.database, "inbox", INBOX)?.by_user("echo");
        Ok(Self {
            handle: Ground::fill(stand, Mode::Handle, messages).await?,
            transactional,
            sql: Ground::fill(stand, Mode::Sql, messages / FEWER).await?.with(HANDLER).await?,
            sql_reply: Ground::fill(stand, Mode::Stateless, messages / FEWER)
                .await?
                .with(REPLY_HANDLER)
                .await?,
            inbox,
            collector: Collector::start().await?,
        })
    }

    async fn round(&self, stand: &Stand, runs: &mut Runs) -> Outcome {
        self.handle.renew().await?;
        runs.inbox.push(self.handle.by_floor(stand, WITH_INBOX).await?);
        self.handle.renew().await?;
        runs.handle.push(self.handle.by_tpro(stand, None).await?);
        self.transactional.renew().await?;
        runs.pgbench.push(self.inbox.seconds(CONNECTIONS, SECONDS).await?);
        self.transactional.renew().await?;
        runs.transactional.push(self.transactional.by_tpro(stand, None).await?);
        self.sql.renew().await?;
        runs.sql.push(self.sql.by_tpro(stand, None).await?);
        self.sql_reply.renew().await?;
        runs.sql_reply.push(self.sql_reply.by_tpro(stand, None).await?);
        Ok(())
    }
}

fn speeds(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| run.speed).collect()
}

fn cpu(runs: &[Run]) -> f64 {
    median(&runs.iter().map(|run| run.cpu).collect::<Vec<_>>())
}

fn print(runs: &Runs, messages: usize, suffix: &str) {
    let (floor, tpro) = (speeds(&runs.floor), speeds(&runs.stateless));
    let (rounds, waiting) = (floor.len(), thousands(messages as f64));
    println!("\nEnd to end, {waiting} rows waiting, messages/s, median of {rounds} rounds{suffix}");
    println!("  minimal dispatcher     tpro   ratio");
    let (theirs, ours) = (thousands(median(&floor)), thousands(median(&tpro)));
    println!("  {theirs:>18}   {ours:>6}   {}", ratio(&tpro, &floor, GOAL));
    println!("CPU time a message, all processes, start and stop of tpro included, median, microseconds");
    let (floor, tpro) = (cpu(&runs.floor), cpu(&runs.stateless));
    println!("  {floor:>18.1}   {tpro:>6.1}   {:>5.2}", floor / tpro);
}

fn section(runs: &Runs, messages: usize, suffix: &str) -> Section {
    let beside = |subject: &str, ours: &[f64], floor: &[f64], goal| Line {
        subject: subject.to_owned(),
        unit: Unit::ASecond,
        floor: median(floor),
        ours: median(ours),
        ratio: interval(&ratios(ours, floor)),
        goal,
    };
    let line = |subject: String, ours: &[f64], floor: &[f64], goal| {
        beside(&subject, ours, floor, Some(Goal::AtLeast(goal)))
    };
    let (floor, stateless) = (speeds(&runs.floor), speeds(&runs.stateless));
    let mut lines = vec![line("stateless".to_owned(), &stateless, &floor, GOAL)];
    if !runs.pgbench.is_empty() {
        let dropped: f64 = runs.traced.iter().map(|run| run.dropped).sum();
        let a_message = dropped / (runs.traced.len() * messages) as f64;
        let traced = format!("stateless, traced ({a_message:.2} spans a message dropped)");
        let (handle, inbox) = (speeds(&runs.handle), speeds(&runs.inbox));
        lines.push(line("handle".to_owned(), &handle, &floor, GOAL_HANDLE));
        lines.push(line("handle, of the floor with an inbox".to_owned(), &handle, &inbox, GOAL_INBOX));
        let transactional = speeds(&runs.transactional);
        lines.push(line(
            "transactional, of pgbench".to_owned(),
            &transactional,
            &runs.pgbench,
            GOAL_TRANSACTIONAL,
        ));
        let in_sql = [("handler in SQL", &runs.sql), ("reply handler in SQL", &runs.sql_reply)];
        lines.extend(in_sql.map(|(name, runs)| {
            beside(&format!("{name}, of transactional in Rust"), &speeds(runs), &transactional, None)
        }));
        lines.push(line(traced, &speeds(&runs.traced), &stateless, GOAL_TRACED));
    }
    let note = format!(
        "Messages a second with {} rows waiting ({} in the transactional mode and in SQL), {} rounds in turns. The floor is a \
         minimal dispatcher that reads pages by id, keeps 256 messages in flight and writes replies in batches; with an inbox, its responder does the two \
         inserts of the inbox in batches before it answers. Of the transactional mode it is pgbench with the two inserts of the inbox and {CONNECTIONS} clients; of handlers in SQL, which do nothing, it is the transactional mode; with every \
         message traced to a collector that discards, it is tpro without traces. CPU time a message in all processes: \
         floor {:.1} us, stateless {:.1} us.",
        thousands(messages as f64),
        thousands((messages / FEWER) as f64),
        floor.len(),
        cpu(&runs.floor),
        cpu(&runs.stateless)
    );
    Section { title: format!("Throughput, end to end{suffix}"), note, lines }
}
