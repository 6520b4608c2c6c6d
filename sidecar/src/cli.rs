//! The command line.

use clap::{Arg, ArgAction, Command};

use crate::config::KEYS;

/// What the process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Serve until told to stop.
    Serve,
    /// Read the configuration, print it, and exit.
    Check,
    /// Ask the running service on its port whether it is ready.
    Health,
}

/// Reads the arguments. Help, version and mistakes are answered by clap, which ends the process.
pub(crate) fn parse(service: &str) -> Task {
    task(&command(service).get_matches())
}

fn command(service: &str) -> Command {
    let name = format!("{service}_service");
    Command::new(name.clone())
        .bin_name(name)
        .version(crate::http::BUILD)
        .about(format!("The service `{service}` and its sidecar: answers requests from NATS, sends the outbox, settles replies."))
        .after_help(keys())
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Read the configuration, print it without secrets, and exit: 0 if it is good, 2 if not"),
        )
        .subcommand(
            Command::new("health")
                .about("Ask the running service on SERVICE_PORT whether it is ready: exits with 0 or 1, for container health checks"),
        )
}

fn task(matches: &clap::ArgMatches) -> Task {
    if matches.subcommand_name() == Some("health") {
        Task::Health
    } else if matches.get_flag("check") {
        Task::Check
    } else {
        Task::Serve
    }
}

/// All settings with their defaults.
fn keys() -> String {
    let width = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
    let mut text = String::from("Settings, from the environment or the .env file:\n");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!(" [{}]", key.default) };
        text.push_str(&format!("  {:width$}  {}{default}\n", key.name, key.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_the_help_lists_every_setting() {
        let mut command = command("main");
        command.clone().debug_assert();
        let help = command.render_help().to_string();
        assert!(KEYS.iter().all(|key| help.contains(key.name)));
    }

    #[test]
    fn a_task_is_asked_for_by_flag_or_subcommand() {
        let asked = |arguments: &[&str]| {
            let all = ["main_service"].iter().chain(arguments);
            task(&command("main").try_get_matches_from(all).unwrap())
        };
        assert_eq!(asked(&[]), Task::Serve);
        assert_eq!(asked(&["--check"]), Task::Check);
        assert_eq!(asked(&["health"]), Task::Health);
    }
}
