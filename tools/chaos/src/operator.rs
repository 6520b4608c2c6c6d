//! Somebody who lets ordering keys go some time after a message has failed and holds them. Each
//! release is on record with its time, for the oracle.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};

use crate::stand::Stand;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest time for connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// The releases, by the message that has failed.
pub const TABLE: &str = "CREATE TABLE public.released (mq_id int8 NOT NULL, at timestamptz NOT NULL)";

/// A key is held for a second at least.
const RELEASE: &str = "BEGIN;
    INSERT INTO public.released SELECT h.id, clock_timestamp() FROM main_service.mq_hold h
     WHERE h.since < clock_timestamp() - interval '1 second';
    SELECT tpro.release(k.ordering_key, k.service_name, 'main')
      FROM (SELECT DISTINCT h.ordering_key, h.service_name FROM main_service.mq_hold h
              JOIN public.released d ON d.mq_id = h.id) k;
    COMMIT";

/// The operator, at work until dropped.
pub struct Operator(JoinHandle<()>);

impl Operator {
    /// Begins to work.
    pub fn start(stand: &Arc<Stand>) -> Self {
        let stand = stand.clone();
        Self(tokio::spawn(async move {
            loop {
                // Servers come and go.
                if let Ok(Ok(session)) = tokio::time::timeout(CONNECT, stand.admin()).await {
                    let _lost = work(&session).await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Works until the session is lost.
async fn work(session: &Client) -> Result<(), Error> {
    loop {
        session.batch_execute(RELEASE).await?;
        tokio::time::sleep(PAUSE).await;
    }
}
