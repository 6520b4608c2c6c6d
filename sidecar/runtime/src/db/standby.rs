//! Whether a COMMIT of ours waits for a synchronous standby.
//!
//! Such a session is alive and does nothing: it cannot be asked itself. To give it up would be of no use, because whatever
//! takes its place waits for the same, and each session that is given up stays with the server until the standby is back.

use std::time::Duration;

use super::{Servers, session};

/// The readiness check.
pub const CHECK: &str = "standby";
/// What is to be done.
pub const WAITS: &str = "a COMMIT waits for a synchronous standby: start the standby, or take it out of \
    synchronous_standby_names and reload the server's configuration";
/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks, by a session of its own, whether the session with this pid waits so. False too where nobody answers.
pub async fn waits(servers: &Servers, pid: i32) -> bool {
    let sql = "/* standby.look */ SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'";
    let asked = async {
        let session = session(servers, "look").await.ok()?;
        session.client.query_opt(sql, &[&pid]).await.ok()?
    };
    tokio::time::timeout(LIMIT, asked).await.ok().flatten().is_some()
}
