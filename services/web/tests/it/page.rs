//! The page `docs/web.md`: each block of SQL runs, and prints what the page says.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;
use tpro_testkit::{Context as _, Failure, Outcome, World, eventually, paths};

use crate::host::{Host, Seen, answer};

/// The host that the page asks, as the page describes it.
fn played(seen: &Seen) -> crate::host::Answer {
    let json = ["content-type: application/json"];
    match seen.line.as_str() {
        "POST /orders" => answer(201, &json, r#"{"id": 42}"#),
        "POST /charges" => answer(200, &[], format!("got {}", seen.text())),
        "POST /hook" => answer(204, &[], ""),
        "POST /down" => answer(503, &[], ""),
        other => answer(404, &[], other),
    }
}

/// The blocks of SQL of a page, each with the output that stands behind it.
fn blocks(page: &str) -> Vec<(String, Option<String>)> {
    let parts = page.split("```sql\n").skip(1).filter_map(|rest| rest.split_once("\n```\n"));
    let output = |rest: &str| Some(rest.strip_prefix("```\n")?.split_once("\n```")?.0.to_owned());
    parts.map(|(block, rest)| (block.to_owned(), output(rest))).collect()
}

/// The lines of psql without blanks at their ends.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

fn run(mut psql: Command, block: &str) -> Outcome<String> {
    let psql = psql.args(["--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1"]).env("LC_ALL", "C.UTF-8");
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("running psql")?;
    child.stdin.take().context("psql has a stdin")?.write_all(block.as_bytes())?;
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(Failure::new(format!("psql fails at\n{block}"))),
    }
}

#[tpro_testkit::test]
async fn each_block_says_what_psql_says() -> Outcome {
    let world = World::options().services(&["main", "web"]).start().await?;
    world.admin.batch_execute("GRANT CREATE ON SCHEMA public TO main").await?;
    let main = world.run("main").await?;
    let web = world.start(world.sidecar("web")?.env("WEB_HOSTS", "127.0.0.1")).await?;
    let host = Host::start(|seen, _| played(seen)).await?;
    let page = fs::read_to_string(paths::checkout().join("docs/web.md"))?;
    let blocks = blocks(&page.replace("https://api.example.com", &host.url("")));
    assert!(blocks.len() > 3, "{blocks:?}");
    for (block, told) in blocks {
        let mut psql = world.database.cluster().client_program("psql");
        psql.arg(world.database.role_url("main"));
        let asked = block.clone();
        let printed = tokio::task::spawn_blocking(move || run(psql, &asked)).await??;
        if let Some(told) = told {
            assert_eq!(lines(&printed), lines(&told), "{block}");
        }
    }
    // The trigger of the page.
    world.main.batch_execute("INSERT INTO orders VALUES (17, 19.90)").await?;
    let hooked = || host.seen().into_iter().find(|seen| seen.line == "POST /hook");
    eventually("the webhook is called", async || Ok(hooked().is_some())).await?;
    let body: Value = serde_json::from_str(&hooked().context("a request")?.text())?;
    assert_eq!((&body["table"], &body["record"]["id"]), (&"orders".into(), &17.into()), "{body}");
    world.finish(&[&main, &web]).await?;
    Ok(())
}
