//! TLS, by the crates and the provider of cryptography that the other connections have.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tpro_sidecar::warn;

/// The reason why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or has something else in it.
    #[error("WEB_CA_FILE cannot be read as certificates (PEM): {0}")]
    File(#[source] rustls::pki_types::pem::Error),
    /// The file has no certificate in it.
    #[error("WEB_CA_FILE has no certificate of a CA in it")]
    Empty,
    /// The provider has no version of TLS.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// The client of TLS: it trusts the CAs of the system, and those of the file.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let certificates =
            CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let (own, _) = roots.add_parsable_certificates(certificates.map_err(TlsError::File)?);
        if own == 0 {
            return Err(TlsError::Empty);
        }
    } else if taken == 0 {
        warn!("this system has no CAs, so https fails: install ca-certificates, or set WEB_CA_FILE");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
