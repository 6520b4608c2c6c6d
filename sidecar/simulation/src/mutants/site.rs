//! Places in a source file that can be changed so that the code says something else.
//!
//! It reads text and no grammar: a place counts only where the line shows both ends of what is
//! changed. What does not compile all the same is left out later.

/// A change of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The line, from 0 on.
    pub line: usize,
    /// The part of the line that is changed, in bytes.
    pub part: std::ops::Range<usize>,
    /// The way it is changed.
    pub change: Change,
}

/// A way of changing code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The part has this instead.
    Instead(String),
    /// The condition is turned round.
    Negate,
    /// The statement is left out.
    LeaveOut,
}

impl Site {
    /// The line with both forms, of which the number of the mutant decides.
    pub fn switched(&self, line: &str, number: usize) -> String {
        let asks = format!("tpro_runtime::plant::is_mutant({number})");
        let part = &line[self.part.clone()];
        let both = match &self.change {
            Change::Instead(other) => format!("(if {asks} {{ {other} }} else {{ {part} }})"),
            Change::Negate => format!("{asks} != ({part})"),
            Change::LeaveOut => format!("if !{asks} {{ {part} }}"),
        };
        format!("{}{both}{}", &line[..self.part.start], &line[self.part.end..])
    }

    /// The change in words.
    pub fn shown(&self, line: &str) -> String {
        let part = &line[self.part.clone()];
        match &self.change {
            Change::Instead(other) => format!("`{part}` becomes `{other}`"),
            Change::Negate => format!("`{part}` is turned round"),
            Change::LeaveOut => format!("`{part}` is left out"),
        }
    }
}

/// The operators that are exchanged.
const OPERATORS: [(&str, &str); 8] = [
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" == ", " != "),
    (" != ", " == "),
    (" + ", " - "),
    (" - ", " + "),
];
/// Lines that begin so have no code that runs, or none that counts.
const NO_CODE: [&str; 12] = [
    "//",
    "#",
    "const ",
    "pub const ",
    "static ",
    "use ",
    "fn ",
    "pub fn ",
    "pub(super) fn ",
    "impl",
    "where",
    "tracing::",
];

/// The places of a source file, up to its tests.
pub fn sites(text: &str) -> Vec<Site> {
    let lines: Vec<&str> = text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    let mut sites = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if NO_CODE.iter().any(|begin| code.starts_with(begin)) || code.contains('"') {
            continue;
        }
        let next = lines.get(at + 1).map_or("", |next| next.trim_start());
        let of = |(part, change)| Site { line: at, part, change };
        sites.extend(operators(line, next).into_iter().chain(condition(line)).chain(statement(line)).map(of));
    }
    sites
}

type Found = (std::ops::Range<usize>, Change);

fn operators(line: &str, next: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (operator, other) in OPERATORS {
        for (place, _) in line.match_indices(operator) {
            let after = place + operator.len();
            let (Some(begin), Some(end)) = (begin_of(line, place), end_of(line, after)) else { continue };
            let goes_on = line[end..].trim().is_empty() && next.starts_with(['.', '+', '-', '*', '/', '?']);
            if goes_on || !may_stand_before(&line[..begin]) || !may_stand_behind(&line[end..]) {
                continue;
            }
            let changed = format!("{}{other}{}", &line[begin..place], &line[after..end]);
            found.push((begin..end, Change::Instead(changed)));
        }
    }
    found
}

/// `if CONDITION {`, on one line.
fn condition(line: &str) -> Option<Found> {
    let begin = line.find("if ")? + "if ".len();
    let end = line.strip_suffix(" {")?.len();
    let part = line.get(begin..end)?;
    let is_plain = !part.contains("let ") && !part.contains('{') && is_balanced(part);
    is_plain.then_some((begin..end, Change::Negate))
}

/// A statement that is a line of its own.
fn statement(line: &str) -> Option<Found> {
    let code = line.trim();
    let part = line.len() - line.trim_start().len()..line.len();
    let is_one = code.starts_with("self.") && code.ends_with(';') && !code.contains('?');
    (is_one && is_balanced(code)).then_some((part, Change::LeaveOut))
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// The begin of the operand that ends here: up to a space outside of brackets, or an open bracket.
fn begin_of(line: &str, end: usize) -> Option<usize> {
    let (mut depth, mut begin) = (0, end);
    for (at, letter) in line[..end].char_indices().rev() {
        match letter {
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            ' ' | '|' | '{' | ',' if depth == 0 => break,
            _ => {}
        }
        begin = at;
    }
    (depth == 0 && begin < end).then_some(begin)
}

/// The end of the operand that begins here.
fn end_of(line: &str, begin: usize) -> Option<usize> {
    let (mut depth, mut end) = (0, begin);
    for (at, letter) in line[begin..].char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' if depth == 0 => break,
            ')' | ']' => depth -= 1,
            ' ' | ',' | ';' | '}' if depth == 0 => break,
            _ => {}
        }
        end = begin + at + letter.len_utf8();
    }
    (depth == 0 && begin < end).then_some(end)
}

/// True if an expression of its own may begin behind this.
fn may_stand_before(text: &str) -> bool {
    let text = text.trim_end();
    let words = ["if", "while", "return", "&&", "||", "=>", "=", "(", "{", ",", "|", "[", "+="];
    text.is_empty() || !text.ends_with("==") && words.iter().any(|word| text.ends_with(word))
}

/// True if an expression of its own may end before this.
fn may_stand_behind(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || ["&&", "||", ")", "{", "}", ",", ";", "]"].iter().any(|end| text.starts_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Vec<String> {
        let sites = sites(line);
        sites.iter().map(|site| site.shown(line)).collect()
    }

    #[test]
    fn places_are_found_where_both_ends_are_seen() {
        assert_eq!(
            all("        let due = now >= self.due(a, b);"),
            ["`now >= self.due(a, b)` becomes `now > self.due(a, b)`"]
        );
        assert_eq!(all("    if left == 0 || waiting == 0 {").len(), 3);
        assert_eq!(all("    self.waiting += 1;"), ["`self.waiting += 1;` is left out"]);
        assert_eq!(all("    if let Some(x) = y {"), [""; 0]);
        assert_eq!(all("    let x = a * b + c;"), [""; 0]);
        assert_eq!(all("    // a < b"), [""; 0]);
        assert_eq!(all("    const MOST: usize = 1 + 2;"), [""; 0]);
    }

    #[test]
    fn a_switched_line_has_both_forms() {
        let line = "    if a < b {";
        let site = &sites(line)[0];
        let switched = site.switched(line, 7);
        assert_eq!(switched, "    if (if tpro_runtime::plant::is_mutant(7) { a <= b } else { a < b }) {");
    }
}
