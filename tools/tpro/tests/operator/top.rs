//! `tpro top`, and the end of the reader.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tpro_testkit::{Context, Outcome, Postgres, eventually_some};

use crate::tool::{on, tpro};

#[tpro_testkit::test]
async fn without_a_terminal_it_looks_as_often_as_it_is_told() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let once = on(&database, "postgres", &["top", "--interval", "1"])?.ended(0)?;
    assert!(once.out.contains("PUBLISHED/S") && once.out.contains("nobody"), "{}", once.out);
    assert!(!once.out.contains('\u{1b}'), "{:?}", once.out);
    let twice = on(&database, "postgres", &["top", "--interval", "1", "--count", "2", "--json"])?.ended(0)?;
    let looks: Vec<Value> = twice.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(looks.len(), 2);
    assert_eq!(looks[1]["services"][0]["name"], "main");
    assert_eq!(looks[1]["services"][0]["rates"]["published_per_second"], json!(0.0));
    Ok(())
}

#[tpro_testkit::test]
async fn it_ends_when_its_reader_is_gone() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let mut endless = tpro(&["top", "--json", "--interval", "1", "--count", "1000000"]);
    let endless = endless.env("DATABASE_URL", database.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut endless = Ended(endless.spawn()?);
    let mut line = String::new();
    BufReader::new(endless.0.stdout.take().context("no output")?).read_line(&mut line)?;
    assert!(line.starts_with("{\"at\":"), "{line}");
    let exit = eventually_some("it ends", async || Ok(endless.0.try_wait()?)).await?;
    let mut said = String::new();
    endless.0.stderr.take().context("no errors")?.read_to_string(&mut said)?;
    assert_eq!((exit.code(), said.as_str()), (Some(0), ""));
    Ok(())
}

#[tpro_testkit::test]
async fn bold_type_is_for_terminals_of_people_who_did_not_refuse_it() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    for (refused, term, bold) in [("", "xterm", true), ("1", "xterm", false), ("", "dumb", false)] {
        let shown = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--command",
                &format!("{} status", env!("CARGO_BIN_EXE_tpro")),
                "/dev/null",
            ])
            .env("DATABASE_URL", database.url())
            .env("NO_COLOR", refused)
            .env("TERM", term)
            .stdin(Stdio::null())
            .output()
            .context("running script, of util-linux")?;
        let shown = String::from_utf8(shown.stdout)?;
        assert!(shown.contains("SERVICE"), "{shown:?}");
        assert_eq!(shown.contains('\u{1b}'), bold, "{refused} {term}: {shown:?}");
    }
    Ok(())
}

/// `script` gives it a terminal.
#[tpro_testkit::test]
async fn in_a_terminal_it_ends_on_q_and_lines_are_no_wider_than_the_terminal() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let publish =
        "SELECT tpro.publish('analytic', 'example', 'a_method_with_quite_a_long_name', sender => 'main')";
    database.connect().await?.batch_execute(publish).await?;
    let mut terminal = Ended(
        Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("stty cols 40 rows 10; exec {} top --interval 1h", env!("CARGO_BIN_EXE_tpro")))
            .arg("/dev/null")
            .env("DATABASE_URL", database.url())
            .env("TERM", "xterm")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("running script, of util-linux")?,
    );
    let mut shown = BufReader::new(terminal.0.stdout.take().context("no output")?);
    let mut page = Vec::new();
    // The last line of the page.
    while !String::from_utf8_lossy(&page).contains("tpro.analytic") {
        assert_ne!(shown.read_until(b'\n', &mut page)?, 0, "{}", String::from_utf8_lossy(&page));
    }
    let page = String::from_utf8(page)?;
    assert!(page.contains("\u{1b}[H\u{1b}[2J") && page.contains("\u{1b}[1mSERVICE"), "{page:?}");
    for line in page.lines() {
        let text = line.replace("\u{1b}[H\u{1b}[2J", "").replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert!(text.trim_end().chars().count() <= 40, "{text:?}");
    }
    terminal.0.stdin.as_mut().context("no input")?.write_all(b"q")?;
    assert!(eventually_some("it ends", async || Ok(terminal.0.try_wait()?)).await?.success());
    Ok(())
}

/// A child process that ends with the test. A terminal hangs up what runs in it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
