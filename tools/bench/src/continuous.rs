//! Continuous load: publishers, dispatcher and responder work at the same time, as fast as the
//! machine goes. It holds if as much is settled as is published, and nothing gets older.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tpro_testkit::{Failure, Outcome};

use crate::args::Extent;
use crate::line::{Goal, Line, Section, Unit};
use crate::pgbench::Pgbench;
use crate::stand::Stand;
use crate::table::{flat, median};

/// Publishers at once.
const PUBLISHERS: usize = 32;
/// The share of what is published that is to be settled meanwhile.
const SETTLED: f64 = 0.99;
/// The age of the oldest message may grow by this factor over the run.
const OLDER: f64 = 1.5;
/// An age below this is none: all ages are looked at as if they were no less.
const YOUNG: f64 = 0.1;

const PUBLISH: &str = r#"INSERT INTO main_service.mq_publish (service_name,entity,method_name,timeout,body)
VALUES ('echo','bench','echo',3600,'{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');"#;

const LOOK: &str = "SELECT (SELECT last_value FROM main_service.mq_publish_id_seq),
       (SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'),
       (SELECT coalesce(extract(epoch FROM oldest_age), 0)::float8 FROM tpro.services WHERE name = 'main')";

/// A look at the load.
struct Look {
    at: Instant,
    published: f64,
    settled: f64,
    age: f64,
}

/// Measures.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let database = stand.database().await?;
    let echo = stand.sidecar(&database, "echo")?.start().await?;
    let main = stand.sidecar(&database, "main")?.start().await?;
    let publishers = Pgbench::new(stand, &database, "continuous", PUBLISH)?;
    let admin = database.connect().await?;
    publishers.second(PUBLISHERS).await?;
    let seconds = extent.continuous_seconds;
    let mut taken = Vec::new();
    // A look that ends after the load would see the rest being settled.
    tokio::select! {
        published = publishers.seconds(PUBLISHERS, seconds) => drop(published?),
        failed = looks(&admin, &mut taken) => failed?,
    }
    main.stop().await?;
    echo.stop().await?;
    section(&taken, seconds)
}

/// A look each second, until one fails.
async fn looks(admin: &Client, taken: &mut Vec<Look>) -> Outcome {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let at = Instant::now();
        let row = admin.query_one(LOOK, &[]).await?;
        let (published, settled): (i64, i64) = (row.get(0), row.get(1));
        taken.push(Look { at, published: published as f64, settled: settled as f64, age: row.get(2) });
    }
}

fn section(looks: &[Look], seconds: u64) -> Outcome<Section> {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else {
        return Err(Failure::new("the load is over before a look at it"));
    };
    let span = last.at.duration_since(first.at).as_secs_f64();
    let (published, settled) =
        ((last.published - first.published) / span, (last.settled - first.settled) / span);
    let third = looks.len().div_ceil(3);
    let age = |looks: &[Look]| median(&looks.iter().map(|look| look.age).collect::<Vec<_>>());
    let (young, old) = (age(&looks[..third]), age(&looks[looks.len() - third..]));
    let note = format!(
        "{PUBLISHERS} publishers by pgbench, stateless, for {seconds} s, on the same machine as all else; a look each \
         second. Settled a second beside published a second; then the age of the oldest unsettled message, in \
         seconds, in the last third of the run beside the first (ages below {YOUNG} s count as {YOUNG} s)."
    );
    let lines = vec![
        Line {
            subject: "settled beside published".to_owned(),
            unit: Unit::ASecond,
            floor: published,
            ours: settled,
            ratio: flat(settled / published),
            goal: Some(Goal::AtLeast(SETTLED)),
        },
        Line {
            subject: "oldest unsettled, s, last third beside first".to_owned(),
            unit: Unit::Seconds,
            floor: young,
            ours: old,
            ratio: flat(old.max(YOUNG) / young.max(YOUNG)),
            goal: Some(Goal::AtMost(OLDER)),
        },
    ];
    Ok(Section { title: "Continuous load".to_owned(), note, lines })
}
