//! The command line.

use clap::{Parser, Subcommand};

use crate::local::Local;
use crate::options::{Act, Filter, GivenBack, Health, Moved, Output, Release, Show, TakenOver, Top};
use crate::values::Shell;

/// Show and mend the messages of a database with the extension pg_tpro.
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
cancel, retry and release. Bodies are shown by `tpro show` alone, to those who may read the
outbox.

Exit codes: 0 well; 1 something is ill, is not there or cannot be done; 2 the command line or a
setting is wrong; 3 the database cannot be reached, has no tpro, or does not allow it.

Examples:
  tpro status                               leaders, waiting messages, findings
  tpro messages main --status error         the latest messages of main that ended in an error
  tpro health --json                        for monitoring: exit code 1 if something is ill
  DATABASE_URL=postgresql://ann@db/app tpro top";

/// A task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Show services, copies, leaders, waiting messages and findings
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
A role that may not read the outbox sees what `tpro messages` shows, and the missing right.
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
    /// Let ordering keys go that a failed message holds: those behind it are sent without it
    #[command(after_help = "\
Needs tpro_operator. `tpro retry` of the message that failed does it again first, and lets the
key go if that ends well. Exit code 1 if one of the keys is not held.

Examples:
  tpro release 'account 17' --sender main
  tpro release 'account 17' --service ledger")]
    Release(Release),
    /// Judge the services: each finding with its remedy; exit code 1 if there is one
    #[command(after_help = "\
Found ill: a database that is not adopted, an extension or tables of an earlier release, tables that
were tampered with, a service that nobody leads, publishers that are refused, messages that are old.
A copy's own view (NATS, its pool) is in its /readyz.

Examples:
  tpro health
  tpro health main analytic --max-age 1m
  tpro health --json | jq -r '.findings[].problem'")]
    Health(Health),
    /// Watch the services: leaders, waiting messages, messages a second
    #[command(after_help = "\
Ends on q or ctrl-C. Where standard output is no terminal it prints once, or --count times.
With --json each look is one line.

Examples:
  tpro top
  tpro top --interval 10s
  tpro top --json --count 3")]
    Top(Top),
    /// Take over the schema of a service of the Go system
    #[command(
        subcommand,
        after_help = "\
Needs a superuser. docs/migration.md has the steps around it, on the way over and on the way back.

Examples:
  tpro migrate check main                     what the rules of tpro would refuse; changes nothing
  tpro migrate mark main                      the id up to which the Go copies may have sent
  tpro migrate run main --after 1234 --login app
  tpro migrate back main                      on the way back, when the copies of tpro have ended
  tpro migrate send main --after 5678         and then, when the Go copies run"
    )]
    Migrate(Migrate),
    /// Make and run the local installation of a checkout: the targets of its Makefile
    #[command(
        subcommand,
        after_help = "\
In the folder of the Makefile. Settings come from the environment, as with make: PG_PORT, NATS_PORT,
COPY_NUMBER and the others that `make help` names.

Examples:
  tpro local up-nats
  NATS_PORT=4223 tpro local up-nats
  eval \"$(tpro local env)\""
    )]
    Local(Local),
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

/// A step of the way over from the Go system.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Show what the rules of tpro would refuse; exit code 1 if there is anything
    Check(Moved),
    /// Print the id up to which the Go copies may have sent, before they are stopped
    Mark(Moved),
    /// Set the old schema aside, make the new one, publish what was not sent
    Run(TakenOver),
    /// Give the old schema its name back, and put into it what waits
    Back(Moved),
    /// Have the Go copies send what they have not heard of
    Send(GivenBack),
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
}
