//! The page that a run writes: `benchmarks.md`, with its plots beside it.

use std::fs;
use std::path::PathBuf;

use tpro_testkit::{Context as _, Failure, Outcome};

use crate::facts::Facts;
use crate::grid::Grid;
use crate::line::{Line, Section};
use crate::plot::Plot;

/// The results of a run.
pub struct Report {
    facts: Facts,
    /// The folder of the page, if one is written.
    folder: Option<PathBuf>,
    /// The sections, in the order of the page.
    sections: Vec<Section>,
    /// The tables that follow them.
    grids: Vec<Grid>,
    plots: Vec<Plot>,
    /// Parts that could not be measured, each with its reason.
    failures: Vec<String>,
    /// True when all parts are over.
    is_whole: bool,
}

const PREFACE: &str = "# Benchmarks

`make bench` writes this page. Each line is a figure beside that of the least program that does the same without tpro (the floor), measured in turns on the same machine in the same run. Absolute figures say something about the machine; the ratios say something about tpro. A ratio is the median over the rounds, and behind it in brackets is its interval: of six rounds or more the one that holds the median in 19 of 20 cases, of fewer their range. A goal that is missed is shown as missed.
";

impl Report {
    /// The report of a run that begins.
    pub fn new(facts: Facts, folder: Option<PathBuf>) -> Self {
        let (sections, grids, plots, failures) = Default::default();
        Self { facts, folder, sections, grids, plots, failures, is_whole: false }
    }

    /// Takes a section, and prints it.
    pub fn take(&mut self, section: Section) {
        println!("{section}");
        self.sections.push(section);
    }

    /// Takes a table, and prints it.
    pub fn compare(&mut self, grid: Grid) {
        println!("{grid}");
        self.grids.push(grid);
    }

    /// Takes a plot, unless one of this name is there: the first figures are drawn.
    pub fn draw(&mut self, plot: Plot) {
        if self.plots.iter().all(|other| other.name != plot.name) {
            self.plots.push(plot);
        }
    }

    /// A part could not be measured.
    pub fn fails(&mut self, failure: String) {
        eprintln!("tpro-bench: {failure}");
        self.failures.push(failure);
    }

    /// All parts are over. An error if one of them could not be measured.
    pub fn end(&mut self) -> Outcome {
        self.is_whole = true;
        self.write()?;
        match self.failures.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(format!("not measured: {}", self.failures.join("; ")))),
        }
    }

    /// Writes the page and the plots, if there is a folder for them. After each part, so that what
    /// was measured outlives a run that is ended.
    pub fn write(&self) -> Outcome {
        let Some(folder) = &self.folder else { return Ok(()) };
        let plots = folder.join("benchmarks");
        fs::create_dir_all(&plots).context(format!("making {}", plots.display()))?;
        for plot in &self.plots {
            let path = plots.join(format!("{}.svg", plot.name));
            fs::write(&path, plot.svg()).context(format!("writing {}", path.display()))?;
        }
        let path = folder.join("benchmarks.md");
        fs::write(&path, self.markdown()).context(format!("writing {}", path.display()))
    }

    fn markdown(&self) -> String {
        let mut page = format!("{PREFACE}\n{}", self.facts.markdown());
        page.extend(self.failures.iter().map(|failure| format!("- Not measured: {failure}\n")));
        if !self.is_whole {
            page += "- This run has not come to its end\n";
        }
        for section in &self.sections {
            page += &format!("\n## {}\n\n{}\n\n", section.title, section.note);
            page += "| | floor | tpro | unit | ratio | goal | |\n|---|---:|---:|---|---|---|---|\n";
            page.extend(section.lines.iter().map(row));
        }
        page.extend(self.grids.iter().map(Grid::markdown));
        if !self.plots.is_empty() {
            page += "\n## Plots\n";
        }
        for plot in &self.plots {
            page += &format!("\n![{}](benchmarks/{}.svg)\n", plot.title, plot.name);
        }
        page
    }
}

fn row(line: &Line) -> String {
    let verdict = match line.verdict() {
        "NOT reached" => "**not reached**",
        other => other,
    };
    format!(
        "| {} | {} | {} | {} | {:.2} ({:.2} to {:.2}) | {} | {verdict} |\n",
        line.subject,
        line.unit.show(line.floor),
        line.unit.show(line.ours),
        line.unit.name(),
        line.ratio.median,
        line.ratio.low,
        line.ratio.high,
        line.goal.map_or_else(String::new, |goal| goal.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Goal, Unit};
    use crate::table::Interval;

    #[test]
    fn a_row_shows_the_goal_and_that_it_is_missed() {
        let line = |median| Line {
            subject: "handle".to_owned(),
            unit: Unit::ASecond,
            floor: 157_000.4,
            ours: 28_000.0,
            ratio: Interval { median, low: 0.1, high: 0.5 },
            goal: Some(Goal::AtLeast(0.4)),
        };
        assert_eq!(
            row(&line(0.18)),
            "| handle | 157,000 | 28,000 | 1/s | 0.18 (0.10 to 0.50) | >= 0.4 | **not reached** |\n"
        );
        assert!(row(&line(0.4)).ends_with("| >= 0.4 | reached |\n"));
    }
}
