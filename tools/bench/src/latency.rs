//! Latency: from the end of a commit to the moment at which a client sees the reply row, in each
//! mode, against the shortest program that does it ([`floor`]).
//!
//! All ways have the same login and the same client, and take turns within a round. All programs
//! run throughout, so that each way finds the machine as the others do.

mod arrival;
mod curves;
pub mod floor;
mod judged;
mod peak;
mod samples;
mod way;

use tokio::task::block_in_place;
use tpro_testkit::{Context as _, Database, Outcome};

use crate::args::Extent;
use crate::line::{Line, Section};
use crate::mode::Mode;
use crate::plot::Plot;
use crate::stand::Stand;
pub use arrival::Arrival;
pub use samples::Samples;
pub use way::Way;

/// The place of the stateless mode among the ways, behind the floor's.
const STATELESS: usize = 1;

/// Measures.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<(Section, Vec<Plot>)> {
    let database = stand.database().await?;
    database.connect().await?.batch_execute(floor::TABLES).await.context("making the tables of the floor")?;
    let _responder = stand.ready_task("floor-responder", &database).await?;
    let _dispatcher = stand.ready_task("latency-floor", &database).await?;
    let echo = stand.sidecar(&database, "echo")?.start().await?;
    let main = stand.sidecar(&database, "main")?.start().await?;

    let rounds = extent.latency_rounds;
    // The clients block, each on a thread of its own.
    let (samples, half) = block_in_place(|| take(&database, extent))?;
    main.stop().await?;
    echo.stop().await?;

    let lines = [judged::lines(&samples), vec![half]].concat();
    let note = format!(
        "The client looks every 0.1 ms. One message at a time, at once or so long after the last reply; at Poisson \
         arrivals from the moment at which the message was to be published. {rounds} rounds in turns with the floor, \
         the shortest program that is notified, asks over NATS and inserts the reply. The figures are of all rounds \
         together, the interval is over the rounds. The peak is what the clients publish and tpro settles when all of it is due at once."
    );
    let title = format!("Latency, commit returned to reply row visible{}", extent.suffix());
    Ok((Section { title, note, lines }, curves::plots(&samples)))
}

/// All rounds, then those at half of the peak.
fn take(database: &Database, extent: &Extent) -> Outcome<(Samples, Line)> {
    let mut ways = vec![Way::of_floor(database)?];
    for mode in Mode::ALL {
        ways.push(Way::of_mode(database, mode)?);
    }
    let (quick, rounds) = (extent.quick, extent.latency_rounds);
    let samples = Samples::take(&ways, Arrival::all(quick), rounds, quick)?;
    let peak = peak::find(&ways[STATELESS])?;
    let half = peak::half(&ways[STATELESS], peak, &samples, rounds)?;
    Ok((samples, half))
}
