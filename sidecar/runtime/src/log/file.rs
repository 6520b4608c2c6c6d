//! The rotating log file: size and count by the crate `logroller`, age by a sweep of ours.
//!
//! Of the crates that rotate by size, `file-rotate` panics when the directory cannot be made and
//! drops lines in silence when the file cannot be opened, and `rolling-file` is no longer released;
//! `logroller` is kept up and returns its errors. None of them rotates by size and count and also
//! removes by age.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use logroller::{Compression, LogRoller, LogRollerBuilder, Rotation, RotationSize};

use crate::config::LogSettings;

/// The pause after a file could not be written.
const PAUSE: Duration = Duration::from_secs(5);
/// The interval at which old files are looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// The file, opened again after an error.
pub(super) struct RollingFile {
    path: PathBuf,
    max_bytes: u64,
    max_backups: u64,
    max_age: Duration,
    compress: bool,
    roller: Option<LogRoller>,
    /// The file that is written to. Another file under its name, or none, means that it was moved
    /// or removed.
    open: Option<FileId>,
    closed_until: Option<Instant>,
    next_sweep: Instant,
}

impl RollingFile {
    pub(super) fn new(path: PathBuf, settings: &LogSettings) -> Self {
        Self {
            path,
            max_bytes: settings.max_bytes,
            max_backups: settings.max_backups,
            max_age: settings.max_age,
            compress: settings.compress,
            roller: None,
            open: None,
            closed_until: None,
            next_sweep: Instant::now(),
        }
    }

    /// Lets the file go; the next lines open it again, at once.
    pub(super) fn close(&mut self) {
        self.roller = None;
        self.closed_until = None;
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        if self.roller.is_some() && file_id(&self.path) != self.open {
            self.roller = None;
        }
        if self.closed_until.is_some_and(|until| now < until) {
            return Err(io::Error::other("still not writable"));
        }
        let written = self.try_write(lines);
        if written.is_err() {
            // The next attempt opens it again: the directory may be back, the disk may have room
            // again.
            self.roller = None;
            self.closed_until = Some(now + PAUSE);
        } else {
            self.closed_until = None;
            if now >= self.next_sweep {
                self.next_sweep = now + SWEEP;
                self.sweep(SystemTime::now());
            }
        }
        written
    }

    fn try_write(&mut self, lines: &[u8]) -> io::Result<()> {
        let roller = match &mut self.roller {
            Some(roller) => roller,
            none => none.insert(open(&self.path, self.max_bytes, self.max_backups, self.compress)?),
        };
        let before = file_id(&self.path);
        roller.write_all(lines)?;
        roller.flush()?;
        self.open = file_id(&self.path);
        if self.open != before {
            // The full file was put aside, by us or by somebody at this moment: then we would write
            // on into theirs.
            self.roller = None;
        }
        Ok(())
    }

    /// Removes files put aside that are too old. Errors do not matter, since their number is
    /// bounded anyway.
    fn sweep(&self, now: SystemTime) {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return };
        let Ok(entries) = fs::read_dir(directory(&self.path)) else { return };
        for entry in entries.flatten() {
            let is_ours = entry.file_name().to_str().is_some_and(|other| is_put_aside(other, name));
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
            if is_ours && age.is_some_and(|age| age > self.max_age) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Device and number of a file.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn open(path: &Path, max_bytes: u64, max_backups: u64, compress: bool) -> io::Result<LogRoller> {
    let name = path.file_name().ok_or_else(|| io::Error::other("not the name of a file"))?;
    let builder = LogRollerBuilder::new(directory(path), Path::new(name))
        .rotation(Rotation::SizeBased(RotationSize::Bytes(max_bytes)))
        .max_keep_files(max_backups)
        // Flushing then waits for the thread that puts the full file aside: our own thread has the
        // time, and the files on the disk are what the settings say.
        .graceful_shutdown(true);
    let builder = if compress { builder.compression(Compression::Gzip) } else { builder };
    builder.build().map_err(io::Error::other)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `main_service.log.3`, `main_service.log.3.gz`, or `main_service.log.pending.3` after a crash.
fn is_put_aside(other: &str, name: &str) -> bool {
    let Some(end) = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { return false };
    let digits = end.strip_prefix("pending.").unwrap_or(end);
    let digits = digits.strip_suffix(".gz").unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;

    fn settings() -> LogSettings {
        let max_age = Duration::from_secs(86_400);
        LogSettings {
            filter: "info".into(),
            format: Format::Text,
            max_bytes: 1000,
            max_backups: 2,
            max_age,
            compress: false,
        }
    }

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tpro-log-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(&self.0)
                .map(|entries| {
                    entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
                })
                .unwrap_or_default();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_is_put_aside_by_size_and_only_so_many_are_kept() {
        let directory = Directory::new("size");
        let mut file = RollingFile::new(directory.0.join("main.log"), &settings());
        for n in 0..60 {
            file.write(format!("{n:099}\n").as_bytes()).unwrap();
        }
        assert_eq!(directory.names(), ["main.log", "main.log.1", "main.log.2"]);
        let last = fs::read_to_string(directory.0.join("main.log")).unwrap();
        assert!(last.ends_with(&format!("{:099}\n", 59)));
    }

    #[test]
    fn files_put_aside_are_compressed_where_that_is_asked_for() {
        let directory = Directory::new("compress");
        let settings = LogSettings { compress: true, ..settings() };
        let mut file = RollingFile::new(directory.0.join("main.log"), &settings);
        for n in 0..60 {
            file.write(format!("{n:099}\n").as_bytes()).unwrap();
        }
        assert_eq!(directory.names(), ["main.log", "main.log.1.gz", "main.log.2.gz"]);
        let newest = fs::read(directory.0.join("main.log.1.gz")).unwrap();
        assert!(newest.starts_with(&[0x1f, 0x8b]) && newest.len() < 500, "{} bytes", newest.len());
    }

    #[test]
    fn a_file_that_is_moved_removed_or_cut_short_is_opened_again() {
        let directory = Directory::new("moved");
        let path = directory.0.join("main.log");
        let mut file = RollingFile::new(path.clone(), &settings());
        let read = |name: &str| fs::read_to_string(directory.0.join(name)).unwrap_or_default();
        file.write(b"one\n").unwrap();
        file.write(b"two\n").unwrap();
        fs::rename(&path, directory.0.join("main.log-old")).unwrap();
        file.write(b"three\n").unwrap();
        assert_eq!((read("main.log-old"), read("main.log")), ("one\ntwo\n".into(), "three\n".into()));
        fs::remove_file(&path).unwrap();
        file.write(b"four\n").unwrap();
        assert_eq!(read("main.log"), "four\n");
        // As logrotate does it with `create`: another file is there already.
        fs::rename(&path, directory.0.join("main.log-older")).unwrap();
        fs::write(&path, "").unwrap();
        file.write(b"five\n").unwrap();
        assert_eq!(read("main.log"), "five\n");
        // And with `copytruncate`.
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        file.write(b"six\n").unwrap();
        assert_eq!(read("main.log"), "six\n");
        fs::remove_dir_all(&directory.0).unwrap();
        file.write(b"seven\n").unwrap();
        assert_eq!(read("main.log"), "seven\n");
    }

    #[test]
    fn old_files_go_and_others_stay() {
        let directory = Directory::new("age");
        fs::create_dir_all(&directory.0).unwrap();
        for name in
            ["main.log", "main.log.1", "main.log.2.gz", "main.log.pending.7", "main.log.keep", "other.log.1"]
        {
            fs::write(directory.0.join(name), name).unwrap();
        }
        let file = RollingFile::new(directory.0.join("main.log"), &settings());
        file.sweep(SystemTime::now());
        assert_eq!(directory.names().len(), 6);
        file.sweep(SystemTime::now() + Duration::from_secs(2 * 86_400));
        assert_eq!(directory.names(), ["main.log", "main.log.keep", "other.log.1"]);
    }

    #[test]
    fn a_directory_that_cannot_be_had_is_an_error_and_not_a_panic() {
        let directory = Directory::new("none");
        fs::write(&directory.0, "a file where the directory should be").unwrap();
        let mut file = RollingFile::new(directory.0.join("main.log"), &settings());
        assert!(file.write(b"line\n").is_err());
        assert!(file.write(b"line\n").is_err());
        fs::remove_file(&directory.0).unwrap();
    }
}
