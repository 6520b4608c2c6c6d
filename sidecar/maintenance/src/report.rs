//! The report of a run.

use std::fmt;

/// The report of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The reason why the run did nothing at all.
    pub idle: Option<&'static str>,
    /// Steps that fail until a person removes the reason, each with its remedy.
    pub failed: Vec<String>,
    /// Steps that were done and put off, in words. True: it is worth a line in the
    /// log.
    lines: Vec<(String, bool)>,
    /// Partitions that were dropped or emptied, each by its partitioned table.
    pub(super) drops: Vec<&'static str>,
    /// Partitions there are now, for each partitioned table.
    pub(super) parts: Vec<(&'static str, usize)>,
    /// Steps that others' transactions kept from being done.
    pub(super) held: usize,
    /// Partitions of the outbox that are wholly ahead.
    pub(super) ahead: usize,
}

impl Report {
    /// The report of a run that did nothing, for this reason.
    pub(super) fn idle(why: &'static str) -> Self {
        Self { idle: Some(why), ..Self::default() }
    }

    /// Notes a step that was done.
    pub(super) fn done(&mut self, words: String) {
        self.lines.push((words, true));
    }

    /// Notes that a partition of a table went, or its rows did.
    pub(super) fn dropped(&mut self, table: &'static str, words: String) {
        self.drops.push(table);
        self.done(words);
    }

    /// Notes a step that others' transactions have held up.
    pub(super) fn put_off(&mut self, words: String) {
        self.held += 1;
        self.done(words);
    }

    /// Notes that a partition stays because it is not time yet.
    pub(super) fn kept(&mut self, words: String) {
        self.lines.push((words, false));
    }

    /// Notes a step that any run may have to do. It is not worth a line in the log.
    pub(super) fn routine(&mut self, words: String) {
        self.lines.push((words, false));
    }

    /// The text for a line in the log.
    pub(super) fn news(&self) -> String {
        let news = self.lines.iter().filter(|(_, news)| *news);
        let failed = self.failed.iter().map(String::as_str);
        news.map(|(line, _)| line.as_str()).chain(failed).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(idle) = self.idle {
            return writeln!(f, "nothing done: {idle}");
        }
        self.lines.iter().try_for_each(|(line, _)| writeln!(f, "{line}"))?;
        self.failed.iter().try_for_each(|line| writeln!(f, "failed: {line}"))?;
        let parts: Vec<String> = self.parts.iter().map(|(table, parts)| format!("{table} {parts}")).collect();
        writeln!(f, "partitions now: {}; {} partitions of the outbox ahead", parts.join(", "), self.ahead)
    }
}
