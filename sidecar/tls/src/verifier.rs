//! The check of a server's certificate.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::der;

/// The certificates that are trusted.
#[derive(Debug)]
pub(crate) struct Known {
    /// The CAs.
    pub roots: RootCertStore,
    /// Certificates of the same file. A server may have one of them itself: certificates that sign
    /// themselves are common for PostgreSQL, and most say that they are a CA.
    pub pinned: Vec<CertificateDer<'static>>,
}

impl Known {
    /// None.
    pub fn none() -> Self {
        Self { roots: RootCertStore::empty(), pinned: Vec::new() }
    }
}

/// The check of a server's certificate. In each case the server must have the certificate's key.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// None: any certificate will do.
    known: Option<Known>,
    /// True if the certificate must be for the name that is connected to.
    names: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Any certificate will do.
    pub fn of_signatures(provider: &CryptoProvider) -> Self {
        Self { known: None, names: false, algorithms: provider.signature_verification_algorithms }
    }

    /// The certificate must be of a known CA.
    pub fn of_issuers(provider: &CryptoProvider, known: Known) -> Self {
        Self { known: Some(known), ..Self::of_signatures(provider) }
    }

    /// The certificate must be of a known CA, and for the name that is connected to.
    pub fn of_names(provider: &CryptoProvider, known: Known) -> Self {
        Self { names: true, ..Self::of_issuers(provider, known) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(known) = &self.known else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(certificate)?;
        if known.pinned.contains(certificate) {
            is_valid(certificate, now)?;
        } else {
            let (roots, algorithms) = (&known.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        }
        if self.names {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The dates of a certificate that no CA vouches for.
fn is_valid(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    match der::validity(certificate) {
        None => Err(CertificateError::BadEncoding.into()),
        Some(dates) if now < dates.from => Err(CertificateError::NotValidYet.into()),
        Some(dates) if now > dates.to => Err(CertificateError::Expired.into()),
        Some(_) => Ok(()),
    }
}
