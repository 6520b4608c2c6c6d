//! Whatever the savepoints of a transaction are, the bell rings if a row is committed.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::listener::Listener;
use crate::service::database;

/// One step of a transaction.
#[derive(Clone, Debug)]
enum Step {
    Publish,
    Open,
    Release,
    RollBack,
    /// A publish inside a block whose error is caught: a savepoint that PL/pgSQL makes.
    Caught,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Publish),
        3 => Just(Step::Open),
        2 => Just(Step::Release),
        2 => Just(Step::RollBack),
        1 => Just(Step::Caught),
    ];
    prop::collection::vec(step, 0..12)
}

/// The statements, and how many rows they leave.
fn script(steps: &[Step]) -> (String, usize) {
    let mut script = String::from("BEGIN;");
    // For each savepoint that is open, how many rows there were when it was set.
    let mut open: Vec<usize> = Vec::new();
    let mut rows = 0;
    for step in steps {
        match step {
            Step::Publish => {
                rows += 1;
                script.push_str("SELECT tpro.publish('a', 'b', 'c');");
            }
            Step::Open => {
                open.push(rows);
                script.push_str(&format!("SAVEPOINT s{};", open.len()));
            }
            Step::Release => {
                if open.pop().is_some() {
                    script.push_str(&format!("RELEASE s{};", open.len() + 1));
                }
            }
            Step::RollBack => {
                if let Some(before) = open.last() {
                    rows = *before;
                    script.push_str(&format!("ROLLBACK TO s{};", open.len()));
                }
            }
            Step::Caught => script.push_str(
                "DO $$ BEGIN PERFORM tpro.publish('a', 'b', 'c'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;",
            ),
        }
    }
    (script, rows)
}

struct Scene {
    runtime: Runtime,
    _database: Database,
    _dispatcher: Client,
    publisher: Client,
    listener: Listener,
}

impl Scene {
    fn set() -> Outcome<Scene> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (database, dispatcher, publisher, listener) = runtime.block_on(async {
            let database = database().await?;
            let dispatcher = database.connect_as("main").await?;
            dispatcher.batch_execute("SELECT tpro.sleep('main')").await?;
            let publisher = database.connect_as("main").await?;
            let listener = Listener::of(&database, &["main"]).await?;
            Outcome::Ok((database, dispatcher, publisher, listener))
        })?;
        Ok(Scene { runtime, _database: database, _dispatcher: dispatcher, publisher, listener })
    }

    /// How many rows were committed, and how often the bell has rung.
    fn play(&mut self, script: &str) -> Outcome<(i64, usize)> {
        let count = "SELECT count(*) FROM main_service.mq_publish";
        self.runtime.block_on(async {
            let before: i64 = self.publisher.query_one(count, &[]).await?.try_get(0)?;
            self.publisher.batch_execute(script).await?;
            let after: i64 = self.publisher.query_one(count, &[]).await?.try_get(0)?;
            Ok((after - before, self.listener.rung().await?.len()))
        })
    }
}

#[test]
fn the_bell_rings_whatever_the_savepoints() -> Outcome {
    let mut scene = Scene::set()?;
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let scene = std::cell::RefCell::new(&mut scene);
    let result = runner.run(&(steps(), any::<bool>()), |(steps, commit)| {
        let (script, rows) = script(&steps);
        let script = script + if commit { "COMMIT" } else { "ROLLBACK" };
        let (committed, rung) =
            scene.borrow_mut().play(&script).map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        prop_assert_eq!(committed, if commit { rows as i64 } else { 0 });
        prop_assert!(rung <= 1);
        if committed > 0 {
            prop_assert_eq!(rung, 1);
        }
        if !commit {
            prop_assert_eq!(rung, 0);
        }
        Ok(())
    });
    result.map_err(|error| tpro_testkit::Failure::new(error.to_string()))
}
