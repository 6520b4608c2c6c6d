//! A table of text that never wraps.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::plain::plain;

/// The columns between two columns of a table.
const GAP: usize = 2;
/// The width below which no text is cut.
const LEAST: usize = 8;

/// A column: its head, the side where its text stands, and whether it gives way in a narrow
/// terminal.
#[derive(Clone, Copy)]
pub enum Column {
    /// Words that are not cut.
    Left(&'static str),
    /// Numbers, which are not cut.
    Right(&'static str),
    /// Text that is cut.
    Text(&'static str),
    /// Text that is cut first, down to nothing.
    Spare(&'static str),
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Left(head) | Self::Right(head) | Self::Text(head) | Self::Spare(head) => head,
        }
    }
}

/// Rows of text under heads.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell).into_owned()).collect());
    }

    /// Its lines, heads first, none wider than `width`.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let heads = self.columns.iter().map(|column| column.head().to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&heads).chain(&self.rows).collect();
        let widest =
            |n: usize| all.iter().filter_map(|row| row.get(n)).map(|cell| cell.width()).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..self.columns.len()).map(widest).collect();
        if let Some(most) = width {
            self.narrow(&mut widths, most);
        }
        let lines = all.iter().map(|row| self.line(row, &widths));
        lines.map(|line| width.map_or(line.clone(), |most| cut(&line, most).into_owned())).collect()
    }

    /// Takes columns of a terminal away from what is cut first, then from the widest text.
    fn narrow(&self, widths: &mut [usize], most: usize) {
        let all = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while all(widths) > most {
            let gives = |n: &usize| match self.columns[*n] {
                Column::Spare(_) => widths[*n] > 0,
                Column::Text(_) => widths[*n] > LEAST,
                Column::Left(_) | Column::Right(_) => false,
            };
            let rank = |n: &usize| (matches!(self.columns[*n], Column::Spare(_)), widths[*n]);
            let Some(first) = (0..widths.len()).filter(gives).max_by_key(rank) else { return };
            widths[first] -= 1;
        }
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = cut(cell, *width);
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            let gap = if n == 0 { "" } else { "  " };
            line += &match self.columns[n] {
                Column::Left(_) | Column::Text(_) | Column::Spare(_) => format!("{gap}{cell}{blanks}"),
                Column::Right(_) => format!("{gap}{blanks}{cell}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The text in at most so many columns, with `…` where it was cut.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.width() <= most {
        return Cow::Borrowed(text);
    }
    let mut left = most.saturating_sub(1);
    let kept = text.chars().take_while(|letter| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    });
    let mut kept: String = kept.collect();
    if most > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[Column::Right("ID"), Column::Text("TARGET"), Column::Left("STATUS")]);
        table.row(["7".into(), "tpro.analytic.example.simple".into(), "ok".into()]);
        table.row(["1234".into(), "漢字漢字漢字漢字\u{1b}[2J".into(), "waiting".into()]);
        table
    }

    #[test]
    fn what_can_be_spared_goes_before_text_is_cut() {
        let mut table = Table::new(&[Column::Text("TARGET"), Column::Spare("TRACE")]);
        table.row(["tpro.analytic.example.simple".into(), "0123456789abcdef".into()]);
        assert_eq!(table.lines(Some(40))[1], "tpro.analytic.example.simple  012345678…");
        assert_eq!(table.lines(Some(30))[1], "tpro.analytic.example.simple");
        assert_eq!(table.lines(Some(20))[1], "tpro.analytic.exa…");
    }

    #[test]
    fn a_table_is_as_wide_as_its_text() {
        assert_eq!(
            table().lines(None),
            [
                "  ID  TARGET                        STATUS",
                "   7  tpro.analytic.example.simple  ok",
                "1234  漢字漢字漢字漢字\\u{1b}[2J     waiting"
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_text_gives_way_first() {
        for width in 1..60 {
            for line in table().lines(Some(width)) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        assert_eq!(
            table().lines(Some(30)),
            ["  ID  TARGET           STATUS", "   7  tpro.analytic.…  ok", "1234  漢字漢字漢字漢…  waiting"]
        );
    }
}
