//! The alert rules and the dashboard that are shipped ask for metrics and labels that a running copy shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, paths};

use crate::rogue::Rogue;

/// The labels of each metric.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Labels that Prometheus adds, or a rule takes from `tpro_build_info`.
const ADDED: [&str; 4] = ["job", "instance", "service", "copy"];

/// Reads a page of `/metrics`: each series, and the metrics that have none yet.
fn read(page: &str, metrics: &mut Metrics) {
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap_or((kind, ""));
            let suffix = if kind == "counter" { "_total" } else { "" };
            metrics.entry(format!("{name}{suffix}")).or_default();
            continue;
        }
        let Some((series, _)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split(['{', ',', '}']).filter_map(|label| label.split_once('='));
        metrics.entry(name.to_owned()).or_default().extend(labels.map(|(label, _)| label.to_owned()));
    }
}

/// The words of an expression in PromQL which is outside of quotes.
fn words(expression: &str) -> Vec<&str> {
    let outside = expression.split(['"', '\'']).step_by(2);
    outside
        .flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// What the files ask: the expressions of both.
fn expressions() -> Outcome<Vec<String>> {
    let folder = paths::checkout().join("docs/monitoring");
    let rules = fs::read_to_string(folder.join("alerts.yml"))?;
    let mut found: Vec<String> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert!(found.len() > 10, "{found:?}");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(folder.join("dashboard.json"))?)?;
    let panels = dashboard["panels"].as_array().cloned().unwrap_or_default();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let shown: Vec<String> = targets
        .filter_map(|target| Some(target["expr"].as_str()?.replace("$__rate_interval", "5m")))
        .collect();
    assert!(shown.len() > 10, "{shown:?}");
    found.extend(shown);
    Ok(found)
}

#[test]
fn each_metric_that_the_page_names_as_worth_an_alert_has_a_rule() -> Outcome {
    let page = fs::read_to_string(paths::checkout().join("docs/operations.md"))?;
    let rules = fs::read_to_string(paths::checkout().join("docs/monitoring/alerts.yml"))?;
    let rows = page.split("## Metrics worth an alert").nth(1).unwrap_or_default().lines();
    let named: BTreeSet<&str> = rows
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter_map(|code| code.split('{').next().filter(|name| name.starts_with("tpro_")))
        .collect();
    assert!(named.len() > 15, "{named:?}");
    let words: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).flat_map(words).collect();
    let without: Vec<_> = named.difference(&words).collect();
    assert!(without.is_empty(), "no rule in docs/monitoring/alerts.yml asks for {without:?}");
    Ok(())
}

#[tpro_testkit::test]
async fn alerts_and_dashboard_ask_for_what_a_copy_shows() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["default.echo", "no.such_method"] {
        world.ask(&Rogue::request(method, json!({}))).await?;
    }
    let nobody = Message::to("gone.thing.ask").timeout(1);
    assert_eq!(world.ask(&nobody).await?.status, "unavailable");
    let mut metrics = Metrics::new();
    for copy in [&main, &rogue] {
        read(&copy.get("/metrics").await?.body, &mut metrics);
    }
    assert!(
        ["target", "status"].iter().all(|label| metrics["tpro_settled_total"].contains(*label)),
        "{metrics:?}"
    );
    let to = async |target: &str| main.metric_of("tpro_settled_total", &format!("target=\"{target}\"")).await;
    assert_eq!((to("rogue").await?, to("gone").await?), (2.0, 1.0));

    let mut asked = BTreeSet::new();
    for expression in expressions()? {
        let words = words(&expression);
        asked.extend(words.iter().filter(|word| word.starts_with("tpro_")).map(|name| (*name).to_owned()));
        // What is summed or filtered by is a label of one of its metrics.
        let has = |label: &str| {
            ADDED.contains(&label)
                || words.iter().filter_map(|word| metrics.get(*word)).any(|labels| labels.contains(label))
        };
        let braces = expression.split('{').skip(1).filter_map(|part| part.split(['=', '!']).next());
        let sums = expression.split("by (").skip(1).filter_map(|part| part.split(')').next());
        for label in braces.chain(sums.flat_map(|labels| labels.split(','))).map(str::trim) {
            assert!(has(label), "none of its metrics has the label {label:?}: {expression}");
        }
    }
    // A family of counters without a series is not on the page: nothing of that kind has happened.
    let silent: BTreeSet<_> = asked.iter().filter(|name| !metrics.contains_key(*name)).collect();
    let rare = ["tpro_claims_ignored_total", "tpro_log_lines_dropped_total", "tpro_spans_dropped_total"];
    assert!(silent.iter().all(|name| rare.contains(&name.as_str())), "no copy shows one of {silent:?}");
    assert!(asked.len() > 15, "{asked:?}");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
