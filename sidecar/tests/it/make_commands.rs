//! The Makefile and its scripts: what a name or a value holds is text, and what another checkout has left is not believed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tpro_local::settings::Settings;
use tpro_local::{process, psql, services};
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context, Failure, Outcome, eventually, paths};
use tpro_wire::ServiceName;

use crate::make_roll::copy;

/// What a shell, make, or arithmetic in bash would run if it were no text.
const HOSTILE: [&str; 8] = [
    "x'; touch pwned; echo '",
    "\"; touch pwned; echo \"",
    "$(touch pwned)",
    "`touch pwned`",
    "$(shell touch pwned)",
    "a[$(touch pwned)]",
    "x & touch pwned | cat",
    "--help; ${IFS}touch${IFS}pwned",
];

/// The settings of the Makefile and of its scripts.
const SETTINGS: [&str; 32] = [
    "AS",
    "BASE_IMAGE",
    "BINARIES",
    "BIND",
    "CASES",
    "COPY_NUMBER",
    "DCAPE_NET",
    "FILTER",
    "FORCE",
    "JAEGER_IMAGE",
    "JAEGER_PORT",
    "LOG_FILE_NAME",
    "MODE",
    "NAME",
    "NATS_IMAGE",
    "NATS_MONITOR_PORT",
    "NATS_PORT",
    "OTLP_PORT",
    "PG",
    "PG_CONFIG",
    "PG_PORT",
    "PROJECT_NAME",
    "REBUILD",
    "RUNTIME",
    "SECONDS",
    "SEED",
    "SERVICE_PORT",
    "SERVICE_VERSION",
    "STOP_TIMEOUT",
    "TRACES_MAX",
    "TRACES_MAX_MEMORY_MB",
    "UP_TIMEOUT",
];

/// A folder with what `make` needs of a checkout. It goes with the test.
pub struct Checkout {
    /// The folder.
    pub root: PathBuf,
    /// What `make` is called with.
    pub environment: BTreeMap<String, String>,
}

impl Checkout {
    /// With nothing built.
    pub fn new(name: &str) -> Outcome<Checkout> {
        let root = paths::run_root()?.join(format!("world-{}-{name}", std::process::id())).join("a checkout");
        let _ = fs::remove_dir_all(&root);
        for path in [
            "Makefile",
            "make",
            "Cargo.toml",
            "rust-toolchain.toml",
            ".cargo",
            "sql",
            "docker",
            "services/co",
        ]
        .into_iter()
        .chain(["sidecar/wire/src/reserved.txt", "pg_tpro/pg_tpro.control"])
        {
            copy(&paths::checkout().join(path), &root.join(path))?;
        }
        let _ = fs::remove_file(root.join("services/co/.env"));
        // The targets call this program. Built here, it would have other features.
        fs::create_dir_all(root.join("target/debug"))?;
        symlink(paths::binary("tpro", "tpro")?, root.join("target/debug/tpro"))?;
        let mut environment = BTreeMap::from([("BUILT".to_owned(), "yes".to_owned())]);
        for kept in ["PATH", "HOME", "PG_CONFIG", "PGRX_PG_CONFIG_PATH"] {
            if let Ok(value) = std::env::var(kept) {
                environment.insert(kept.to_owned(), value);
            }
        }
        Ok(Checkout { root, environment })
    }

    /// With the programs that cargo has built.
    pub fn with_programs(self) -> Outcome<Checkout> {
        fs::remove_dir_all(self.root.join("target/debug"))?;
        symlink(paths::binaries()?, self.root.join("target/debug"))?;
        Ok(self)
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl ToString) -> Checkout {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Calls a program there; whether it succeeded, and what it said.
    pub fn call(
        &self,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Outcome<(bool, String)> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command.env_clear().envs(&self.environment).envs(variables.iter().copied());
        let done = command.output().context(format!("{program} {arguments:?}"))?;
        let told = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((done.status.success(), told.concat()))
    }

    /// The same, which must succeed.
    pub fn well(&self, goals: &[&str]) -> Outcome<String> {
        let (well, told) = self.call("make", goals, &[])?;
        assert!(well, "make {goals:?} failed: {told}");
        Ok(told)
    }

    /// The document of a task of `tpro local`.
    pub fn json(&self, task: &str) -> Outcome<Value> {
        let tpro = self.root.join("target/debug/tpro").display().to_string();
        let (well, told) = self.call(&tpro, &["local", task, "--json"], &[])?;
        assert!(well, "tpro local {task} --json failed: {told}");
        serde_json::from_str(&told).context(told)
    }

    /// Calls psql as the local superuser; whether it succeeded, and what it said.
    pub fn admin(&self, arguments: &[&str]) -> Outcome<(bool, String)> {
        let mut settings = Settings::default();
        self.environment.iter().for_each(|(name, value)| settings.set(name, value));
        let checkout = tpro_local::checkout::Checkout::open(self.root.clone(), settings)?;
        let done = psql::admin(&checkout)?.args(arguments).stdin(Stdio::null()).output().context("psql")?;
        let told = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((done.status.success(), told.concat()))
    }

    /// Puts programs in the place of the scripts that only write down what reaches them.
    fn record(&self) -> Outcome {
        for script in fs::read_dir(self.root.join("make"))? {
            let script = script?.path();
            if script.extension().is_some_and(|end| end == "sh") {
                fs::write(&script, "#!/bin/bash\nprintf '%s\\0' \"$@\" >arguments\nenv -0 >environment\n")?;
                fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }

    /// What reached a script: its arguments and its environment.
    fn recorded(&self) -> Outcome<(Vec<String>, BTreeMap<String, String>)> {
        let read = |name: &str| -> Outcome<Vec<String>> {
            let file = self.root.join(name);
            let text = fs::read_to_string(&file).context(format!("reading {}", file.display()))?;
            fs::remove_file(&file)?;
            Ok(text.split_terminator('\0').map(str::to_owned).collect())
        };
        let variables = read("environment")?;
        let pairs = variables.iter().filter_map(|variable| variable.split_once('='));
        Ok((read("arguments")?, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    /// Nothing of what was given was run.
    fn is_untouched(&self, what: &str) {
        assert!(!self.root.join("pwned").exists(), "{what} has run something");
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = self.root.parent().map(fs::remove_dir_all);
    }
}

/// The targets of the Makefile, as `make help` finds them.
fn targets() -> Outcome<Vec<String>> {
    let makefile = fs::read_to_string(paths::checkout().join("Makefile"))?;
    let heads = makefile.lines().filter(|line| line.contains("## ")).filter_map(|line| line.split_once(':'));
    let heads = heads.filter(|(head, _)| head.starts_with(|c: char| c.is_ascii_lowercase()));
    Ok(heads.flat_map(|(head, _)| head.split_whitespace()).map(str::to_owned).collect())
}

#[test]
fn every_name_and_every_value_reaches_its_script_as_text() -> Outcome {
    let checkout = Checkout::new("text")?;
    checkout.record()?;
    let targets = targets()?;
    assert!(targets.len() > 30, "{targets:?}");
    for target in targets.iter().filter(|target| !["help", "all"].contains(&target.as_str())) {
        let pattern = target.contains('%');
        let hostile = if pattern { &HOSTILE[..] } else { &HOSTILE[..1] };
        for name in hostile {
            let goal = target.replace('%', name);
            checkout.call("make", &[&goal], &[])?;
            checkout.is_untouched(&goal);
            let (arguments, variables) = checkout.recorded().context(goal.clone())?;
            if pattern {
                assert_eq!(arguments.last().map(String::as_str), Some(*name), "{goal}");
                assert_eq!(variables.get("STEM").map(String::as_str), Some(*name), "{goal}");
            }
        }
        // All settings at once, by the environment and by the command line.
        let goal = target.replace('%', "co");
        for hostile in HOSTILE {
            let given: Vec<(&str, &str)> = SETTINGS.iter().map(|name| (*name, hostile)).collect();
            checkout.call("make", &[&goal], &given)?;
            checkout.is_untouched(&format!("{goal} with {hostile} in the environment"));
            let (_, variables) = checkout.recorded()?;
            let on_line: Vec<String> = SETTINGS.iter().map(|name| format!("{name}={hostile}")).collect();
            let on_line: Vec<&str> =
                [goal.as_str()].into_iter().chain(on_line.iter().map(String::as_str)).collect();
            checkout.call("make", &on_line, &[])?;
            checkout.is_untouched(&format!("{goal} with {hostile} on the command line"));
            let (_, by_line) = checkout.recorded()?;
            for name in SETTINGS {
                assert_eq!(
                    variables.get(name).map(String::as_str),
                    Some(hostile),
                    "{name}={hostile} make {goal}"
                );
                assert_eq!(
                    by_line.get(name).map(String::as_str),
                    Some(hostile),
                    "make {goal} {name}={hostile}"
                );
            }
            assert_eq!(by_line.get("LOAD_SECONDS").map(String::as_str), Some(hostile));
        }
    }
    Ok(())
}

#[test]
fn a_hostile_value_is_refused_by_the_script_that_reads_it_and_runs_nothing() -> Outcome {
    // Everything is somebody's own, so that nothing is started.
    let checkout = Checkout::new("hostile")?
        .with_programs()?
        .env("DATABASE_URL", "postgres://co@127.0.0.1:1/co")
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    for hostile in HOSTILE {
        for (goal, setting) in [
            ("chaos", "SECONDS"),
            ("chaos", "SEED"),
            ("simulate", "SECONDS"),
            ("simulate", "SEED"),
            ("soak", "SECONDS"),
            ("soak", "SEED"),
            ("faults", "FILTER"),
            ("test-postgres", "PG"),
            ("test-postgres", "SECONDS"),
            ("psql", "AS"),
            ("stop-co", "COPY_NUMBER"),
            ("down-all-co", "FORCE"),
            ("logs-co", "COPY_NUMBER"),
            ("up-co", "COPY_NUMBER"),
            ("up-co", "UP_TIMEOUT"),
            ("up-co", "SERVICE_PORT"),
            ("up-co", "SERVICE_VERSION"),
            ("roll-co", "SERVICE_VERSION"),
            ("up-nats", "NATS_PORT"),
            ("up-nats", "NATS_MONITOR_PORT"),
            ("up-jaeger", "BIND"),
            ("up-jaeger", "JAEGER_PORT"),
            ("up-jaeger", "OTLP_PORT"),
            ("status", "RUNTIME"),
        ] {
            let (well, told) = checkout.call("make", &[goal], &[(setting, hostile)])?;
            checkout.is_untouched(&format!("{setting}={hostile} make {goal}"));
            assert!(!well && told.contains(setting), "{setting}={hostile} make {goal} said: {told}");
        }
        // These are looked at before the engine, which may not be there.
        for setting in ["BIND", "BINARIES", "DCAPE_NET", "MODE", "PG", "PROJECT_NAME"] {
            let given = [("RUNTIME", "docker"), (setting, hostile)];
            let (well, told) = checkout.call("make", &["status"], &given)?;
            checkout.is_untouched(&format!("{setting}={hostile} RUNTIME=docker make status"));
            assert!(!well && told.contains(&format!("{setting}=")), "{setting}={hostile}: {told}");
        }
        for target in targets()?.iter().filter(|target| target.contains('%')) {
            let goal = target.replace('%', hostile);
            let (well, told) = checkout.call("make", &[&goal], &[])?;
            checkout.is_untouched(&goal);
            assert!(!well && told.contains("is no name for a service"), "{goal} said: {told}");
        }
    }
    Ok(())
}

#[test]
fn a_folder_of_a_hostile_name_is_no_service() -> Outcome {
    let checkout = Checkout::new("folders")?;
    for name in HOSTILE.iter().filter(|name| !name.contains('/')) {
        let folder = checkout.root.join("services").join(name);
        fs::create_dir(&folder)?;
        fs::write(folder.join("Cargo.toml"), "")?;
        fs::write(folder.join(".env"), "SERVICE_PORT=a[$(touch pwned)]\nDATABASE_URL=$(touch pwned)\n")?;
    }
    fs::write(
        checkout.root.join("services/co/.env"),
        "SERVICE_PORT=a[$(touch pwned)]\nSTOP_TIMEOUT=a[$(touch pwned)]\n",
    )?;
    for goal in ["status", "env", "create-env-co", "stop-co", "down"] {
        let told = checkout.well(&[goal])?;
        checkout.is_untouched(goal);
        assert!(!told.contains("touch pwned"), "{goal}: {told}");
    }
    // A port that is none is told by its name.
    let surroundings = [
        ("DATABASE_URL", "postgres://co@127.0.0.1:1/co"),
        ("NATS_URL", "nats://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ];
    let checkout = checkout.with_programs()?;
    let (well, told) = checkout.call("make", &["up-co"], &surroundings)?;
    checkout.is_untouched("up-co");
    assert!(!well && told.contains("SERVICE_PORT"), "{told}");
    Ok(())
}

#[test]
fn make_and_the_program_know_the_same_names() -> Outcome {
    let patterns = include_str!("../../wire/src/reserved.txt").lines();
    let patterns: Vec<&str> = patterns.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut names: Vec<String> = ["", "x", "main_", "_"]
        .iter()
        .flat_map(|put| patterns.iter().map(move |pattern| pattern.replace('*', put)))
        .collect();
    for text in [
        "main", "a", "_a", "1a", "A", "aB", "a-b", "a b", "a.b", "ä", "a\nb", "", "*", "?", "[a]", "a*", "-n",
    ] {
        names.push(text.to_owned());
    }
    for length in [39, 40, 41] {
        names.push("a".repeat(length));
    }
    names.extend(patterns.iter().map(|pattern| format!("{}9", pattern.replace('*', "z"))));
    for name in &names {
        let by_make = services::must_be_name(name);
        assert_eq!(by_make.is_ok(), ServiceName::parse(name).is_ok(), "{name:?}: {by_make:?}");
    }
    Ok(())
}

/// Starts something that runs for long under a name of make's. Returns its process id.
fn run_as_nats(root: &Path) -> Outcome<u32> {
    let checkout = tpro_local::checkout::Checkout::open(root.to_path_buf(), Settings::of_process())?;
    let mut long = checkout.command("sleep");
    let pid = process::spawn(&checkout, "nats", long.arg("600"))?;
    process::remember(&checkout, "nats", pid, &[("port", "1"), ("monitor", "2")])?;
    Ok(pid)
}

#[tpro_testkit::test]
async fn a_copied_checkout_leaves_processes_and_places_of_the_original_alone() -> Outcome {
    let original = Checkout::new("original")?;
    let profile = original.root.join("target/debug");
    fs::create_dir_all(&profile)?;
    let pid = run_as_nats(&original.root)?;
    // It is this process's child: dead, it has an entry in /proc until it is waited for.
    let alive = |pid: u32| process::started_at(pid).is_some();
    // As the tests' kit notes it.
    let place = original.root.join("the place of the tests");
    fs::create_dir(&place)?;
    fs::write(profile.join("testkit.place"), format!("{}\n", place.display()))?;
    fs::write(place.join("owner"), format!("{}\n{}\n", profile.display(), original.root.display()))?;
    // And a cluster's, elsewhere than in the checkout.
    let cluster = original.root.join("the place of the cluster");
    fs::create_dir(&cluster)?;
    fs::write(cluster.join("checkout"), format!("{}\n", original.root.display()))?;
    fs::write(original.root.join(".local/postgres.place"), format!("{}\n", cluster.display()))?;

    let copied = Checkout::new("copied")?;
    fs::remove_dir_all(&copied.root)?;
    let done = Command::new("cp").arg("-a").arg(&original.root).arg(&copied.root).status()?;
    assert!(done.success());
    let told = copied.well(&["stop-nats"])?;
    assert!(told.contains(&format!("this checkout is a copy of {}", original.root.display())), "{told}");
    assert!(told.contains("not running"), "{told}");
    assert!(alive(pid), "the original's process was ended");
    let told = copied.well(&["clean"])?;
    assert!(told.contains("left: ") && !told.contains(", /"), "{told}");
    assert!(place.exists() && cluster.exists() && alive(pid), "{told}");

    // Release 0.1.0 left no mark in .local.
    fs::remove_dir_all(&copied.root)?;
    fs::remove_file(original.root.join(".local/checkout"))?;
    let done = Command::new("cp").arg("-a").arg(&original.root).arg(&copied.root).status()?;
    assert!(done.success());
    copied.well(&["clean"])?;
    assert!(place.exists() && cluster.exists() && alive(pid));

    // One that was moved is still itself.
    fs::remove_dir_all(&copied.root)?;
    original.well(&["status"])?;
    fs::rename(&original.root, &copied.root)?;
    let told = copied.well(&["stop-nats"])?;
    assert!(told.contains("stopped in"), "{told}");
    eventually("the process has ended", async || Ok(!alive(pid))).await?;
    Ok(())
}

#[test]
fn a_machine_reads_what_runs_and_the_addresses() -> Outcome {
    let checkout = Checkout::new("json")?.env("DATABASE_URL", "postgres://co@[::1]:1/it's");
    let none = checkout.json("status")?;
    let keys = |part: &Value| part.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    assert_eq!((&none["runtime"], &none["servers"][0]["state"]), (&json!("native"), &Value::Null));
    assert_eq!(none["services"], json!([{"name": "co", "copies": []}]));

    let pid = run_as_nats(&checkout.root)?;
    // It never was a service, so it answers nothing on its port.
    let port = free_port()?;
    let root = checkout.root.clone();
    let opened = tpro_local::checkout::Checkout::open(root, Settings::of_process())?;
    process::remember(&opened, "co-3", pid, &[("port", &port.to_string())])?;
    let some = checkout.json("status")?;
    let nats = &some["servers"][1];
    assert_eq!(
        [&nats["name"], &nats["state"], &nats["pid"], &nats["port"], &nats["url"]],
        [&json!("nats"), &json!("running"), &json!(pid), &json!(1), &json!("nats://127.0.0.1:1")]
    );
    let monitoring = &some["servers"][2];
    assert_eq!((&monitoring["name"], &monitoring["port"]), (&json!("nats.monitoring"), &json!(2)));
    let copy = &some["services"][0]["copies"][0];
    assert_eq!(
        [&copy["copy"], &copy["state"], &copy["ready"]],
        [&json!(3), &json!("running"), &json!(false)]
    );
    assert_eq!((keys(copy), keys(nats)), (keys(&none["servers"][0]), keys(&none["servers"][0])));
    let table = checkout.well(&["status"])?;
    for cell in
        ["nats               running", "  monitoring", "co 3               running", "co-3 is not ready"]
    {
        assert!(table.contains(cell), "{cell}: {table}");
    }

    let env = checkout.json("env")?;
    assert_eq!(env["DATABASE_URL"], "postgres://co@[::1]:1/it's");
    assert_eq!(
        (&env["NATS_URL"], &env["NATS_MONITOR_URL"]),
        (&json!("nats://127.0.0.1:1"), &json!("http://127.0.0.1:2"))
    );
    assert_eq!(env["CO_URL"], json!(format!("http://127.0.0.1:{port}")));
    let lines = checkout.well(&["env"])?;
    let names = env.as_object().context("an object")?.keys();
    for name in names.clone() {
        assert!(lines.contains(&format!("export {name}=")), "{name}: {lines}");
    }
    assert_eq!(names.len(), lines.lines().count(), "{lines}");
    checkout.well(&["stop-nats"])?;
    Ok(())
}

#[test]
fn clean_removes_what_its_own_tests_have_made() -> Outcome {
    for profile in ["debug", "measured"] {
        let checkout = Checkout::new("clean")?;
        let profile = checkout.root.join("target").join(profile);
        fs::create_dir_all(&profile)?;
        let place = checkout.root.join("the place of the tests");
        fs::create_dir(&place)?;
        fs::write(profile.join("testkit.place"), format!("{}\n", place.display()))?;
        for owner in ["", "/elsewhere/target/debug\n/elsewhere\n"] {
            fs::write(place.join("owner"), owner)?;
            checkout.well(&["clean"])?;
            assert!(place.exists(), "of {owner:?}");
        }
        fs::write(place.join("owner"), format!("{}\n{}\n", profile.display(), checkout.root.display()))?;
        let told = checkout.well(&["clean"])?;
        assert!(!place.exists() && told.contains("the place of the tests"), "{told}");
        assert!(!checkout.root.join(".local").exists(), "{told}");
    }
    Ok(())
}

#[test]
fn clean_touches_nothing_in_the_folder_of_another_project() -> Outcome {
    for missing in ["docker/nats.conf", "make/service.env"] {
        let project = Checkout::new("foreign")?;
        fs::remove_file(project.root.join(missing))?;
        let kept = ["logs", ".local"].map(|name| project.root.join(name));
        kept.iter().try_for_each(fs::create_dir)?;
        let (well, told) = project.call("make", &["clean"], &[])?;
        assert!(!well && told.contains("is no checkout of tpro"), "without {missing}: {told}");
        assert!(kept.iter().all(|folder| folder.is_dir()), "without {missing}: {told}");
        assert!(!project.root.join(".local/checkout").exists(), "without {missing}: {told}");
    }
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn variables_that_are_meant_for_others_lead_the_local_installation_nowhere() -> Outcome {
    let mut checkout = Checkout::new("local")?.with_programs()?.env("PG_PORT", free_port()?);
    for (name, value) in [
        ("PGSSLMODE", "verify-full"),
        ("PGHOST", "nowhere.example"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGPORT", "none"),
        ("PGUSER", "somebody"),
        ("PGPASSWORD", "wrong"),
        ("PGDATABASE", "other"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGOPTIONS", "-c search_path=nowhere"),
        ("NATS_PORT", "tcp://10.0.0.1:4222"),
        ("NATS_PORT_4222_TCP", "tcp://10.0.0.1:4222"),
        ("SERVICE_PORT", "tcp://10.0.0.2:80"),
        ("JAEGER_PORT", "udp://10.0.0.3:6831"),
        ("ENV_FILE", "/nowhere/.env"),
    ] {
        checkout = checkout.env(name, value);
    }
    let (well, told) = checkout.call("make", &["up-co"], &[])?;
    let (down, end) = checkout.call("make", &["clean"], &[])?;
    assert!(well && told.contains("ready in"), "{told}");
    assert!(told.contains("NATS_PORT=tcp://10.0.0.1:4222 is a service link"), "{told}");
    match down {
        true => Ok(()),
        false => Err(Failure::new(format!("make clean failed: {end}"))),
    }
}
