//! The rules of the English in sources: how a comment may begin, and words that are not used.

use crate::source::Source;

/// Words that open no comment: it begins with its subject.
const OPENINGS: [&str; 8] = ["What ", "Whether ", "Why ", "Who ", "Whose ", "How ", "Which ", "The same"];
/// Words of comments and texts for which there are plainer ones.
const WORDS: [&str; 6] = ["anew", "begun", "whoever", "whatever", "whichever", "that is none"];
/// The longest line of a comment, in columns.
const COLUMNS: usize = 100;

/// The breaches of the rules in a source, each with the number of its line.
pub fn breaches(text: &str) -> Vec<(usize, String)> {
    let source = Source::read(text);
    let mut found = Vec::new();
    let mut last = (0, "");
    for (line, comment) in &source.comments {
        let body = comment.trim_start_matches(['/', '!', '*']);
        let slashes = &comment[..comment.len() - body.len()];
        let opens = last != (line - 1, slashes);
        last = (*line, slashes);
        let body = body.trim_start();
        if let Some(word) = OPENINGS.iter().find(|word| opens && body.starts_with(**word)) {
            found.push((*line, format!("a comment begins with {}", word.trim_end())));
        }
        found.extend(words(body).map(|word| (*line, format!("a comment has \"{word}\""))));
    }
    for (line, string) in &source.strings {
        found.extend(words(string).map(|word| (*line, format!("a text has \"{word}\""))));
    }
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if line.trim_start().starts_with("//") && columns > COLUMNS {
            found.push((at + 1, format!("a comment has {columns} columns")));
        }
    }
    found.sort();
    found
}

/// The breaches of the rules in a shell script, in its comments and in the rest of its text.
pub fn breaches_of_script(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut opens = true;
    for (at, line) in text.lines().enumerate() {
        let body = line.trim_start().strip_prefix("# ");
        if let Some(body) = body {
            if let Some(word) = OPENINGS.iter().find(|word| opens && body.starts_with(**word)) {
                found.push((at + 1, format!("a comment begins with {}", word.trim_end())));
            }
            let columns = line.chars().count();
            if columns > COLUMNS {
                found.push((at + 1, format!("a comment has {columns} columns")));
            }
        }
        opens = body.is_none();
        found.extend(words(line).map(|word| (at + 1, format!("a line has \"{word}\""))));
    }
    found
}

/// The words in a text that are not used.
fn words(text: &str) -> impl Iterator<Item = &'static str> {
    let text = text.to_lowercase();
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let has = move |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = &text[at + word.len()..];
            let whole = !before.is_some_and(is_letter) && !after.starts_with(is_letter);
            // `such as` leads in an example.
            whole && !(word == "such" && after.starts_with(" as"))
        })
    };
    WORDS.into_iter().chain(["such"]).filter(move |word| has(word))
}
