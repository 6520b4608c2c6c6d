//! Handlers that must not compile, and the words of the compiler about them.
//!
//! The compiler gets the library that cargo built for this test, so nothing is compiled but a few
//! lines of each case.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tpro_testkit::{Context as _, Failure, Outcome, paths};

/// The beginning of every case.
const PRELUDE: &str = r#"
#![allow(dead_code, unused)]
#![deny(unused_must_use)]
use serde::{Deserialize, Serialize};
use tpro_sidecar::{AnyBody, CallError, Ctx, Failure, Fault, Method, ReplyCtx, Service, Tx};

#[derive(Serialize, Deserialize, Method)]
#[method("analytic.example.simple", reply = Session)]
struct Login { login: String }

#[derive(Serialize, Deserialize)]
struct Session { sid: String }

#[derive(Serialize, Deserialize)]
struct Other { number: i64 }

struct Domain;
"#;

/// The forms that must compile: without them a case could fail for any reason.
const GOOD: &str = r#"
impl tpro_sidecar::IntoFault for Domain {
    fn into_fault(self) -> Fault { Fault::new(7, "no more seats") }
}
#[derive(tpro_sidecar::Settings)]
struct Settings {
    /// A pause.
    #[setting("PAUSE_MS", default = "200")]
    pause: u32,
}
async fn simple(ctx: Ctx<Settings>, _: Login) -> Result<Session, Domain> {
    if ctx.state().pause > 9 { Err(Domain) } else { Ok(Session { sid: "x".into() }) }
}
async fn book(tx: Tx<Settings>, login: Login) -> Result<i64, Fault> {
    tx.publish_request(&login).await
}
async fn ask(ctx: Ctx<Settings>, login: Login) -> Result<Session, CallError> {
    ctx.call_request(&login).await
}
async fn boxed(_: Ctx<Settings>, _: AnyBody) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
    Ok("7".parse()?)
}
async fn logged_in(_: ReplyCtx<Settings>, _: Session) -> Result<(), Fault> { Ok(()) }
async fn failed(_: ReplyCtx<Settings>, _: Failure) -> Result<(), Domain> { Ok(()) }
fn service() -> Service<Settings> {
    Service::with_settings("analytic")
        .handle_request(simple)
        .handle_transactional("example.book", book)
        .handle("example.ask", ask)
        .handle("example.boxed", boxed)
        .handle("example.closure", |_: Ctx<Settings>, body: AnyBody| async { Ok::<_, Fault>(body) })
        .on_reply_to::<Login>(logged_in, failed)
        .on_reply("co.example.simple", logged_in, failed)
}
"#;

/// A name, the lines, and words that the compiler says about them.
const CASES: [(&str, &str, &str); 12] = [
    (
        "a transaction cannot call",
        "async fn f(tx: Tx, login: Login) -> Result<Session, Fault> {
            tx.call_request(&login).await.map_err(CallError::into_fault)
        }",
        "no method named `call_request` found for struct `Tx",
    ),
    (
        "nothing is called while a transaction is open",
        "async fn f(ctx: Ctx, login: Login) -> Result<Session, Fault> {
            let tx = ctx.tx().await?;
            ctx.call_request(&login).await.map_err(CallError::into_fault)
        }",
        "borrow of moved value: `ctx`",
    ),
    (
        "a reply handler cannot call",
        "async fn f(ctx: ReplyCtx, login: Login) -> Result<Session, Fault> {
            ctx.call_request(&login).await.map_err(CallError::into_fault)
        }",
        "no method named `call_request` found for struct `ReplyCtx",
    ),
    (
        "a transactional handler is not one of the default way",
        "async fn f(_: Tx, _: Login) -> Result<(), Fault> { Ok(()) }
        fn service() -> Service { Service::new(\"x\").handle(\"a.b\", f) }",
        "type mismatch in function arguments",
    ),
    (
        "a handler knows the state of its service",
        "async fn f(_: Ctx<u32>, _: Login) -> Result<(), Fault> { Ok(()) }
        fn service() -> Service { Service::new(\"x\").handle(\"a.b\", f) }",
        "type mismatch in function arguments",
    ),
    (
        "a request has one reply",
        "async fn f(_: Ctx, _: Login) -> Result<Other, Fault> { Ok(Other { number: 7 }) }
        fn service() -> Service { Service::new(\"analytic\").handle_request(f) }",
        "expected `Session`, found `Other`",
    ),
    (
        "a handler ends with a result",
        "async fn f(_: Ctx, _: Login) -> Session { Session { sid: String::new() } }
        fn service() -> Service { Service::new(\"x\").handle(\"a.b\", f) }",
        "a handler cannot end with `Session`",
    ),
    (
        "an error of a handler says what the caller sees",
        "async fn f(_: Ctx, _: Login) -> Result<(), Domain> { Ok(()) }
        fn service() -> Service { Service::new(\"x\").handle(\"a.b\", f) }",
        "a handler cannot return the error `Domain`",
    ),
    (
        "a reply handler takes the reply of the method",
        "async fn f(_: ReplyCtx, _: Other) -> Result<(), Fault> { Ok(()) }
        async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> { Ok(()) }
        fn service() -> Service { Service::new(\"x\").on_reply_to::<Login>(f, failed) }",
        "type mismatch in function arguments",
    ),
    (
        "only a request knows its method",
        "async fn f(ctx: Ctx, other: Other) -> Result<(), Fault> { ctx.call_request(&other).await?; Ok(()) }",
        "`Other` is not the request of a method",
    ),
    ("a service is run", "fn f() { Service::new(\"x\"); }", "a service does nothing until it is run"),
    (
        "a setting has a type that can be read",
        "#[derive(tpro_sidecar::Settings)]
        struct Own {
            /// A door.
            door: Domain,
        }",
        "`Domain` cannot be read from a setting",
    ),
];

#[test]
fn what_a_handler_must_not_do_does_not_compile() -> Outcome {
    let compiler = Compiler::find()?;
    let mut problems = Vec::new();
    for (name, lines, words) in CASES {
        match compiler.compile(lines)? {
            None => problems.push(format!("{name}: this compiles:\n{lines}")),
            Some(said) if !said.contains(words) => {
                problems.push(format!("{name}: no word of {words:?} in\n{said}"))
            }
            Some(_) => {}
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    Ok(())
}

/// The compiler with the libraries of this test.
struct Compiler {
    libraries: PathBuf,
    externs: [OsString; 2],
    folder: PathBuf,
}

impl Compiler {
    /// Finds the libraries that fit together: cargo may keep several builds of each.
    fn find() -> Outcome<Self> {
        let test = std::env::current_exe().context("finding the test's own binary")?;
        let libraries = test.parent().context("the test's own binary has no folder")?.to_path_buf();
        let folder = paths::run_root()?.join("compile_fail");
        fs::create_dir_all(&folder).context("making a folder")?;
        let mut said = String::new();
        for sidecar in builds(&libraries, "tpro_sidecar")? {
            for serde in builds(&libraries, "serde")? {
                let of = |name: &str, library: &Path| {
                    let mut text = OsString::from(format!("{name}="));
                    text.push(library);
                    text
                };
                let externs = [of("tpro_sidecar", &sidecar), of("serde", &serde)];
                let compiler = Self { libraries: libraries.clone(), externs, folder: folder.clone() };
                match compiler.compile(GOOD)? {
                    None => return Ok(compiler),
                    Some(errors) => said = errors,
                }
            }
        }
        Err(Failure::new(format!("what must compile does not: {said}")))
    }

    /// Compiles lines behind the prelude. Returns the words of the compiler where it refuses them.
    fn compile(&self, lines: &str) -> Outcome<Option<String>> {
        let source = self.folder.join("case.rs");
        fs::write(&source, format!("{PRELUDE}\n{lines}\n")).context("writing a case")?;
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(paths::checkout());
        rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"]).arg(&self.folder);
        rustc.arg("-L").arg(
            [OsString::from("dependency="), self.libraries.clone().into()].into_iter().collect::<OsString>(),
        );
        for library in &self.externs {
            rustc.arg("--extern").arg(library);
        }
        let done = rustc.arg(&source).output().context("running rustc")?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        Ok((!done.status.success()).then_some(said))
    }
}

/// The builds of a library, the newest first.
pub fn builds(folder: &Path, name: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).context("reading the folder of libraries")? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib") {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}
