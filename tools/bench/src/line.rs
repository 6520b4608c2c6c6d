//! A line of the benchmark: a figure of the floor, ours, their ratio, and the goal.

use std::fmt;

use crate::table::{Interval, thousands};

/// The ratio that is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

/// The unit of the figures.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    Seconds,
    /// So many a second.
    ASecond,
    /// Said in the subject.
    Plain,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The subject.
    pub subject: String,
    /// The unit of both figures.
    pub unit: Unit,
    /// The figure without tpro.
    pub floor: f64,
    /// The figure with tpro.
    pub ours: f64,
    /// Ours to the floor's.
    pub ratio: Interval,
    /// The goal, if there is one.
    pub goal: Option<Goal>,
}

/// Lines that belong together.
#[derive(Clone, Debug)]
pub struct Section {
    /// The title.
    pub title: String,
    /// A sentence or two on the measure.
    pub note: String,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Goal {
    /// True if the ratio reaches it.
    pub fn is_reached_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(goal) => ratio >= goal,
            Self::AtMost(goal) => ratio <= goal,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(out, ">= {goal}"),
            Self::AtMost(goal) => write!(out, "<= {goal}"),
        }
    }
}

impl Unit {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Ms => "ms",
            Self::Seconds => "s",
            Self::ASecond => "1/s",
            Self::Plain => "",
        }
    }

    /// A figure in it.
    pub fn show(self, figure: f64) -> String {
        match self {
            Self::Us => format!("{figure:.0}"),
            Self::Ms | Self::Seconds | Self::Plain => format!("{figure:.2}"),
            Self::ASecond => thousands(figure),
        }
    }
}

impl Line {
    /// `reached`, `NOT reached`, or nothing where there is no goal.
    pub fn verdict(&self) -> &'static str {
        match self.goal {
            None => "",
            Some(goal) if goal.is_reached_by(self.ratio.median) => "reached",
            Some(_) => "NOT reached",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (floor, ours) = (self.unit.show(self.floor), self.unit.show(self.ours));
        let Interval { median, low, high } = self.ratio;
        write!(out, "  {:<48} {floor:>9} {ours:>9}   {median:>5.2}  ({low:.2} to {high:.2}", self.subject)?;
        match self.goal {
            Some(goal) => write!(out, "; goal {goal}: {})", self.verdict()),
            None => write!(out, ")"),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.lines.first().map_or("", |line| line.unit.name());
        writeln!(out, "\n{}, {unit}", self.title)?;
        write!(out, "  {:<48} {:>9} {:>9}   ratio", "", "floor", "tpro")?;
        self.lines.iter().try_for_each(|line| write!(out, "\n{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_missed_is_printed_as_missed() {
        let line = |median, goal| Line {
            subject: "at once".to_owned(),
            unit: Unit::Ms,
            floor: 1.0,
            ours: median,
            ratio: Interval { median, low: 1.1, high: 1.5 },
            goal,
        };
        assert!(
            line(1.4, Some(Goal::AtMost(1.3)))
                .to_string()
                .ends_with("(1.10 to 1.50; goal <= 1.3: NOT reached)")
        );
        assert!(line(1.3, Some(Goal::AtMost(1.3))).to_string().ends_with("goal <= 1.3: reached)"));
        assert!(line(0.7, Some(Goal::AtLeast(0.75))).to_string().ends_with("goal >= 0.75: NOT reached)"));
        assert!(line(0.7, None).to_string().ends_with("(1.10 to 1.50)"));
    }
}
