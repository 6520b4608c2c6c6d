//! The pages for people name nothing that is not there: each link, path, setting, metric, make target, function and table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tpro_testkit::{Context, Failure, Outcome, paths};

/// Folders whose paths are looked up.
const FOLDERS: [&str; 8] =
    ["sidecar/", "pg_tpro/", "sql/", "make/", "docker/", "tools/", "docs/", "services/"];
/// Names that a page invents: services, and settings of one.
const INVENTED: [&str; 8] =
    ["NAME", "billing", "shop", "MAIL_TEXT", "BANK_URL", "BANK_TOKEN", "BANK_TIMEOUT", "tpro.nobody"];

/// A page, and the code in it: the text between backquotes, whether within a line or in a block.
struct Page {
    name: String,
    text: String,
}

impl Page {
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.split('`').skip(1).step_by(2)
    }

    /// The words of its code: names, paths, settings.
    fn words(&self) -> impl Iterator<Item = &str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_./-%".contains(c);
        let words = self.code().flat_map(move |code| code.split(move |c| !is_part(c)));
        words.map(|word| word.trim_end_matches(['.', '/', '-'])).filter(|word| !word.is_empty())
    }
}

fn pages() -> Outcome<Vec<Page>> {
    let root = paths::checkout();
    let mut files = ["README.md", "README.ru.md", "CONTRIBUTING.md"].map(|name| root.join(name)).to_vec();
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    assert!(files.len() > 6, "{files:?}");
    let mut pages = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        pages.push(Page { name, text: fs::read_to_string(&file)? });
    }
    Ok(pages)
}

/// The text of all sources below a folder, or of one file.
fn sources(place: &Path, text: &mut String) -> Outcome {
    if place.is_file() {
        text.push_str(&String::from_utf8_lossy(&fs::read(place)?));
        return Ok(());
    }
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let is_source =
            ["rs", "sql", "sh", "toml", "conf"].iter().any(|ext| path.extension().is_some_and(|e| e == *ext));
        // This file names what it looks for.
        if path.is_dir() || (is_source && !path.ends_with("documents.rs")) {
            sources(&path, text)?;
        }
    }
    Ok(())
}

fn all_sources() -> Outcome<String> {
    let mut text = String::new();
    for place in
        ["sidecar", "pg_tpro", "sql", "make", "docker", "services", "tools", ".cargo/config.toml", "Makefile"]
    {
        sources(&paths::checkout().join(place), &mut text)?;
    }
    Ok(text)
}

/// The parts of a page that are the same in each language: blocks of code, the levels of headings,
/// and of each row of a table and each item of a list its mark and the code in it.
fn skeleton(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut in_block = false;
    for line in &joined(text) {
        let is_fence = line.starts_with("```");
        in_block ^= is_fence;
        if in_block || is_fence {
            parts.push(line.clone());
        } else if line.starts_with('#') {
            parts.push(line.split(' ').next().unwrap_or_default().to_owned());
        } else if let Some(mark) = mark(line) {
            let mut code: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
            // Languages put their words in orders of their own.
            code.sort_unstable();
            parts.push(format!("{mark} {}", code.join(" ")));
        }
    }
    parts
}

/// The lines of a page, with each item of a list in one: a page may break its lines, and its
/// translation elsewhere.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut in_block, mut in_item) = (false, false);
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        let goes_on = in_item && line.starts_with(' ') && mark(line).is_none();
        if let Some(last) = lines.last_mut().filter(|_| goes_on) {
            last.push(' ');
            last.push_str(line.trim_start());
        } else {
            in_item = !in_block && mark(line).is_some();
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The headings of a page, as links name them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if !in_block && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let is_kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
            anchors.push(heading.chars().filter(is_kept).collect::<String>().replace(' ', "-"));
        }
    }
    anchors
}

/// The mark of a row of a table or of an item of a list, with its indent.
fn mark(line: &str) -> Option<&str> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let rest = &line[indent..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_number = digits > 0 && rest[digits..].starts_with(". ");
    if rest.starts_with('|') || rest.starts_with("- ") {
        Some(&line[..=indent])
    } else if is_number {
        Some(&line[..=indent + digits])
    } else {
        None
    }
}

/// The places that a page leads to, in order of the alphabet.
fn links(text: &str) -> Vec<&str> {
    let mut links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    links.sort_unstable();
    links
}

/// Fails with the problems, if there are any.
fn none_of(problems: Vec<String>) -> Outcome {
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join("; "))) }
}

#[test]
fn every_link_and_every_path_leads_to_a_file() -> Outcome {
    let root = paths::checkout();
    let mut problems = Vec::new();
    for page in pages()? {
        let folder = root.join(&page.name).parent().map(PathBuf::from).context("a page is in a folder")?;
        let links = page.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links = links
            .filter(|link| !link.is_empty() && !link.contains("://"))
            .map(|link| (link, folder.join(link)));
        let invented = |path: &&str| INVENTED.iter().any(|name| path.contains(name));
        let named = page.words().filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
        let named = named.filter(|path| !invented(path)).map(|path| (path, root.join(path)));
        let missing = links.chain(named).filter(|(_, path)| !path.exists());
        problems.extend(missing.map(|(named, _)| format!("{}: there is no {named}", page.name)));
    }
    none_of(problems)
}

#[test]
fn every_setting_metric_function_and_table_is_in_the_sources() -> Outcome {
    let sources = all_sources()?;
    let is_there = |word: &str| {
        let metric = word.strip_prefix("tpro_").map(|name| {
            let name = name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name);
            format!("\"{name}\"")
        });
        // Variables that `make env` makes of the names of services.
        let is_address =
            word.ends_with("_URL") && ["MAIN", "ANALYTIC"].iter().any(|name| word.starts_with(name));
        is_address
            || INVENTED.contains(&word)
            || sources.contains(word)
            || metric.is_some_and(|name| sources.contains(&name))
    };
    let mut problems = Vec::new();
    for page in pages()? {
        for word in page.words() {
            let is_setting = word.contains('_')
                && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            // Of what has more points (a subject, a column) the first two parts.
            let end = word.match_indices('.').nth(1).map_or(word.len(), |(end, _)| end);
            let is_name = ["tpro_", "tpro.", "mq_"].iter().any(|prefix| word.starts_with(prefix))
                && !word.ends_with('_');
            if (is_setting || is_name) && !is_there(&word[..end]) {
                problems.push(format!("{}: nothing in the sources is called {word}", page.name));
            }
        }
    }
    none_of(problems)
}

#[test]
fn every_make_target_is_in_the_makefile() -> Outcome {
    let makefile = fs::read_to_string(paths::checkout().join("Makefile"))?;
    let rules = makefile.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let targets: Vec<&str> = rules
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let is_there = |word: &str| {
        targets.iter().any(|target| match target.strip_suffix('%') {
            Some(stem) => word.strip_prefix(stem).is_some_and(|name| !name.is_empty()),
            None => *target == word,
        })
    };
    let mut problems = Vec::new();
    for page in pages()? {
        for line in page.code().flat_map(str::lines) {
            // A comment behind a command speaks of what it likes.
            let mut words = line.split(" #").next().unwrap_or_default().split_whitespace();
            if !words.any(|word| word == "make") {
                continue;
            }
            if let Some(target) = words.find(|word| !word.contains('=')).filter(|word| !is_there(word)) {
                problems.push(format!("{}: make has no target {target}", page.name));
            }
        }
    }
    none_of(problems)
}

#[test]
fn each_russian_page_says_the_same_as_its_english_one() -> Outcome {
    let pages = pages()?;
    let by_name: BTreeMap<&str, &str> =
        pages.iter().map(|page| (page.name.as_str(), page.text.as_str())).collect();
    let mut pairs = Vec::new();
    for (name, russian) in &by_name {
        let Some(stem) = name.strip_suffix(".ru.md") else { continue };
        let english_name = format!("{stem}.md");
        let english = by_name.get(english_name.as_str()).context(format!("{name} is of no English page"))?;
        let [left, right] = [english, russian].map(|text| skeleton(text));
        let differs = left.iter().zip(&right).find(|(left, right)| left != right);
        assert_eq!(differs, None, "{english_name} (left) and {name} (right)");
        assert_eq!(left.len(), right.len(), "{english_name} or {name} ends before the other");
        assert!(left.len() > 50, "{english_name}: {left:?}");
        pairs.push(stem);
    }
    assert_eq!(pairs, ["README", "docs/coming-from", "docs/migration", "docs/operations", "docs/sql"]);
    Ok(())
}

#[test]
fn a_page_leads_to_pages_of_its_language() -> Outcome {
    let pages = pages()?;
    let (russian, english): (Vec<&Page>, Vec<&Page>) =
        pages.iter().partition(|page| page.name.ends_with(".ru.md"));
    let root = paths::checkout();
    for page in russian {
        let its_english = english
            .iter()
            .find(|other| other.name.strip_suffix(".md") == page.name.strip_suffix(".ru.md"))
            .context(format!("{} is of no English page", page.name))?;
        let name = |page: &Page| page.name.rsplit('/').next().unwrap_or_default().to_owned();
        for (from, to, words) in [(page, *its_english, "In English"), (*its_english, page, "По-русски")]
        {
            let switch = format!("\n\n[{words}]({})\n\n", name(to));
            assert!(from.text.contains(&switch), "{} has no line {:?}", from.name, switch.trim());
        }
        // The line that switches is the only one that differs.
        let folder = root.join(&page.name).parent().map(PathBuf::from).context("a page is in a folder")?;
        let in_russian = |link: &str| -> Outcome<String> {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let translated = path.replace(".md", ".ru.md");
            let [from, to] = if path.is_empty() {
                [its_english.text.clone(), page.text.clone()]
            } else if !link.contains("://") && folder.join(&translated).is_file() {
                [fs::read_to_string(folder.join(path))?, fs::read_to_string(folder.join(&translated))?]
            } else {
                return Ok(link.to_owned());
            };
            if anchor.is_empty() {
                return Ok(translated);
            }
            // The heading at the same place.
            let place = anchors(&from).iter().position(|it| it == anchor);
            let place = place.context(format!("{}: {link} leads to no heading", its_english.name))?;
            let its_own = anchors(&to).into_iter().nth(place);
            let its_own = its_own.context(format!("{translated} lacks the heading of {link}"))?;
            Ok(format!("{translated}#{its_own}"))
        };
        let switch = name(its_english);
        let mut wanted: Vec<String> =
            links(&its_english.text).into_iter().map(in_russian).collect::<Outcome<_>>()?;
        let is_own = wanted.iter().position(|link| *link == name(page)).context("the page has its switch")?;
        wanted[is_own] = switch;
        wanted.sort_unstable();
        assert_eq!(wanted, links(&page.text), "the links of {} (left) and {}", its_english.name, page.name);
    }
    Ok(())
}

#[test]
fn make_help_has_a_russian_text_for_each_line() -> Outcome {
    let root = paths::checkout();
    let makefile = fs::read_to_string(root.join("Makefile"))?;
    let mut lines = Vec::new();
    for line in makefile.lines() {
        if line.starts_with("#: ") {
            lines.push(line);
        } else if let Some((names, _)) = line.split_once(':').filter(|(_, text)| text.contains("## ")) {
            lines.extend(
                names.split_whitespace().filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())),
            );
        }
    }
    let russian = fs::read_to_string(root.join("make/ru/help"))?;
    let texts: Vec<&str> =
        russian.lines().filter_map(|line| line.split_once('\t')).map(|(name, _)| name).collect();
    assert!(lines.len() > 30, "{lines:?}");
    assert_eq!(lines, texts, "Makefile (left) and make/ru/help (right)");
    Ok(())
}

#[test]
fn a_new_env_file_has_the_same_settings_in_russian() -> Outcome {
    let settings = |name: &str| -> Outcome<Vec<String>> {
        let text = fs::read_to_string(paths::checkout().join(name))?;
        let keys = text.lines().filter_map(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            let is_key =
                |key: &&str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            // `KEY=value`, or `# KEY: what it is`, where make puts its own line.
            let end = line.find(['=', ':'])?;
            Some(&line[..end]).filter(is_key).map(|key| format!("{key}{}", &line[end..=end]))
        });
        Ok(keys.collect())
    };
    for (name, fewest) in [("service.env", 20), ("bridge.env", 7)] {
        let english = settings(&format!("make/{name}"))?;
        assert!(english.len() > fewest, "{name}: {english:?}");
        assert_eq!(english, settings(&format!("make/ru/{name}"))?, "{name}");
    }
    Ok(())
}
