//! `tpro`: the command of operators, which shows and mends the messages of any database with the
//! extension, and of developers, whose local installation it makes.
#![forbid(unsafe_code)]

mod act;
mod address;
mod args;
mod cancel;
mod dsn;
mod findings;
mod health;
mod keys;
mod line;
mod local;
mod message;
mod messages;
mod migrate;
mod options;
mod outbox;
mod overview;
mod paper;
mod plain;
mod problem;
mod rates;
mod release;
mod retry;
mod run;
mod session;
mod show;
mod status;
mod table;
mod time;
mod timeline;
mod top;
mod uid;
mod values;
mod wanted;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::{generate, shells};
use serde::Serialize;

use address::Address;
use args::{Command, Migrate, Task};
use health::Report;
use message::Message;
use messages::Messages;
use options::Output;
use paper::{Paper, print_json};
use problem::{Ending, Problem};
use session::Session;
use status::Status;
use values::Shell;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return refused(&error),
    };
    let ending = run(command.task).await.unwrap_or_else(|problem| {
        paper::say(&problem.to_string());
        problem.ending
    });
    ExitCode::from(ending as u8)
}

/// Prints help, version or a mistake. A mistake may hold an address with its password.
fn refused(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        paper::complain(&dsn::without_passwords(&text));
        return ExitCode::from(Ending::Usage as u8);
    }
    match paper::print(&text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => ExitCode::from(problem.ending as u8),
    }
}

async fn run(task: Task) -> Result<Ending, Problem> {
    match task {
        Task::Status(output) => {
            let session = open(&output).await?;
            let status = Status::look(&session, 0).await?;
            session.rest().await?;
            show(&output, &status, |paper| status.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Messages(filter) => {
            let session = open(&filter.output).await?;
            let messages = Messages::look(&session, &filter).await?;
            session.rest().await?;
            show(&filter.output, &messages, |paper| messages.write(paper))?;
            messages.say_if_more_may_match();
            Ok(Ending::Well)
        }
        Task::Show(asked) => {
            let session = open(&asked.output).await?;
            let message = Message::look(&session, &asked, trace_viewer()).await?;
            session.rest().await?;
            show(&asked.output, &message, |paper| message.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Cancel(act) => {
            let done = cancel::cancel(&open(&act.output).await?, &act).await?;
            show(&act.output, &done, |paper| done.write(paper))?;
            Ok(done.ending())
        }
        Task::Retry(act) => {
            let done = retry::retry(&open(&act.output).await?, &act).await?;
            show(&act.output, &done, |paper| done.write(paper))?;
            Ok(done.ending())
        }
        Task::Release(asked) => {
            let released = release::release(&open(&asked.output).await?, &asked).await?;
            show(&asked.output, &released, |paper| released.write(paper))?;
            Ok(released.ending())
        }
        Task::Health(health) => {
            let session = open(&health.output).await?;
            let report = Report::look(&session, &health).await?;
            session.rest().await?;
            show(&health.output, &report, |paper| report.write(paper))?;
            Ok(report.ending())
        }
        Task::Top(top) => {
            top::watch(&open(&top.output).await?, &top, variable).await?;
            Ok(Ending::Well)
        }
        Task::Migrate(Migrate::Check(moved)) => {
            let found = migrate::check(&open(&moved.output).await?, &moved).await?;
            show(&moved.output, &found, |paper| found.write(paper))?;
            Ok(found.ending())
        }
        Task::Migrate(Migrate::Mark(moved)) => {
            let mark = migrate::mark(&open(&moved.output).await?, &moved).await?;
            show(&moved.output, &mark, |paper| mark.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Migrate(Migrate::Run(taken)) => {
            let done = migrate::run(&open(&taken.output).await?, &taken).await?;
            show(&taken.output, &done, |paper| done.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Migrate(Migrate::Back(moved)) => {
            let back = migrate::back(&open(&moved.output).await?, &moved).await?;
            show(&moved.output, &back, |paper| back.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Migrate(Migrate::Send(given)) => {
            let told = migrate::send(&open(&given.output).await?, &given).await?;
            show(&given.output, &told, |paper| told.write(paper))?;
            Ok(Ending::Well)
        }
        Task::Local(task) => Ok(local::run(&task)),
        Task::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Command::command();
            match shell {
                Shell::Bash => generate(shells::Bash, &mut command, "tpro", &mut script),
                Shell::Zsh => generate(shells::Zsh, &mut command, "tpro", &mut script),
            }
            paper::print(&String::from_utf8_lossy(&script))?;
            Ok(Ending::Well)
        }
    }
}

/// Prints a document, as JSON or for a person.
fn show(output: &Output, document: &impl Serialize, write: impl FnOnce(&mut Paper)) -> Result<bool, Problem> {
    if output.json {
        return print_json(document);
    }
    let mut paper = Paper::new(variable);
    write(&mut paper);
    paper.print()
}

async fn open(output: &Output) -> Result<Session, Problem> {
    Session::open(&Address::read(output.database_url.as_deref(), variable)?).await
}

/// The address where people look at traces.
fn trace_viewer() -> Option<String> {
    ["JAEGER_PUBLIC_URL", "JAEGER_URL"].into_iter().filter_map(variable).find(|url| !url.is_empty())
}

/// A variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
