//! The files of certificates and keys, in PEM form.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};

use crate::problem::Problem;

/// The largest file that is read. The CAs of a whole system are a quarter of it.
const MOST: u64 = 1024 * 1024;

/// A file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name of the setting.
    pub setting: &'static str,
    /// The path of the file.
    pub path: PathBuf,
}

impl Named {
    /// The path, or `***` if it looks like the secret itself, put where its file should be named.
    pub fn shown(&self) -> String {
        shown(&self.path.to_string_lossy()).to_owned()
    }

    /// The problem that the file breaks this rule.
    pub fn problem(&self, rule: impl Into<String>) -> Problem {
        Problem { setting: self.setting, value: self.shown(), rule: rule.into() }
    }

    fn unreadable(&self, error: &io::Error) -> Problem {
        self.problem(match error.kind() {
            io::ErrorKind::NotFound => "there is no file of this name; correct the path".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "this process may not read the file; give it to the user that runs it".to_owned()
            }
            _ => format!("the file cannot be read: {error}"),
        })
    }

    /// The content of the file.
    pub fn read(&self) -> Result<Vec<u8>, Problem> {
        let file = fs::File::open(&self.path).map_err(|error| self.unreadable(&error))?;
        let mut content = Vec::new();
        file.take(MOST).read_to_end(&mut content).map_err(|error| self.unreadable(&error))?;
        Ok(content)
    }

    /// The certificates of the file, at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let content = self.read()?;
        let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&content).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self.problem("has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")),
        }
    }

    /// The private key of the file.
    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, Problem> {
        let content = self.read_secret()?;
        PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
            let encrypted = content.windows(9).any(|word| word == b"ENCRYPTED");
            self.problem(if encrypted {
                "the key has a passphrase, which nobody can type in here; store it without (openssl pkey)"
            } else {
                "has no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
            })
        })
    }

    /// The content of a file that only its owner may read: the rule of libpq for a key.
    pub fn read_secret(&self) -> Result<Vec<u8>, Problem> {
        let about = fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        if !about.is_file() {
            return Err(self.problem("must be a file"));
        }
        let mode = about.mode() & 0o777;
        let forbidden = if about.uid() == 0 { 0o037 } else { 0o077 };
        if mode & forbidden != 0 {
            let rule = format!(
                "others may read this secret (its mode is {mode:04o}); chmod 0600 it, or 0640 if root owns it"
            );
            return Err(self.problem(rule));
        }
        self.read()
    }
}

/// The path of a file as it may be shown: `***` if it looks like the content of one.
pub fn shown(path: &str) -> &str {
    let looks_secret =
        path.contains("-----") || path.contains('\n') || (path.len() > 40 && !path.contains('/'));
    if looks_secret { "***" } else { path }
}

/// The text of a file that only its owner may read.
pub fn secret(file: &Named) -> Result<String, Problem> {
    String::from_utf8(file.read_secret()?).map_err(|_| file.problem("is no text"))
}
