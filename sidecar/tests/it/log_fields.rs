//! The fields of the log. The table in docs/operations.md, the file for Filebeat and the sources
//! name the same ones, and lines that copies write become what the table says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tpro_testkit::{Context, Outcome, eventually, paths};

use crate::rogue::Rogue;

/// Fields that `tracing` itself gives each line.
const OF_EACH: [&str; 4] = ["timestamp", "level", "message", "target"];
/// Fields that Filebeat has another way for than to rename them.
const MOVED: [&str; 2] = ["timestamp", "message"];

/// The table: the field in Elasticsearch of each field of a line.
fn table(page: &str) -> Outcome<BTreeMap<String, String>> {
    let text = fs::read_to_string(paths::checkout().join(page))?;
    let section = text.split("\n## ").find(|section| section.contains("`@timestamp`"));
    let mut table = BTreeMap::new();
    for row in section.context("the page has the table")?.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row
            .split('|')
            .skip(1)
            .map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
        let (from, to) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        assert_eq!(from.len(), to.len(), "{row}");
        table.extend(from.into_iter().zip(to));
    }
    assert!(table.len() > 20, "{table:?}");
    Ok(table)
}

/// The fields that the file for Filebeat renames.
fn renamed() -> Outcome<BTreeMap<String, String>> {
    let text = fs::read_to_string(paths::checkout().join("docs/monitoring/filebeat.yml"))?;
    let pairs = text.lines().filter_map(|line| line.trim().strip_prefix("- {from: line.")?.strip_suffix('}'));
    Ok(pairs.filter_map(|pair| pair.split_once(", to: ")).map(|(a, b)| (a.into(), b.into())).collect())
}

/// The fields that the events of a source have.
fn fields_of(text: &str, fields: &mut BTreeSet<String>) {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b))
    };
    for event in text.split("tracing::").skip(1) {
        let Some((level, event)) = event.split_once("!(") else { continue };
        if !["trace", "debug", "info", "warn", "error"].contains(&level) {
            continue;
        }
        // The fields stand before the sentence.
        for field in event.split('"').next().unwrap_or_default().split(',') {
            let name = field.split_once('=').map_or(field, |(name, _)| name);
            let name = name.trim().trim_start_matches(['%', '?']);
            fields.extend(Some(name.to_owned()).filter(|name| is_name(name)));
        }
    }
}

fn fields_below(folder: &Path, fields: &mut BTreeSet<String>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            fields_below(&path, fields)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            fields_of(&fs::read_to_string(&path)?, fields);
        }
    }
    Ok(())
}

#[test]
fn the_table_the_file_for_filebeat_and_the_sources_name_the_same_fields() -> Outcome {
    let table = table("docs/operations.md")?;
    let mut renamed = renamed()?;
    for field in MOVED {
        renamed.insert(field.to_owned(), table.get(field).cloned().unwrap_or_default());
    }
    assert_eq!(table, renamed, "docs/operations.md (left) and docs/monitoring/filebeat.yml");
    // A field and one below it cannot both be there.
    for to in table.values() {
        let below = format!("{to}.");
        assert!(!table.values().any(|other| other.starts_with(&below)), "{to} has fields below it");
    }
    assert_eq!(table.values().collect::<BTreeSet<_>>().len(), table.len(), "two fields become one");

    let mut fields: BTreeSet<String> = OF_EACH.map(str::to_owned).into();
    for part in ["", "runtime/", "dispatcher/", "service/", "maintenance/", "http/", "tls/"] {
        fields_below(&paths::checkout().join(format!("sidecar/{part}src")), &mut fields)?;
    }
    fields_below(&paths::checkout().join("tools/bridge/src"), &mut fields)?;
    let named: BTreeSet<String> = table.into_keys().collect();
    assert_eq!(fields, named, "the sources (left) and docs/operations.md");
    Ok(())
}

/// The line as Elasticsearch gets it.
fn shipped(line: &Map<String, Value>, table: &BTreeMap<String, String>) -> Map<String, Value> {
    line.iter().filter_map(|(field, value)| Some((table.get(field)?.clone(), value.clone()))).collect()
}

#[tpro_testkit::test]
async fn lines_of_copies_become_what_the_table_says() -> Outcome {
    let table = table("docs/operations.md")?;
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("LOG_FORMAT", "json")).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("LOG_FORMAT", "json")).await?;
    let id = world.publish(&Rogue::request("default.internal", json!({}))).await?;
    assert_eq!(world.await_reply(id).await?.code(), -32603);
    eventually("the failure is in the log", async || Ok(rogue.log().contains("the handler failed"))).await?;

    let (mut lines, mut failed) = (0, None);
    for line in [main.log(), rogue.log()].iter().flat_map(|log| log.lines()).filter(|it| it.starts_with('{'))
    {
        let line: Map<String, Value> = serde_json::from_str(line).context("a line of the log is no JSON")?;
        let target = line.get("target").and_then(Value::as_str).unwrap_or_default();
        if !target.starts_with("tpro") {
            continue;
        }
        lines += 1;
        let unknown: Vec<_> = line.keys().filter(|field| !table.contains_key(*field)).collect();
        assert!(unknown.is_empty(), "{unknown:?} are not in docs/operations.md: {line:?}");
        for field in OF_EACH {
            assert!(line.get(field).is_some_and(Value::is_string), "without {field}: {line:?}");
        }
        let shipped = shipped(&line, &table);
        // The form that the file for Filebeat reads.
        let at = shipped["@timestamp"].as_str().unwrap_or_default();
        let shape: String = at.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{at}");
        if line["message"].as_str().is_some_and(|text| text.starts_with("the handler failed")) {
            failed = Some(shipped);
        }
    }
    assert!(lines > 5, "{lines} lines");
    let failed = failed.context("the line of the failure")?;
    let row = world
        .main
        .query_one("SELECT uid::text, tpro.trace_id(id) FROM main_service.mq_publish WHERE id = $1", &[&id])
        .await?;
    for (field, value) in [
        ("log.level", "ERROR"),
        ("trace.id", row.get(1)),
        ("labels.message_id", row.get(0)),
        ("labels.target", "tpro.rogue.default.internal"),
    ] {
        assert_eq!(failed.get(field), Some(&json!(value)), "{field}: {failed:?}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
