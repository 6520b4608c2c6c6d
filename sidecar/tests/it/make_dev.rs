//! `make dev-NAME`: an edit of an answer is built and answers soon, and a build that fails changes
//! nothing.
//!
//! Cargo would build the workspace with other features than for this test, and everything under it.
//! A script in its place calls the compiler for the one program, with the library that cargo has
//! built for the test.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use serde_json::json;
use tpro_testkit::{Context as _, Message, Outcome, Process, Signal, World, eventually, paths};

use crate::{compile_fail::builds, make_roll::Checkout};

/// The question that the service answers.
const METHOD: &str = "co.example.word";

/// The service, with this answer.
fn source(answer: &str) -> String {
    format!(
        r#"use tpro_sidecar::{{AnyBody, Ctx, Fault, Service}};

async fn word(_: Ctx, _: AnyBody) -> Result<&'static str, Fault> {{
    Ok({answer})
}}

fn main() -> std::process::ExitCode {{
    let pause = ("EXAMPLE_PAUSE_MS", "200", "a pause");
    tpro_sidecar::run(Service::new("co").setting(pause.0, pause.1, pause.2).handle("example.word", word))
}}
"#
    )
}

#[tpro_testkit::test]
async fn an_edit_of_an_answer_is_answered_soon_and_a_build_that_fails_changes_nothing() -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let main = world.run("main").await?;
    let checkout = Checkout::new(&world)?;
    let file = checkout.root.join("services/co/src/main.rs");
    fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
    fs::write(&file, source(r#""one""#))?;
    let dev = dev(&checkout, &world)?;
    answers(&world, "one").await?;
    eventually("it watches", async || Ok(dev.log().contains("are watched"))).await?;

    fs::write(&file, source(r#""two""#))?;
    answers(&world, "two").await?;

    fs::write(&file, source("nonsense"))?;
    eventually("the failed build is shown", async || {
        let said = dev.log();
        Ok(said.contains("cannot find value `nonsense`") && said.contains("co  goes on as it was"))
    })
    .await?;
    answers(&world, "two").await?;

    fs::write(&file, source(r#""three""#))?;
    answers(&world, "three").await?;
    dev.signal(Signal::INT)?;
    dev.wait().await?;
    answers(&world, "three").await?;
    checkout.well("down-co", "").await?;
    world.finish(&[&main]).await?;
    Ok(())
}

/// Waits until the service gives this answer. A question before may get the answer of the copy that
/// is replaced.
async fn answers(world: &World, word: &str) -> Outcome {
    eventually(&format!("the answer is {word}"), async || {
        let reply = world.ask(&Message::to(METHOD).body(json!({})).timeout(60)).await?;
        Ok(reply.result == json!(word))
    })
    .await
}

/// Begins to watch.
fn dev(checkout: &Checkout, world: &World) -> Outcome<Process> {
    // A folder of its own for what is built.
    let target = checkout.root.join("target/debug");
    fs::remove_file(&target)?;
    fs::create_dir(&target)?;
    let tpro = target.join("tpro");
    symlink(paths::binary("tpro", "tpro")?, &tpro)?;
    let bin = checkout.root.join("bin");
    fs::create_dir(&bin)?;
    let cargo = bin.join("cargo");
    fs::write(&cargo, script()?)?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new(&tpro);
    command.args(["local", "dev", "co"]).current_dir(&checkout.root).env_clear();
    let variables = checkout.environment.iter().filter(|(name, _)| *name != "BUILT");
    command.envs(variables.map(|(name, value)| (*name, value.as_str())));
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", bin.display()));
    Process::start("make dev-co", command, &world.folder().join("dev.out"), Signal::TERM, None)
}

/// The script in the place of cargo.
fn script() -> Outcome<String> {
    let test = env::current_exe().context("finding the test's own binary")?;
    let libraries: PathBuf = test.parent().context("the test's own binary has no folder")?.into();
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    // Cargo may keep several builds, and the newest need not be the one that fits the others.
    let compile: Vec<String> = builds(&libraries, "tpro_sidecar")?
        .iter()
        .map(|library| {
            format!(
                "'{rustc}' --edition=2024 --crate-name co_service -Ccodegen-units=1 -L 'dependency={}' \
                 --extern 'tpro_sidecar={}' -o target/debug/co_service services/co/src/main.rs",
                libraries.display(),
                library.display()
            )
        })
        .collect();
    Ok(format!(
        "#!/bin/sh\ncase $1 in\n--version) echo 'cargo 1.999.0' ;;\nbuild) {} ;;\nesac\n",
        compile.join(" || ")
    ))
}
