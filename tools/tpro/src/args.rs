//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

use crate::time;

/// The state of the messages in a database, and the hand of an operator.
#[derive(Debug, Parser)]
#[command(name = "tpro", version, after_help = AFTER)]
pub struct Command {
    /// The task.
    #[command(subcommand)]
    pub task: Task,
}

const AFTER: &str = "\
The database is the one of DATABASE_URL, or of PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE.
A login that is a member of tpro_reader sees states and targets, one of tpro_operator may also
cancel and retry. Bodies are shown by `tpro show` alone, to those who may read the outbox.

Exit codes: 0 well; 1 something is ill, is not there or cannot be done; 2 the command line or a
setting is wrong; 3 the database cannot be reached, has no tpro, or does not allow it.

Examples:
  tpro status                               who leads, what waits, what is wrong
  tpro messages main --status error         the latest messages of main that ended in an error
  tpro health --json                        for monitoring: exit code 1 if something is ill
  DATABASE_URL=postgresql://ann@db/app tpro top";

/// A task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Show services, copies, leaders, what waits and what is wrong
    #[command(after_help = "\
UNSETTLED counts the messages of a service that have no reply yet; OLDEST is the age of the oldest.

Examples:
  tpro status
  tpro status --json | jq '.services[] | {name, unsettled}'")]
    Status(Output),
    /// List the latest messages, newest first
    #[command(after_help = "\
--since and --until take a time (2026-01-30T12:00:00Z, in UTC where it names no zone) or a span
before now (90s, 15m, 2h, 7d). They go by the primary key and find messages whose publisher gave
them another created_at only near their own time. --uid needs the right to read the outbox.

Examples:
  tpro messages                                        of all services
  tpro messages main --service analytic --since 15m    what main asked of analytic
  tpro messages --status waiting --limit 100
  tpro messages main --status timeout --json | jq '.messages[].id'")]
    Messages(Filter),
    /// Show one message whole: headers, body, reply, attempts, trace
    #[command(after_help = "\
Who may not read the outbox sees what `tpro messages` shows, and which right is missing.
JAEGER_PUBLIC_URL or JAEGER_URL makes the trace a link.

Examples:
  tpro show 1234 --sender main
  tpro show 019acac2-0000-7000-8000-000000000000
  tpro show 1234 --json | jq .reply.error")]
    Show(Show),
    /// Take messages back: settle them as cancelled, whether they were sent or not
    #[command(after_help = "\
A handler that is at work already cannot be stopped; its answer is dropped. Needs tpro_operator.
Exit code 1 if one of the messages was settled before.

Examples:
  tpro cancel 1234 --sender main
  tpro messages main --status waiting --json | jq '.messages[].id' | xargs tpro cancel --sender main")]
    Cancel(Act),
    /// Send settled messages again, each as a new message with a uid of its own
    #[command(after_help = "\
Needs tpro_operator. Exit code 1 if one of the messages is not settled yet.

Examples:
  tpro retry 1234 --sender main
  tpro messages main --status timeout --since 1h --json | jq '.messages[].id' |
    xargs tpro retry --sender main")]
    Retry(Act),
    /// Name what is ill, each finding with its remedy; the exit code says it, too
    #[command(after_help = "\
Found ill: a database that is not adopted, an extension or tables of an earlier release, tables that
were tampered with, a service that nobody leads, publishers that are refused, messages that are old.
A copy's own view (NATS, its pool) is in its /readyz.

Examples:
  tpro health
  tpro health main analytic --max-age 1m
  tpro health --json | jq -r '.findings[].problem'")]
    Health(Health),
    /// Watch services: what waits, who leads, messages a second
    #[command(after_help = "\
Ends on q or ctrl-C. Where standard output is no terminal it prints once, or --count times.
With --json each look is one line.

Examples:
  tpro top
  tpro top --interval 10s
  tpro top --json --count 3")]
    Top(Top),
    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  tpro completions bash > ~/.local/share/bash-completion/completions/tpro
  tpro completions zsh > ~/.zfunc/_tpro")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The database, and the form of what is printed.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// Database to ask; keep a password in DATABASE_URL or PGPASSWORD
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Print JSON; its shape is in docs/tpro.md
    #[arg(long)]
    pub json: bool,
}

/// The messages to list.
#[derive(Args, Clone, Debug)]
pub struct Filter {
    /// Service that sent them; all that may be read without it
    pub sender: Option<String>,
    /// Only to this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Only to this method: simple, or with its entity example.simple
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Only waiting, ok, error, timeout, unavailable, expired or cancelled
    #[arg(long, value_enum, value_name = "STATUS", hide_possible_values = true)]
    pub status: Option<Status>,
    /// Only published at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only published before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only the one with this uid
    #[arg(long, value_name = "UID", value_parser = uid)]
    pub uid: Option<Uuid>,
    /// Most messages to list
    #[arg(long, value_name = "N", default_value = "20", value_parser = number(1, 100_000))]
    pub limit: usize,
    /// Most messages to look at in an outbox
    #[arg(long, value_name = "N", default_value = "100000", value_parser = number(1, 1_000_000_000))]
    pub scan: usize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The message to show.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// Id in the outbox of a service, or uid
    #[arg(value_name = "ID|UID", value_parser = which)]
    pub message: Which,
    /// Service that sent it; without it all are searched
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// How a message is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its number in an outbox.
    Id(i64),
    /// By its identity.
    Uid(Uuid),
}

/// The messages to do something with.
#[derive(Args, Clone, Debug)]
pub struct Act {
    /// Ids in the outbox
    #[arg(required = true, value_name = "ID", value_parser = id)]
    pub ids: Vec<i64>,
    /// Service that sent them, if not tpro.sender of the login or the only one
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The services to judge.
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// Services to look at; all without it
    pub services: Vec<String>,
    /// Age at which a message without a reply is ill; 0: at none
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span)]
    pub max_age: i64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// How to watch.
#[derive(Args, Clone, Debug)]
pub struct Top {
    /// Time between two looks
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = pause)]
    pub interval: i64,
    /// Looks to take; without it until q in a terminal, else one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the words are those of the database")]
pub enum Status {
    Waiting,
    Ok,
    Error,
    Timeout,
    Unavailable,
    Expired,
    Cancelled,
}

impl Status {
    /// The word of the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A shell.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Shell {
    Bash,
    Zsh,
}

fn number(least: u64, most: u64) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser as _;
    clap::value_parser!(u64).range(least..=most).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

fn which(text: &str) -> Result<Which, String> {
    id(text)
        .map(Which::Id)
        .or_else(|_| uid(text).map(Which::Uid))
        .map_err(|_| format!("give an id such as 1234, or a uid such as {EXAMPLE}"))
}

fn id(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| "give the id of a message, such as 1234".to_owned())
}

fn uid(text: &str) -> Result<Uuid, String> {
    // A uuid without hyphens could be a number that is too large.
    let uid = Some(text).filter(|text| text.len() == 36).and_then(|text| text.parse().ok());
    uid.ok_or_else(|| format!("give a uid such as {EXAMPLE}"))
}

const EXAMPLE: &str = "019acac2-0000-7000-8000-000000000000";

fn span(text: &str) -> Result<i64, String> {
    time::seconds(text).ok_or_else(|| "give a number of seconds, or one with s, m, h or d".to_owned())
}

fn pause(text: &str) -> Result<i64, String> {
    let span = span(text)?;
    Some(span).filter(|span| (1..=3_600).contains(span)).ok_or_else(|| "give a time from 1s to 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_no_help_is_wider_than_a_terminal() {
        let mut command = Command::command();
        command.clone().debug_assert();
        command.build();
        for task in command.get_subcommands_mut() {
            let after = task.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(task.get_name() == "help" || after.contains("Examples:"), "{}", task.get_name());
            for line in task.render_help().to_string().lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }

    #[test]
    fn a_message_is_named_by_id_or_uid() {
        assert_eq!(which("12"), Ok(Which::Id(12)));
        assert!(matches!(which("019acac2-0000-7000-8000-000000000000"), Ok(Which::Uid(_))));
        for text in ["0", "-1", "x", "", "9223372036854775808", "019acac2000070008000000000000000"] {
            assert!(which(text).is_err(), "{text}");
        }
    }
}
