//! Certificates that a test makes: an authority, and certificates of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::failure::{Context, Outcome};

/// An authority, with the file of its own certificate.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    file: PathBuf,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, which only its owner may read.
    pub key: PathBuf,
}

/// A certificate to be.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    name: &'a str,
    hosts: &'a [&'a str],
    expired: bool,
}

impl<'a> Wanted<'a> {
    /// A server's, for these names and addresses.
    pub fn server(hosts: &'a [&'a str]) -> Wanted<'a> {
        Wanted { name: "server", hosts, expired: false }
    }

    /// A client's, of this common name.
    pub fn client(name: &'a str) -> Wanted<'a> {
        Wanted { name, hosts: &[], expired: false }
    }

    /// It was valid once.
    pub fn expired(mut self) -> Wanted<'a> {
        self.expired = true;
        self
    }
}

impl Authority {
    /// A new authority. Its files are in this folder, under its name.
    pub fn new(folder: &Path, name: &str) -> Outcome<Authority> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, pem("CERTIFICATE", issuer.der())).context(format!("writing {}", file.display()))?;
        Ok(Authority { issuer, folder: folder.to_path_buf(), file })
    }

    /// The file of its own certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Issues a certificate. Its files have this name.
    pub fn issue(&self, file: &str, wanted: Wanted<'_>) -> Outcome<Certificate> {
        let hosts: Vec<String> = wanted.hosts.iter().map(|host| host.to_string()).collect();
        let mut parameters = CertificateParams::new(hosts)?;
        parameters.distinguished_name.push(DnType::CommonName, wanted.name);
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if wanted.expired {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let files = Certificate {
            certificate: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        fs::write(&files.certificate, pem("CERTIFICATE", certificate.der()))
            .context("writing a certificate")?;
        secret(&files.key, &pem("PRIVATE KEY", &key.serialize_der()))?;
        Ok(files)
    }
}

/// The text form of a certificate or key.
fn pem(what: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// Writes a file that only its owner may read.
pub fn secret(file: &Path, content: &str) -> Outcome {
    fs::write(file, content).context(format!("writing {}", file.display()))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
