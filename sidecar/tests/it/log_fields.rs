//! The fields of the log: the table in docs/operations.md, the file for Filebeat and the sources
//! name the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tpro_testkit::{Context, Outcome, paths};

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
