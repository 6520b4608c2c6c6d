//! The page `docs/sql.md`: each of its transcripts is run by psql, and says what psql says. And
//! `docs/coming-from.md`: each of its blocks of tpro runs.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tpro_testkit::{Context, Failure, Outcome, World, paths};

/// Stands between the outputs of two commands.
const BETWEEN: &str = "-- the next command --";

/// A command of the page, and what the page says it prints.
#[derive(Debug)]
struct Entry {
    user: String,
    /// With its prompts, as it stands on the page.
    lines: Vec<String>,
    output: Vec<String>,
}

impl Entry {
    fn command(&self) -> String {
        self.lines
            .iter()
            .map(|line| prompt(line).map_or("", |(_, _, rest)| rest))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The user of a prompt, the sign that says if a command begins, and the rest of the line.
fn prompt(line: &str) -> Option<(&str, char, &str)> {
    ["main", "postgres"].into_iter().find_map(|user| {
        let mut rest = line.strip_prefix(user)?.chars();
        let sign = rest.next().filter(|sign| matches!(sign, '=' | '-' | '(' | '\'' | '$'))?;
        rest.next().filter(|end| matches!(end, '>' | '#'))?;
        Some((user, sign, rest.as_str().strip_prefix(' ').unwrap_or(rest.as_str())))
    })
}

fn entries(page: &str) -> Vec<Entry> {
    let (mut entries, mut inside) = (Vec::<Entry>::new(), false);
    for line in page.lines() {
        match (line, prompt(line)) {
            ("```psql", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some((user, '=', _))) if inside => {
                let lines = vec![line.to_owned()];
                entries.push(Entry { user: user.to_owned(), lines, output: Vec::new() });
            }
            (_, more) if inside => {
                let last = entries.last_mut().expect("a transcript begins with a prompt");
                match more {
                    Some(_) => last.lines.push(line.to_owned()),
                    None => last.output.push(line.trim_end().to_owned()),
                }
            }
            _ => {}
        }
    }
    entries
}

/// The lines that psql prints for each of these commands, errors in their places.
fn run(mut psql: Command, commands: &[String]) -> Outcome<Vec<Vec<String>>> {
    let script = commands.iter().fold(String::new(), |mut script, command| {
        let _ = writeln!(script, "{command}\n\\echo '{BETWEEN}'");
        script
    });
    // One pipe for both, so that an error stands behind the output before it.
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = psql
        .args(["--no-psqlrc", "--no-password", "--set=SHOW_CONTEXT=never"])
        .env("PGAPPNAME", "psql")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .context("running psql")?;
    // It holds the writing end, too.
    drop(psql);
    let mut stdin = child.stdin.take().context("psql has no stdin")?;
    stdin.write_all(script.as_bytes())?;
    drop(stdin);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text)?;
    child.wait()?;
    let mut outputs = vec![Vec::new()];
    for line in text.lines() {
        match line == BETWEEN {
            true => outputs.push(Vec::new()),
            false => outputs.last_mut().expect("there is one").push(line.trim_end().to_owned()),
        }
    }
    outputs.pop();
    outputs.iter_mut().for_each(|output| {
        while output.last().is_some_and(String::is_empty) {
            output.pop();
        }
    });
    if outputs.len() != commands.len() {
        return Err(Failure::new(format!("psql ended early:\n{text}")));
    }
    Ok(outputs)
}

#[tpro_testkit::test]
async fn every_transcript_is_true() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    let page = std::fs::read_to_string(paths::checkout().join("docs/sql.md"))?;
    let entries = entries(&page);
    assert!(entries.len() > 20, "{} commands are found", entries.len());
    let (mut written, mut true_) = (String::new(), String::new());
    // Commands in a row of one user are one session.
    for session in entries.chunk_by(|one, next| one.user == next.user) {
        let mut psql = world.database.cluster().client_program("psql");
        psql.arg(match session[0].user.as_str() {
            "postgres" => world.database.url(),
            user => world.database.role_url(user),
        });
        let commands: Vec<String> = session.iter().map(Entry::command).collect();
        let outputs = tokio::task::spawn_blocking(move || run(psql, &commands)).await??;
        for (entry, output) in session.iter().zip(outputs) {
            let lines = entry.lines.join("\n");
            let said: Vec<&String> = entry.output.iter().filter(|line| !line.is_empty()).collect();
            let came: Vec<&String> = output.iter().filter(|line| !line.is_empty()).collect();
            if said != came {
                let _ = writeln!(written, "{lines}\n{}", entry.output.join("\n"));
                let _ = writeln!(true_, "{lines}\n{}", output.join("\n"));
            }
        }
    }
    assert!(true_.is_empty(), "docs/sql.md says\n{written}\nand psql says\n{true_}");
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

/// The blocks of SQL whose first line begins with this.
fn blocks<'a>(page: &'a str, begin: &str) -> Vec<&'a str> {
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with(begin)).collect()
}

#[tpro_testkit::test]
async fn each_block_for_newcomers_runs() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    world.database.create_service("web").await?;
    let web = world.start(world.sidecar("web")?.env("WEB_HOSTS", "127.0.0.1")).await?;
    let page = std::fs::read_to_string(paths::checkout().join("docs/coming-from.md"))?;
    // The host of the page is played by the test.
    let page = page.replace("https://example.com/hook", &hook().await?);
    let blocks = blocks(&page, "-- tpro");
    assert!(blocks.len() >= 6, "{} blocks are found", blocks.len());
    let commands: Vec<String> = blocks.iter().map(|block| (*block).to_owned()).collect();
    let mut psql = world.database.cluster().client_program("psql");
    psql.arg(world.database.role_url("main"));
    let outputs = tokio::task::spawn_blocking(move || run(psql, &commands)).await??;
    for (block, output) in blocks.iter().zip(outputs) {
        let failed = output.iter().any(|line| line.starts_with("ERROR") || line.contains("error:"));
        let answered = output.iter().any(|line| line.ends_with("rows)") || line.ends_with("(1 row)"));
        assert!(!failed && answered && !output.iter().any(|line| line == "(0 rows)"), "{block}\n{output:#?}");
        let is_hooked = output.iter().any(|line| line.contains("ok     | 200         | \"hooked\""));
        assert_eq!(is_hooked, block.contains("/hook"), "{block}\n{output:#?}");
    }
    world.finish(&[&main, &analytic, &web]).await?;
    Ok(())
}

/// The address of a server of HTTP that answers one request.
async fn hook() -> Outcome<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = format!("http://{}/hook", listener.local_addr()?);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        // Its body is an object.
        while !request.ends_with(b"}") && stream.read_buf(&mut request).await? > 0 {}
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhooked").await?;
        stream.shutdown().await
    });
    Ok(address)
}
