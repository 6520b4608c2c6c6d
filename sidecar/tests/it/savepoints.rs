//! Transactions of any shape: what is sent, and what leaves a span, is what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tpro_testkit::{Kind, Outcome, World, eventually};

use crate::answerer::Answerer;

/// How many transactions.
const CASES: usize = 150;

/// One step of a transaction.
#[derive(Clone, Debug)]
enum Step {
    Publish,
    Open,
    Release,
    RollBack,
    /// A publish in a block of PL/pgSQL that ends by an error which is caught, or that does not.
    Block {
        caught: bool,
    },
}

fn transaction() -> impl Strategy<Value = (Vec<Step>, bool)> {
    let step = prop_oneof![
        4 => Just(Step::Publish),
        3 => Just(Step::Open),
        2 => Just(Step::Release),
        2 => Just(Step::RollBack),
        2 => any::<bool>().prop_map(|caught| Step::Block { caught }),
    ];
    // Most are committed.
    (prop::collection::vec(step, 0..15), prop::bool::weighted(0.8))
}

/// The model: the statements of a transaction, and the words that it leaves. Each publish has a word of its own.
fn script(steps: &[Step], commit: bool, number: &mut u32) -> (String, Vec<u32>) {
    let mut script = String::from("BEGIN;");
    let mut words = Vec::new();
    // For each savepoint that is open, how many words there were when it was set.
    let mut open: Vec<usize> = Vec::new();
    for step in steps {
        match step {
            Step::Publish => {
                *number += 1;
                words.push(*number);
                script.push_str(&format!("SELECT {};", publish(*number)));
            }
            Step::Open => {
                open.push(words.len());
                script.push_str(&format!("SAVEPOINT s{};", open.len()));
            }
            Step::Release => {
                if open.pop().is_some() {
                    script.push_str(&format!("RELEASE s{};", open.len() + 1));
                }
            }
            Step::RollBack => {
                if let Some(before) = open.last() {
                    words.truncate(*before);
                    script.push_str(&format!("ROLLBACK TO s{};", open.len()));
                }
            }
            Step::Block { caught } => {
                *number += 1;
                let divisor = if *caught { 0 } else { 1 };
                if !caught {
                    words.push(*number);
                }
                script.push_str(&format!(
                    "DO $$ BEGIN PERFORM {}; PERFORM 1 / {divisor}; EXCEPTION WHEN division_by_zero THEN NULL; END $$;",
                    publish(*number)
                ));
            }
        }
    }
    script.push_str(if commit { "COMMIT" } else { "ROLLBACK" });
    (script, if commit { words } else { Vec::new() })
}

fn publish(word: u32) -> String {
    format!("tpro.publish('old', 'thing', 'ask', '{{\"word\": {word}}}', protocol => 'json')")
}

#[tpro_testkit::test]
async fn what_is_sent_is_what_was_committed_whatever_the_savepoints() -> Outcome {
    let world = World::new().await?;
    let sent = Arc::new(Mutex::new(BTreeMap::<u64, u32>::new()));
    let seen = sent.clone();
    let _answerer = Answerer::start(&world.nats, "tpro.old.thing.ask", move |body| {
        *seen
            .lock()
            .expect("nobody panics with it")
            .entry(body["word"].as_u64().unwrap_or(0))
            .or_default() += 1;
        body.to_string()
    })
    .await?;
    let main = world.run("main").await?;

    let mut runner = TestRunner::deterministic();
    let (mut number, mut kept, mut scripts) = (0, BTreeSet::new(), Vec::new());
    for _ in 0..CASES {
        let (steps, commit) = transaction().new_tree(&mut runner).expect("nothing is rejected").current();
        let (script, words) = script(&steps, commit, &mut number);
        world.main.batch_execute(&script).await?;
        kept.extend(words.into_iter().map(u64::from));
        scripts.push(script);
    }
    let recon = world.recon().await?;
    assert!(
        kept.len() > 100 && usize::try_from(number)? > kept.len() + 100,
        "{} of {number} words are kept",
        kept.len()
    );
    assert_eq!(recon.published, i64::try_from(kept.len())?);
    let sent = sent.lock().expect("nobody panics with it").clone();
    assert_eq!(sent.keys().copied().collect::<BTreeSet<_>>(), kept, "{scripts:#?}");
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");

    // Of each there is one span, and of nothing else.
    let uids = "SELECT uid::text FROM main_service.mq_publish";
    let uids: BTreeSet<String> = world.admin.query(uids, &[]).await?.iter().map(|row| row.get(0)).collect();
    eventually("every message has its span", async || {
        let spans = world.collector.spans();
        let published: Vec<String> = spans
            .iter()
            .filter(|span| span.kind == Kind::Producer)
            .map(|span| span.attribute("messaging.message.id").to_owned())
            .collect();
        assert!(published.len() <= uids.len(), "a message that was rolled back has left a span");
        Ok(published.len() == uids.len() && published.into_iter().collect::<BTreeSet<_>>() == uids)
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}
