//! Text of the database, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with each character that could steer a terminal written as its code.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if steers(letter) => {
                let _ = write!(safe, "\\u{{{:x}}}", letter as u32);
            }
            _ => safe.push(letter),
        }
    }
    Cow::Owned(safe)
}

/// JSON with the same characters written as `\u` codes. Line ends stay: JSON has them outside of
/// strings.
pub fn plain_json(json: &str) -> Cow<'_, str> {
    let hidden = |letter: char| steers(letter) && letter != '\n';
    if !json.chars().any(hidden) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for letter in json.chars() {
        if hidden(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Control characters, and those that turn the direction of text or are not seen.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        for (text, safe) in [
            ("plain", "plain"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{7f}", "\\u{7f}"),
            ("Ünïcödé 漢字", "Ünïcödé 漢字"),
        ] {
            assert_eq!(plain(text), safe);
        }
    }

    #[test]
    fn json_stays_the_json_that_it_was() {
        let value = serde_json::json!({ "a": "\u{9b}31m \u{7f} \u{202e} \u{e0041} \u{1b} ü" });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let safe = plain_json(&json);
            assert!(!safe.chars().any(|letter| steers(letter) && letter != '\n'), "{safe}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }
}
