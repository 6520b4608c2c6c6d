//! The command line.

use clap::{Arg, ArgAction, Command};
use tpro_runtime::config::{ANY, KEYS, OwnSetting};

/// The task of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Serve until told to stop.
    Serve,
    /// Read the configuration, print it, and exit.
    Check,
    /// Ask the running service on its port if it is ready.
    Health,
    /// Make partitions ahead and drop old ones, once, and exit.
    Maintain,
}

/// Reads the arguments. Help, version and mistakes are answered by clap, which ends the process.
pub(crate) fn parse(service: &str, own: &[OwnSetting]) -> Task {
    task(&command(service, own).get_matches())
}

fn command(service: &str, own: &[OwnSetting]) -> Command {
    let (name, about) = match service {
        ANY => (
            "tpro-service".to_owned(),
            "The service of SERVICE_NAME, whose handlers are functions in SQL, and its sidecar: answers requests from NATS, \
             sends the outbox, settles replies."
                .to_owned(),
        ),
        service => (
            format!("{service}_service"),
            format!(
                "The service `{service}` and its sidecar: answers requests from NATS, sends the outbox, settles replies."
            ),
        ),
    };
    Command::new(name.clone())
        .bin_name(name)
        .version(crate::http::BUILD)
        .about(about)
        .after_help(keys(own))
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Read the configuration, print it without secrets, and exit: 0 if it is good, 2 if not"),
        )
        .subcommand(
            Command::new("health")
                .about("Ask the running service on SERVICE_PORT if it is ready, and exit: 0 or 1, for container health checks"),
        )
        .subcommand(
            Command::new("maintain")
                .about("Make partitions ahead, drop settled messages older than RETENTION, print a report, and exit: 0, or 1 if it failed")
                .after_help(
                    "The running copies do this every MAINTENANCE_INTERVAL. Two at once do not disturb each other: the second does \
                     nothing and says so. It may be killed at any moment and run again.\n\n\
                     RETENTION       time that a message is kept after it was settled\n\
                     PARTITION_ROWS  ids in a new partition of outbox and replies; whole partitions are kept or dropped\n\
                     INBOX_WINDOW    age up to which the inbox knows repeats; it keeps a day and a bit more",
                ),
        )
}

fn task(matches: &clap::ArgMatches) -> Task {
    match matches.subcommand_name() {
        Some("health") => Task::Health,
        Some("maintain") => Task::Maintain,
        _ if matches.get_flag("check") => Task::Check,
        _ => Task::Serve,
    }
}

/// All settings with their defaults, tpro's and then the service's own.
fn keys(own: &[OwnSetting]) -> String {
    let of_house = KEYS.iter().map(|key| (key.name, key.default, key.help));
    let of_service = own.iter().map(|own| {
        let hides = own.is_secret && !own.default.is_empty();
        (own.key, if hides { "***" } else { own.default }, own.help)
    });
    let all: Vec<_> = of_house.chain(of_service).collect();
    let width = all.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let mut text = String::from("Settings, from the environment or the .env file:\n");
    for (name, default, help) in all {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        text.push_str(&format!("  {name:width$}  {help}{default}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_the_help_lists_every_setting() {
        let own = OwnSetting::text("EXAMPLE_PAUSE_MS", "200", "a pause");
        let mut command = command("main", &[own]);
        command.clone().debug_assert();
        let help = command.render_help().to_string();
        assert!(KEYS.iter().all(|key| help.contains(key.name)));
        assert!(help.contains("EXAMPLE_PAUSE_MS") && help.contains("a pause [200]"), "{help}");
        let pin = OwnSetting { is_secret: true, ..OwnSetting::text("PIN", "canary", "a code") };
        let help = self::command("main", &[pin]).render_help().to_string();
        assert!(help.contains("a code [***]") && !help.contains("canary"), "{help}");
    }

    #[test]
    fn a_task_is_asked_for_by_flag_or_subcommand() {
        let asked = |arguments: &[&str]| {
            let all = ["main_service"].iter().chain(arguments);
            task(&command("main", &[]).try_get_matches_from(all).unwrap())
        };
        assert_eq!(asked(&[]), Task::Serve);
        assert_eq!(asked(&["--check"]), Task::Check);
        assert_eq!(asked(&["health"]), Task::Health);
        assert_eq!(asked(&["maintain"]), Task::Maintain);
    }
}
