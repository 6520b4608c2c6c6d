//! Random secrets, and files that only their owner reads.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Context as _, Outcome};

/// A random secret: hexadecimal behind a letter, which is safe in a URL, a shell and a
/// configuration file.
pub fn fresh() -> Outcome<String> {
    let mut random = [0; 24];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
    read.context("reading /dev/urandom")?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t{digits}"))
}

/// The secret that is kept in a file. It is made at the first time.
pub fn kept(path: &Path) -> Outcome<String> {
    let read = || fs::read_to_string(path).map(|text| text.trim_end().to_owned());
    if let Some(secret) = read().ok().filter(|secret| !secret.is_empty()) {
        return Ok(secret);
    }
    let new = written_beside(path, format!("{}\n", fresh()?).as_bytes())?;
    // Another process may have made one meanwhile: that one counts.
    let made = match fs::metadata(path) {
        Ok(found) if found.len() == 0 => fs::rename(&new, path),
        _ => match fs::hard_link(&new, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        },
    };
    let _ = fs::remove_file(&new);
    made.and_then(|()| read()).context(format!("the secret in {}", path.display()))
}

/// Replaces a file in one step by one that only its owner reads.
pub fn replace(path: &Path, content: &(impl AsRef<[u8]> + ?Sized)) -> Outcome {
    let new = written_beside(path, content.as_ref())?;
    fs::rename(&new, path).context(format!("replacing {}", path.display()))
}

fn written_beside(path: &Path, content: &[u8]) -> Outcome<PathBuf> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    // One that an earlier process of this number has left may have other rights.
    let _ = fs::remove_file(&new);
    let file = File::options().write(true).create_new(true).mode(0o600).open(&new);
    file.and_then(|mut file| file.write_all(content)).context(format!("writing {}", path.display()))?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_nobody_else_reads_it() {
        let path = std::env::temp_dir().join(format!("tpro-servers-secret-{}", std::process::id()));
        let secret = kept(&path).unwrap();
        assert_eq!(kept(&path).unwrap(), secret);
        assert_eq!((secret.len(), secret.starts_with('t')), (49, true));
        assert_ne!(fresh().unwrap(), secret);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, "").unwrap();
        assert_eq!(kept(&path).unwrap().len(), 49);
        fs::remove_file(&path).unwrap();
    }
}
