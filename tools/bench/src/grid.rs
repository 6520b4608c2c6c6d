//! A table of the report that has a row for each program.

use std::fmt;

/// The table.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The title.
    pub title: String,
    /// A sentence or two on the measure.
    pub note: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows; the first cell is the name of the program.
    pub rows: Vec<Vec<String>>,
    /// A line on each program.
    pub remarks: Vec<String>,
}

impl Grid {
    /// A section of the page.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.head.len().saturating_sub(1)));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let remarks: String = self.remarks.iter().map(|remark| format!("- {remark}\n")).collect();
        format!("\n## {}\n\n{}\n\n{}{rule}{rows}\n{remarks}", self.title, self.note, line(&self.head))
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{}", self.title)?;
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for row in all() {
            write!(out, "  {:<1$}", row[0], width(0))?;
            for (column, cell) in row.iter().enumerate().skip(1) {
                write!(out, "   {cell:>0$}", width(column))?;
            }
            writeln!(out)?;
        }
        writeln!(out, "{}", self.note)?;
        self.remarks.iter().try_for_each(|remark| writeln!(out, "- {remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = |row: [&str; 2]| row.map(str::to_owned).to_vec();
        let grid = Grid {
            title: "Peers".to_owned(),
            note: "In ms.".to_owned(),
            head: cells(["", "at once"]),
            rows: vec![cells(["floor", "0.9"]), cells(["pg-boss", "12.25"])],
            remarks: vec!["pg-boss 1.2.3".to_owned()],
        };
        let lines = "\nPeers\n            at once\n  floor         0.9\n  pg-boss     12.25\nIn ms.\n- pg-boss 1.2.3\n";
        assert_eq!(grid.to_string(), lines);
        let page = "\n## Peers\n\nIn ms.\n\n|  | at once |\n|---|---:|\n| floor | 0.9 |\n| pg-boss | 12.25 |\n\n- pg-boss 1.2.3\n";
        assert_eq!(grid.markdown(), page);
    }
}
