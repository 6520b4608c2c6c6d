//! TLS to NATS.

use std::sync::Arc;

use tpro_tls::{Named, Names, Own, Root, Settings, Trust};

use super::{key, problem::Problem, reader::Reader};

/// The names of the settings.
const NAMES: Names =
    Names { root: "NATS_CA", certificate: "NATS_CERT", key: "NATS_KEY", address: "NATS_URL" };

/// TLS to NATS, as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsTls {
    /// No server is spoken to without TLS. Otherwise only a server that asks for TLS gets it.
    pub required: bool,
    /// The CAs, and our certificate.
    pub settings: Arc<Settings>,
}

/// A certificate is always checked, with its name: NATS has no modes. A setting of TLS says that
/// TLS is wanted, as `tls://` does.
pub(super) fn read(reader: &mut Reader, urls: &[String]) -> Option<NatsTls> {
    let mut file = |setting| reader.text(setting).map(|path| Named { setting, path: path.into() });
    let (root, certificate, its_key) = (file(NAMES.root), file(NAMES.certificate), file(NAMES.key));
    let own = match (certificate, its_key) {
        (Some(certificate), Some(key)) => Some(Own { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            return refuse(reader, NAMES.key, "not set; NATS_CERT needs the key of the certificate");
        }
        (None, Some(_)) => {
            return refuse(reader, NAMES.certificate, "not set; NATS_KEY needs its certificate");
        }
    };
    let required = root.is_some() || own.is_some() || urls.iter().any(|url| url.starts_with("tls://"));
    let trust = Trust::Full(root.map_or(Root::System, Root::File));
    let settings = Settings { names: &NAMES, trust, own };
    if required && let Err(problem) = settings.check() {
        let place =
            key::find(problem.setting).and_then(|key| Some((key.name, reader.find(key.name)?.origin)));
        reader.problem(match place {
            Some((key, origin)) => Problem::bad(key, origin, Some(problem.value), problem.rule),
            None => Problem::unset(problem.setting, problem.rule),
        });
        return None;
    }
    Some(NatsTls { required, settings: Arc::new(settings) })
}

fn refuse(reader: &mut Reader, key: &str, rule: &str) -> Option<NatsTls> {
    reader.problem(Problem::unset(key, rule));
    None
}
