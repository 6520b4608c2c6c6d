//! A COMMIT of ours that waits for a synchronous standby.
//!
//! A session in this wait is alive and does nothing, and cannot be asked itself. To give it up is
//! of no use: the next session waits for the standby, too, and each session that is given up stays
//! with the server until the standby is back.

use std::time::Duration;

use super::{Servers, session};

/// The readiness check.
pub const CHECK: &str = "standby";
/// The remedy.
pub const WAITS: &str = "a COMMIT waits for a synchronous standby: start the standby, or take it out of \
    synchronous_standby_names and reload the server's configuration";
/// The longest time for the answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks, by a session of its own, if the session with this pid waits for a standby. False, too, if
/// nobody answers.
pub async fn waits(servers: &Servers, pid: i32) -> bool {
    let sql = "/* standby.look */ SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'";
    let asked = async {
        let session = session(servers, "look").await.ok()?;
        session.client.query_opt(sql, &[&pid]).await.ok()?
    };
    tokio::time::timeout(LIMIT, asked).await.ok().flatten().is_some()
}
