//! The phrases of a language: texts with values in them, and their translations.

/// A longer text is none of ours.
const LONGEST: usize = 2_000;
/// A part may have a part, and so on, so deep. An answer may hold anything that others write.
const DEEPEST: usize = 4;

/// The texts of one language.
#[derive(Debug)]
pub(crate) struct Phrases(Vec<Phrase>);

/// A text, and its translation.
#[derive(Debug)]
struct Phrase {
    /// The text around its values.
    pieces: Vec<&'static str>,
    translation: &'static str,
    /// It is a value of another text.
    is_part: bool,
}

impl Phrases {
    /// Reads the file of a language: a text in English, and on the next line its translation.
    pub(crate) fn read(file: &'static str) -> Self {
        let mut lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut phrases = Vec::new();
        while let (Some(english), Some(translation)) = (lines.next(), lines.next()) {
            let part = english.strip_prefix("- ");
            let pieces = part.unwrap_or(english).split("{}").collect();
            phrases.push(Phrase { pieces, translation, is_part: part.is_some() });
        }
        Self(phrases)
    }

    /// The translation of a text; none if it is not among the phrases.
    pub(crate) fn translate(&self, text: &str) -> Option<String> {
        if text.len() > LONGEST { None } else { self.say(text, 0) }
    }

    /// A text, or a part of one that lies so deep in it.
    fn say(&self, text: &str, depth: usize) -> Option<String> {
        if depth > DEEPEST {
            return None;
        }
        let phrases = self.0.iter().filter(|phrase| phrase.is_part == (depth > 0));
        phrases.into_iter().find_map(|phrase| self.fill(phrase.translation, &phrase.values(text)?, depth))
    }

    /// Puts values into a translation. None if one that must be a part is none.
    fn fill(&self, translation: &str, values: &[&str], depth: usize) -> Option<String> {
        let mut filled = String::with_capacity(2 * translation.len());
        let mut rest = translation;
        while let Some(at) = rest.find(['{', '<', '[']) {
            filled.push_str(&rest[..at]);
            let place = &rest[at..];
            let number = place[1..].chars().next().and_then(|digit| digit.to_digit(10));
            let is_closed = place[1..].get(1..2).is_some_and(|end| matches!(end, "}" | ">" | "]"));
            let value = number.filter(|_| is_closed).and_then(|number| number.checked_sub(1));
            match value.and_then(|at| values.get(at as usize)) {
                Some(value) => {
                    let part = || self.say(value, depth + 1);
                    match &place[..1] {
                        "<" => filled.push_str(&part()?),
                        "[" => filled.push_str(part().as_deref().unwrap_or(value)),
                        _ => filled.push_str(value),
                    }
                    rest = &place[3..];
                }
                // The sign stands for itself.
                None => {
                    filled.push_str(&place[..1]);
                    rest = &place[1..];
                }
            }
        }
        filled.push_str(rest);
        Some(filled)
    }
}

impl Phrase {
    /// The values that a text has where this one has its gaps; none if it is another text.
    fn values<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.pieces.split_first()?;
        let mut rest = text.strip_prefix(first)?;
        let Some((last, middle)) = others.split_last() else { return rest.is_empty().then(Vec::new) };
        let mut values = Vec::with_capacity(others.len());
        for piece in middle {
            let (value, after) = rest.split_once(piece)?;
            values.push(value);
            rest = after;
        }
        values.push(rest.strip_suffix(last)?);
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# A comment.
service {} took {} and {}
<3>, [2]: сервис {1}
- field {}
поле {1}
- {} and more
<1> и больше

- once
раз
- {} times
{1} раз
a {0,3} is > that
{0,3} > того
";

    #[test]
    fn a_text_without_end_is_none_of_ours_and_harms_nobody() {
        let phrases = Phrases::read(FILE);
        for times in [5, 100, 200_000] {
            let nested = format!("service a took b and once{}", " and more".repeat(times));
            assert_eq!(phrases.translate(&nested), None, "{times}");
        }
        let nested = format!("service a took b and {}", "field ".repeat(200_000));
        assert_eq!(phrases.translate(&nested), None);
    }

    #[test]
    fn a_text_is_known_by_what_stands_around_its_values() {
        let phrases = Phrases::read(FILE);
        for (text, translation) in [
            ("service a took b and once", Some("раз, b: сервис a")),
            ("service a took b and 12 times", Some("12 раз, b: сервис a")),
            // A value that is a part becomes one where it may; else it is a name.
            ("service a took once and once", Some("раз, раз: сервис a")),
            ("service once took b and once", Some("раз, b: сервис once")),
            ("service a took field once and once", Some("раз, поле once: сервис a")),
            ("service a took b and once and more and more", Some("раз и больше и больше, b: сервис a")),
            ("service {1} took <2> and once", Some("раз, <2>: сервис {1}")),
            ("a {0,3} is > that", Some("{0,3} > того")),
            // This value must be a part.
            ("service a took b and c", None),
            // A part is no text by itself.
            ("once", None),
            ("service a took b", None),
            ("a service a took b and once", None),
            ("service a took b and once more", None),
            ("", None),
        ] {
            assert_eq!(phrases.translate(text).as_deref(), translation, "{text}");
        }
    }
}
