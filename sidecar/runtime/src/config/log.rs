//! The settings of the log: its filter, its form, and the number of files that are kept.

use std::{path::PathBuf, time::Duration};

use tracing_subscriber::EnvFilter;

use super::reader::Reader;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The settings of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `RUST_LOG`: the filter of the log, default `info`.
    pub filter: String,
    /// `LOG_FORMAT`.
    pub format: Format,
    /// `LOG_MAX_SIZE_MB`: the size at which the file is put aside, default 20 MiB.
    pub max_bytes: u64,
    /// `LOG_MAX_BACKUPS`: the number of files put aside that are kept, default 5.
    pub max_backups: u64,
    /// `LOG_MAX_AGE_DAYS`: their greatest age, default 14 days.
    pub max_age: Duration,
    /// `LOG_COMPRESS`: files put aside are compressed, default no.
    pub compress: bool,
}

pub(super) fn read(reader: &mut Reader) -> (Option<PathBuf>, LogSettings) {
    let file = reader.parsed("LOG_FILE_NAME", None, |text| {
        let path = PathBuf::from(text);
        if path.file_name().is_none() || path.is_dir() {
            return Err("must name a file, not a directory".into());
        }
        Ok(Some(path))
    });
    let filter = reader.parsed("RUST_LOG", "info".to_owned(), |text| match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err("must be a level (error, warn, info, debug, trace) or a list such as info,tpro_sidecar=debug"
                .into())
        }
    });
    let format = reader.parsed("LOG_FORMAT", Format::Text, |text| match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("must be text or json".into()),
    });
    let max_bytes = reader.number("LOG_MAX_SIZE_MB", 20, 1..=100_000) * 1024 * 1024;
    let max_backups = reader.number("LOG_MAX_BACKUPS", 5, 1..=10_000);
    let days = reader.number("LOG_MAX_AGE_DAYS", 14, 1..=36_500u64);
    let max_age = Duration::from_secs(days * 86_400);
    let compress = reader.parsed("LOG_COMPRESS", false, super::yes_or_no);
    (file, LogSettings { filter, format, max_bytes, max_backups, max_age, compress })
}
