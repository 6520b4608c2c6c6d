//! The examples of docs/wire/examples answer a service of tpro and ask another one, and continue
//! the trace.
//!
//! The library of a language comes from its public registry, once for each checkout. Where the
//! language or its library cannot be had, the test says so.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use tpro_testkit::{Context as _, Message, Outcome, Process, Signal, World, eventually, paths};

#[tpro_testkit::test]
async fn the_example_in_python_answers_and_asks_in_one_trace() -> Outcome {
    let folder = folder("python")?;
    if !folder.join("nats").is_dir() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15", "--target"]);
        pip.arg(&folder).arg("nats-py==2.16.0");
        if !is_well(pip) {
            return skipped("Python, pip or nats-py");
        }
    }
    let mut python = Command::new("python3");
    python.arg(example("shop.py")).env("PYTHONPATH", &folder);
    answers("python", python).await
}

#[tpro_testkit::test]
async fn the_example_in_typescript_answers_and_asks_in_one_trace() -> Outcome {
    let folder = folder("node")?;
    if !folder.join("node_modules/esbuild").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix"]);
        npm.arg(&folder).args(["@nats-io/transport-node@3.4.0", "esbuild@0.28.2"]);
        if !is_well(npm) {
            return skipped("Node, npm or the client of NATS");
        }
    }
    // Node does not read types in each release.
    let program = folder.join("shop.mjs");
    let mut esbuild = Command::new(folder.join("node_modules/.bin/esbuild"));
    esbuild.arg(example("shop.ts")).args(["--log-level=error", "--format=esm"]);
    esbuild.arg(format!("--outfile={}", program.display()));
    if !is_well(esbuild) {
        return skipped("esbuild");
    }
    let mut node = Command::new("node");
    node.arg(program);
    answers("node", node).await
}

/// Starts the program, and asks it. It asks `co`.
async fn answers(name: &str, mut program: Command) -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let main = world.run("main").await?;
    let co = world.run("co").await?;
    let sidecar = world.sidecar("main")?;
    for variable in ["NATS_URL", "NATS_TOKEN"] {
        program.env(variable, sidecar.value(variable).unwrap_or_default());
    }
    let log = world.folder().join(format!("{name}.out"));
    let shop = Process::start(format!("the example in {name}"), program, &log, Signal::TERM, None)?;
    eventually("the example answers", async || {
        if let Some(exit) = shop.exit()? {
            return Err(tpro_testkit::Failure::new(format!("it has ended with {exit}: {}", shop.log())));
        }
        Ok(shop.log().contains("shop answers"))
    })
    .await?;
    let id = world.publish(&Message::to("shop.order.total").body(json!({"items": 3}))).await?;
    let result = world.await_reply(id).await?.ok()?;
    assert_eq!(result["items"], 3, "{result}");
    assert!(result["sums"]["exampleRequestWithParallelQueries"].is_i64(), "{result}");
    let trace: String = world.main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.get(0);
    eventually("the span of co is in the trace of the message", async || {
        Ok(world.collector.spans().iter().any(|span| span.service == "co" && span.trace_id == trace))
    })
    .await?;
    world.finish(&[&main, &co]).await?;
    Ok(())
}

/// The folder in which the libraries of a language are kept.
fn folder(language: &str) -> Outcome<PathBuf> {
    let folder = paths::checkout().join(".local/examples").join(language);
    fs::create_dir_all(&folder).context("making a folder for the libraries of examples")?;
    Ok(folder)
}

fn example(name: &str) -> PathBuf {
    paths::checkout().join(Path::new("docs/wire/examples")).join(name)
}

/// True if a command is there and ends well. Its output is of no interest.
fn is_well(mut command: Command) -> bool {
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

fn skipped(missing: &str) -> Outcome {
    // Not by a macro, whose output the harness keeps to itself.
    writeln!(std::io::stderr(), "SKIPPED: an example was not tried: {missing} cannot be had here")?;
    Ok(())
}
