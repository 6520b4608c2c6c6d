//! A run: load and faults, recovery, the oracle, and the report.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tpro_testkit::proxy::Fault;
use tpro_testkit::{Context as _, Message, Outcome, Recon, eventually};

use crate::act::SERVICES;
use crate::args::Run;
use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::nemesis::Nemesis;
use crate::operator::{self, Operator};
use crate::oracle::{self, Verdict};
use crate::outside::Outside;
use crate::publisher::Publishers;
use crate::schedule;
use crate::stand::{Settings, Stand};
use crate::takeover::Takeovers;

/// Partitions so small that new ones are made and swapped all the time, also while faults are on.
/// Settled messages are kept: the oracle needs all rows.
const SETTINGS: Settings = &[("PARTITION_ROWS", "5000"), ("MAINTENANCE_INTERVAL", "10")];
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);
/// Messages after all faults, each of which must be answered well.
const AFTERWARDS: i32 = 200;
/// The longest time for one statement of a line of progress.
const LOOK: Duration = Duration::from_secs(2);

/// The parts of a run.
pub struct Scene {
    /// The servers.
    pub stand: Arc<Stand>,
    /// The copies.
    pub fleet: Arc<Fleet>,
    /// The ledger of the publishers.
    pub ledger: Arc<Ledger>,
    /// The watch over the leaders.
    pub takeovers: Arc<Takeovers>,
    _outside: Outside,
    _operator: Operator,
}

impl Scene {
    /// Starts everything but the load.
    pub async fn set(settings: Settings) -> Outcome<Self> {
        let stand = Arc::new(Stand::start(settings).await?);
        let outside = Outside::start(&stand.nats).await?;
        let fleet = Arc::new(Fleet::start(&stand).await?);
        let takeovers = Arc::new(Takeovers::watch(&stand).await);
        stand.admin().await?.batch_execute(operator::TABLE).await?;
        let operator = Operator::start(&stand);
        let ledger = Arc::default();
        Ok(Self { stand, fleet, ledger, takeovers, _outside: outside, _operator: operator })
    }

    /// Starts the load.
    pub fn load(&self, run: &Run) -> Publishers {
        Publishers::start(&self.stand.publisher_url(), run.extent.seed, run.publishers, &self.ledger)
    }

    /// Repairs everything, waits until the messages under way are settled, and asks the oracle.
    pub async fn judge(&self) -> Outcome<Verdict> {
        self.stand.publishers.set(Fault::None);
        self.fleet.all_up().await?;
        let admin = self.stand.admin().await?;
        oracle::tidy(&admin).await?;
        let main = self.stand.database.connect_as("main").await?;
        let before: i64 =
            admin.query_one("SELECT coalesce(max(id), 0) FROM main_service.mq_publish", &[]).await?.get(0);
        Message::to("rogue.transactional.effect").publish_many(&main, AFTERWARDS).await?;
        if let Err(failure) = Recon::drained(&admin, &SERVICES.map(str::to_owned)).await {
            return Err(failure.during(oracle::unsettled(&admin).await?));
        }
        let mut verdict = oracle::ask(&admin, self.ledger.read(), &self.stand.downs()).await?;
        let bad: i64 = admin
            .query_one(
                "SELECT count(*) FROM main_service.mq_reply WHERE mq_id > $1 AND status <> 'ok'",
                &[&before],
            )
            .await?
            .get(0);
        if bad != 0 {
            let what =
                format!("{bad} of {AFTERWARDS} messages published when all faults were over are not `ok`");
            verdict.violations.push(what);
        }
        if let Err(failure) = self.idle().await {
            verdict.violations.push(format!("something is left in hand when all is settled: {failure}"));
        }
        verdict.violations.extend(self.fleet.dead()?);
        Ok(verdict)
    }

    /// Waits until no copy has anything in hand.
    async fn idle(&self) -> Outcome {
        for berth in &self.fleet.berths {
            let copy = berth.copy().context("a copy is down")?;
            for gauge in ["tpro_in_flight", "tpro_handlers_at_work", "tpro_waiting", "tpro_unsettled"] {
                let name = format!("{gauge} of {} is 0", berth.name());
                eventually(&name, async || Ok(copy.metric(gauge).await? == 0.0)).await?;
            }
        }
        Ok(())
    }

    /// Prints a line of progress. While PostgreSQL is away it says less.
    pub async fn progress(&self, begun: Instant, doing: &str) {
        let tables = self.tables().await;
        self.tell(begun, doing, &tables);
    }

    async fn tables(&self) -> String {
        let looked = tokio::time::timeout(LOOK, async {
            let admin = self.stand.admin().await?;
            let row = admin
                .query_one(
                    "SELECT (SELECT count(*) FROM main_service.mq_publish), (SELECT count(*) FROM main_service.mq_reply)",
                    &[],
                )
                .await?;
            Outcome::Ok((row.get::<_, i64>(0), row.get::<_, i64>(1)))
        });
        match looked.await {
            Ok(Ok((published, settled))) => format!("published {published}, settled {settled}"),
            _ => "PostgreSQL does not answer".to_owned(),
        }
    }

    /// A line of progress: what the ledger has, and `more`.
    pub fn tell(&self, begun: Instant, doing: &str, more: &str) {
        let (transactions, rolled_back, unknown) = self.ledger.counts();
        println!(
            "{:7.1} s  {doing}: {transactions} transactions ({rolled_back} rolled back, {unknown} unknown); {more}; {} copies; {} changes of leaders",
            begun.elapsed().as_secs_f64(),
            self.fleet.running(),
            self.takeovers.changes()
        );
    }
}

/// Makes a run; false if the promise was broken.
pub async fn run(run: &Run) -> Outcome<bool> {
    let (seed, seconds) = (run.extent.seed, run.extent.seconds);
    println!("SEED={seed} SECONDS={seconds}, {} publishers", run.publishers);
    crate::plan(&run.extent);
    let rounds = schedule::rounds(seed, seconds);
    let scene = Scene::set(SETTINGS).await?;
    let nemesis = Nemesis::new(&scene.stand, &scene.fleet, &scene.takeovers);
    let begun = Instant::now();
    let publishers = scene.load(run);
    let mut violations = Vec::new();
    let over = Cell::new(false);
    let end = begun + Duration::from_secs(seconds);
    let faults = async {
        nemesis.run(&rounds).await;
        over.set(true);
    };
    // Beside the faults, not between them: a look takes its time when servers are away.
    let looks = async {
        let mut tick = tokio::time::interval(PROGRESS);
        while !over.get() || Instant::now() < end {
            tick.tick().await;
            violations.extend(scene.fleet.dead()?);
            scene.fleet.count().await;
            scene.progress(begun, &phase(&rounds, begun.elapsed())).await;
        }
        Outcome::Ok(())
    };
    let ((), looked) = tokio::join!(faults, looks);
    looked?;
    publishers.stop().await;
    scene.fleet.count().await;
    println!("{:7.1} s  all faults are over; what is under way drains", begun.elapsed().as_secs_f64());
    violations.extend(nemesis.troubles());
    match scene.judge().await {
        Ok(verdict) => report(&scene, verdict, &mut violations),
        Err(failure) => violations.push(failure.to_string()),
    }
    conclude(run, &scene, &violations)
}

/// The faults at this moment of the run.
fn phase(rounds: &[schedule::Round], at: Duration) -> String {
    let number = at.as_secs() / schedule::ROUND.as_secs();
    match rounds.get(number as usize) {
        Some(round) if at < round.quiet => format!("round {} {:?}", number + 1, round.mix),
        Some(_) => format!("round {} quiet", number + 1),
        None => "the last faults end".to_owned(),
    }
}

/// Prints the report.
fn report(scene: &Scene, verdict: Verdict, violations: &mut Vec<String>) {
    let (transactions, rolled_back, unknown) = scene.ledger.counts();
    println!("published     {} rows in all outboxes", verdict.published);
    println!(
        "transactions  {transactions}, of them {rolled_back} rolled back, {unknown} of unknown end ({} looked up)",
        verdict.resolved
    );
    let settled = verdict.settled.iter().map(|(status, count)| format!("{status} {count}"));
    println!("settled       {} (of main)", settled.collect::<Vec<_>>().join(", "));
    println!("effects       {}", verdict.effects);
    println!(
        "repeats       {} attempts after the first; filtered: {} by a stored outcome, {} joined, {} told `working`; {} late replies dropped",
        verdict.repeats,
        scene.fleet.counted("repeat"),
        scene.fleet.counted("joined"),
        scene.fleet.counted("working"),
        scene.fleet.counted("late_replies")
    );
    println!(
        "leaders       {} changes, {} frozen ones deposed",
        scene.takeovers.changes(),
        scene.fleet.counted("deposed")
    );
    for line in scene.takeovers.lines() {
        println!("takeover      {line}");
    }
    violations.extend(verdict.violations);
}

/// The last lines, and the logs of a run that failed.
pub fn conclude(run: &Run, scene: &Scene, violations: &[String]) -> Outcome<bool> {
    let (seed, seconds) = (run.extent.seed, run.extent.seconds);
    let well = violations.is_empty();
    for violation in violations {
        println!("VIOLATED      {violation}");
    }
    if !well || run.keep {
        let folder = run.logs.join(format!("chaos-{seed}"));
        scene.stand.keep_logs(Path::new(&folder))?;
        println!("logs          {}", folder.display());
    }
    let verdict = if well { "the promise was kept" } else { "THE PROMISE WAS BROKEN" };
    println!("SEED={seed} SECONDS={seconds}: {verdict}");
    Ok(well)
}
