//! A check for a pooler that hands out the server's sessions from one transaction to the next.
//!
//! Our locks, settings, prepared statements and LISTEN belong to the session. Behind a pooler in
//! transaction mode each of them seems to work and holds for a moment.

use tokio_postgres::{Client, Error, SimpleQueryMessage, error::SqlState};

const PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Times that both sessions are asked. Each is a chance of its own to see another session.
const ROUNDS: usize = 10;

/// True if each of two open sessions is one of the server's, and stays it.
///
/// While the second is in a transaction, a pooler has given it a session of the server. Mostly that
/// is the session which the first had for its statement before, and it shows at once. If not, the
/// first gets yet another session for its next statement, or its old one, since there is no other
/// client. So each is asked twice. Other clients of the pooler take and return sessions meanwhile,
/// and once in a while they do it so that both get their own again: hence the rounds.
pub(super) async fn are_own(first: &Client, second: &Client) -> Result<bool, Error> {
    let mut seen = None;
    for _ in 0..ROUNDS {
        let before = pid(first, PID).await?;
        let other = pid(second, &format!("BEGIN; {PID}")).await?;
        // If the pooler has but one session, the first would wait for the second's end.
        let own = other != before && pid(first, PID).await? == before;
        second.batch_execute("ROLLBACK").await?;
        let both = (before, other);
        if !own || *seen.get_or_insert_with(|| both.clone()) != both {
            return Ok(false);
        }
    }
    Ok(true)
}

/// By the simple protocol: a prepared statement would be one of another session's.
async fn pid(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// True if the server knows a prepared statement that we do not, or does not know one that we have:
/// the session is another one than a moment ago.
pub(super) fn is_mixed_up(error: &Error) -> bool {
    let states = [SqlState::DUPLICATE_PSTATEMENT, SqlState::INVALID_SQL_STATEMENT_NAME];
    error.code().is_some_and(|code| states.contains(code))
}
