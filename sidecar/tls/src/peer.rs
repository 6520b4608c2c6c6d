//! The server at the other end, and the words for a fault between it and us.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::{
    failure::Failure,
    file::Named,
    names::Names,
    settings::{Root, Settings},
};

/// The server at the other end.
pub(crate) struct Peer {
    host: String,
    names: &'static Names,
    root: Option<Root>,
    /// The certificate that we show.
    own: Option<Named>,
}

impl Peer {
    pub fn new(settings: &Settings, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            names: settings.names,
            root: settings.root().cloned(),
            own: settings.own.as_ref().map(|own| own.certificate.clone()),
        }
    }

    /// No certificate can be for this name.
    pub fn has_no_name(&self) -> Failure {
        let address = self.names.address;
        Failure::lasting(format!("{} is no name that a certificate can be for; correct {address}", self.host))
    }

    /// The failure of a handshake.
    pub fn failure(&self, error: &io::Error) -> Failure {
        match cause(error) {
            Some(cause) => self.words(cause),
            None => {
                let (host, address) = (&self.host, self.names.address);
                Failure::passing(format!(
                    "the TLS handshake with {host} ({address}) did not end well: {error}"
                ))
            }
        }
    }

    /// The error of a connection, in words if it is about TLS. A connection that ends so is lost,
    /// for all who read the kind of an error.
    pub fn told(&self, error: io::Error) -> io::Error {
        match cause(&error) {
            Some(cause) => io::Error::new(io::ErrorKind::ConnectionAborted, self.words(cause)),
            None => error,
        }
    }

    fn words(&self, error: &Error) -> Failure {
        let (host, address) = (&self.host, self.names.address);
        Failure::lasting(match error {
            Error::InvalidCertificate(error) => self.about_theirs(error),
            Error::AlertReceived(alert) => self.about_ours(*alert),
            Error::InvalidMessage(_) => {
                format!("the server {host} does not answer in TLS; correct {address}, or turn TLS on there")
            }
            Error::PeerIncompatible(_) => {
                format!("the server {host} ({address}) has no TLS 1.2 or 1.3 that is safe; mend it there")
            }
            Error::NoCertificatesPresented => format!("the server {host} ({address}) shows no certificate"),
            other => format!("no TLS with the server {host} ({address}): {other}"),
        })
    }

    /// Words for a fault in the server's certificate.
    fn about_theirs(&self, error: &CertificateError) -> String {
        let (host, names) = (&self.host, self.names);
        let address = names.address;
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of the server {host} ({address}) has expired; renew it there")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of the server {host} ({address}) is not valid yet; look at the clock of this host"
            ),
            // A certificate that has a known issuer's name, and not its signature; and one that
            // says that it is a CA's and signs itself.
            error if is_of_nobody(error) => match &self.root {
                Some(Root::File(file)) => format!(
                    "the certificate of the server {host} is of no CA in {}={}; put the server's CA there",
                    file.setting,
                    file.shown()
                ),
                _ => format!(
                    "the certificate of the server {host} is of no CA that this system trusts; name its CA in {}",
                    names.root
                ),
            },
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
                "the certificate of the server {host} ({address}) names no host (subjectAltName); issue it again with one"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the certificate of the server is for {} and not for {host}; correct the host in {address}",
                presented.join(", ")
            ),
            CertificateError::NotValidForName => {
                format!("the certificate of the server is not for {host}; correct the host in {address}")
            }
            CertificateError::Other(other) if other.to_string().contains("CertVersion") => format!(
                "the certificate of the server {host} ({address}) is of X.509 version 1; issue it again with a subjectAltName"
            ),
            other => format!("the certificate of the server {host} ({address}) is not good: {other}"),
        }
    }

    /// Words for what the server says, which is about our certificate as a rule.
    fn about_ours(&self, alert: AlertDescription) -> String {
        use AlertDescription as Alert;
        let (host, names) = (&self.host, self.names);
        let (certificate, key) = (names.certificate, names.key);
        let of_certificates = matches!(
            alert,
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
        );
        match (&self.own, alert) {
            // In TLS 1.2 a server says this that wants a certificate and gets none.
            (None, Alert::HandshakeFailure) => format!(
                "the server {host} ends the handshake: it may want a client certificate ({certificate} and {key})"
            ),
            (None, _) if of_certificates => {
                format!("the server {host} wants a client certificate; set {certificate} and {key}")
            }
            (Some(own), Alert::UnknownCA) => format!(
                "the server {host} does not know the CA of the certificate in {}={}; have the server trust it",
                own.setting,
                own.shown()
            ),
            (Some(own), Alert::CertificateExpired) => format!(
                "the server {host} takes the certificate in {}={} for expired; renew it",
                own.setting,
                own.shown()
            ),
            (Some(own), _) if of_certificates => format!(
                "the server {host} refuses the certificate in {}={} ({alert:?}); have it issued again",
                own.setting,
                own.shown()
            ),
            _ => format!("the server {host} ({}) ends the handshake: {alert:?}", names.address),
        }
    }
}

/// True if no CA that is known has issued the certificate.
fn is_of_nobody(error: &CertificateError) -> bool {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        CertificateError::Other(other) => other.to_string().contains("CaUsedAsEndEntity"),
        _ => false,
    }
}

/// The error of TLS in an error of the stream.
fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
