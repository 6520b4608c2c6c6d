//! TLS.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::json;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};
use tpro_testkit::{
    Context as _, Outcome,
    certificates::{Authority, Wanted},
    paths,
};

use crate::host::{Answer, Host, answer, ask, web};

/// A folder of this test's own.
fn folder(name: &str) -> Outcome<PathBuf> {
    let folder = paths::run_root()?.join(format!("web-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).context("making a folder")?;
    Ok(folder)
}

/// A server of TLS with a certificate of this authority.
async fn server(authority: &Authority, names: &[&str]) -> Outcome<Host> {
    let files = authority.issue("server", Wanted::server(names))?;
    let chain = CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&files.key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Host::secure(TlsAcceptor::from(Arc::new(config)), |seen, _| match seen.line.as_str() {
        "GET /plain" => Answer::Bytes(b"HTTP/1.1 302 x\r\nlocation: http://localhost/\r\n\r\n".to_vec()),
        _ => answer(200, &[], "safe"),
    })
    .await
}

#[tpro_testkit::test]
async fn a_server_is_known_by_the_cas_of_the_file_and_by_its_name() -> Outcome {
    let folder = folder("tls")?;
    let authority = Authority::new(&folder, "authority")?;
    let host = server(&authority, &["localhost"]).await?;
    let url = |path: &str| json!({"url": format!("https://localhost:{}{path}", host.port)});
    let trusting = || web().setting("WEB_CA_FILE", &authority.file().display().to_string());
    assert_eq!(ask(&trusting(), "http.get", &url("/")).await.expect("a result")["body"], "safe");
    let (code, text) = ask(&web(), "http.get", &url("/")).await.expect_err("an unknown CA");
    assert!(code == 2 && text.contains("TLS: invalid peer certificate: UnknownIssuer"), "{text}");
    let other = json!({"url": format!("https://127.0.0.1:{}/", host.port)});
    let (code, text) = ask(&trusting(), "http.get", &other).await.expect_err("another name");
    assert!(code == 2 && text.contains("TLS: invalid peer certificate"), "{text}");
    let ended = ask(&trusting(), "http.get", &url("/plain")).await;
    assert_eq!(ended, Err((5, "the target of a redirect must not lead from https to http".to_owned())));
    fs::remove_dir_all(&folder).context("removing it")
}
