//! The flood at the start of a soak. It sets the high-water marks at once: every session of every
//! pool is opened, the largest bodies go every way through every copy, and transactions of
//! thousands of rows fill the state that is kept per message. So everything that comes to a plateau
//! (size classes of the allocator, buffers that keep their largest size, code that runs for the
//! first time) does so before the first look, and not once in a while for hours, when a rare large
//! body finds a copy that had none.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_postgres::Client;
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Outcome, Recon};

use crate::act::SERVICES;
use crate::ledger::{End, Entry, Ledger};
use crate::random::Random;
use crate::stand::Stand;
use crate::traffic::{Ask, COLUMNS, Mark};

/// Its marks; the first publisher's begin far above.
const FIRST: Mark = 1;
/// Large rows of each way in one transaction. Luck decides which copy gets one: with this number
/// both copies get some but once in 2^11, and that three times over.
const LARGE: usize = 12;
/// Transactions of large rows.
const LARGE_TIMES: usize = 3;
/// Rows of a large transaction.
const ROWS: usize = 4_000;
/// Large transactions.
const ROWS_TIMES: usize = 3;
/// Rows of one statement.
const PIECE: usize = 500;
/// The marks of the flood are drawn from this part of the random numbers.
const PART: u64 = 999;
/// The longest time that a statement may take.
const STATEMENT: Duration = Duration::from_secs(60);

/// Publishes it and waits until all of it is settled.
pub async fn flood(stand: &Stand, ledger: &Arc<Ledger>, seed: u64) -> Outcome {
    let mut session = connect(&stand.publisher_url()).await?;
    session.batch_execute("SET application_name = 'chaos/flood'").await?;
    let mut random = Random::part(seed, PART);
    let mut next = FIRST;
    let mut ask = |make: &mut dyn FnMut(Mark) -> Ask| {
        next += 1;
        (next, make(next))
    };
    for _ in 0..LARGE_TIMES {
        let rows: Vec<_> =
            (0..LARGE).flat_map(|_| Ask::WAYS).map(|way| ask(&mut |mark| Ask::large(way, mark))).collect();
        // Few large rows in a statement: a statement is one text.
        publish(&mut session, ledger, &rows, Ask::WAYS.len()).await?;
    }
    for _ in 0..ROWS_TIMES {
        let rows: Vec<_> = (0..ROWS).map(|_| ask(&mut |mark| Ask::any(&mut random, mark))).collect();
        publish(&mut session, ledger, &rows, PIECE).await?;
    }
    drop(session);
    Recon::drained(&stand.admin().await?, &SERVICES.map(str::to_owned)).await.context("settling the flood")
}

/// Publishes rows in one transaction, so many in each statement.
async fn publish(session: &mut Client, ledger: &Ledger, rows: &[(Mark, Ask)], piece: usize) -> Outcome {
    let transaction = session.transaction().await?;
    for some in rows.chunks(piece) {
        let values: Vec<_> = some.iter().map(|(_, ask)| ask.values()).collect();
        let insert = format!("INSERT INTO main_service.mq_publish ({COLUMNS}) VALUES {}", values.join(", "));
        tokio::time::timeout(STATEMENT, transaction.batch_execute(&insert))
            .await
            .context("a statement of the flood takes too long")??;
    }
    transaction.commit().await?;
    let kept = rows.iter().map(|(mark, _)| *mark).collect();
    ledger.write(Entry {
        xid: None,
        begun: SystemTime::now(),
        prepared: false,
        end: End::Committed,
        kept,
        gone: Vec::new(),
    });
    Ok(())
}
