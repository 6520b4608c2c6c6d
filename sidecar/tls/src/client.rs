//! The client of rustls, from the settings and their files.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
};

use crate::{
    der,
    problem::Problem,
    settings::{Own, Root, Settings, Trust},
    verifier::{Known, Verifier},
};

/// Reads all files.
pub(crate) fn config(settings: &Settings) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let known = match settings.root() {
        None => Known::none(),
        Some(root) => known(root, settings)?,
    };
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(match settings.trust {
        Trust::Anybody => Verifier::of_signatures(&provider),
        Trust::Issuer(_) => Verifier::of_issuers(&provider, known),
        Trust::Full(_) => Verifier::of_names(&provider, known),
    });
    let own = settings.own.as_ref().map(read).transpose()?;
    let unusable = |error: &rustls::Error| match &settings.own {
        Some(own) => {
            let (setting, file) = (own.certificate.setting, own.certificate.shown());
            match error {
                rustls::Error::InconsistentKeys(_) => {
                    own.key.problem(format!("is not the key of the certificate in {setting} ({file})"))
                }
                _ => own.key.problem(format!("is no key that can be used for TLS: {error}")),
            }
        }
        None => {
            Problem { setting: settings.names.certificate, value: String::new(), rule: error.to_string() }
        }
    };
    let own = own.map_or(Ok(None), |(chain, key)| {
        rustls::sign::CertifiedKey::from_der(chain, key, &provider).map(Some)
    });
    let own = own.map_err(|error| unusable(&error))?;
    let builder = builder(provider).map_err(|error| unusable(&error))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(match own {
        Some(own) => {
            let own = rustls::sign::SingleCertAndKey::from(own);
            builder.with_client_cert_resolver(Arc::new(own))
        }
        None => builder.with_no_client_auth(),
    })
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// The CAs, and the certificates that are trusted by themselves.
fn known(root: &Root, settings: &Settings) -> Result<Known, Problem> {
    let mut roots = RootCertStore::empty();
    let Root::File(file) = root else {
        let found = rustls_native_certs::load_native_certs();
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if taken == 0 {
            let rule = "this system has no CAs (the package ca-certificates); name a file";
            return Err(Problem {
                setting: settings.names.root,
                value: "system".to_owned(),
                rule: rule.to_owned(),
            });
        }
        return Ok(Known { roots, pinned: Vec::new() });
    };
    let pinned = file.certificates()?;
    let (taken, _) = roots.add_parsable_certificates(pinned.iter().cloned());
    if taken == 0 {
        return Err(file.problem("has no certificate that can be read as one of a CA"));
    }
    Ok(Known { roots, pinned })
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate that we show, which must be valid now. A server would only say that it is bad.
fn read(own: &Own) -> Result<Chain, Problem> {
    let chain = own.certificate.certificates()?;
    if let Some(validity) = chain.first().and_then(der::validity) {
        let now = UnixTime::now();
        if now > validity.to {
            return Err(own.certificate.problem("the certificate has expired; renew it"));
        }
        if now < validity.from {
            let rule = "the certificate is not valid yet; look at the clock of this host";
            return Err(own.certificate.problem(rule));
        }
    }
    Ok((chain, own.key.key()?))
}
