//! The address of NATS and the login.

use tpro_tls::Named;

use super::{origin::Origin, problem::Problem, reader::Reader, secret::Secret};
use crate::{address::Address, nkey::Signer};

/// The login at NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// No login.
    None,
    /// `NATS_TOKEN`.
    Token(Secret),
    /// `NATS_USER` and `NATS_PASSWORD`.
    User(String, Secret),
    /// `NATS_CREDS`: a file with a JWT and the seed of its key.
    Credentials(Named),
    /// `NATS_NKEY`: a file with the seed of a key.
    Nkey(Named),
}

impl NatsLogin {
    /// The settings that it is from, for messages.
    pub fn keys(&self) -> &'static str {
        match self {
            Self::None | Self::Token(_) => "NATS_TOKEN",
            Self::User(..) => "NATS_USER, NATS_PASSWORD",
            Self::Credentials(_) => "NATS_CREDS",
            Self::Nkey(_) => "NATS_NKEY",
        }
    }

    /// The key that signs a login, read from its file. None for a login that is not signed.
    pub fn signer(&self) -> Result<Option<Signer>, tpro_tls::Problem> {
        let file = match self {
            Self::None | Self::Token(_) | Self::User(..) => return Ok(None),
            Self::Credentials(file) | Self::Nkey(file) => file,
        };
        let text = tpro_tls::secret(file)?;
        let signer = match self {
            Self::Credentials(_) => Signer::of_credentials(&text),
            _ => Signer::of_seed(&text),
        };
        signer.map(Some).map_err(|rule| file.problem(rule))
    }

    /// The name of the login, for messages.
    pub fn user(&self) -> String {
        match self {
            Self::None => "a client without a login".to_owned(),
            Self::Token(_) => "the owner of the token (NATS_TOKEN)".to_owned(),
            Self::User(user, _) => format!("user {user} (NATS_USER)"),
            Self::Credentials(file) => format!("the owner of {} (NATS_CREDS)", file.shown()),
            Self::Nkey(file) => format!("the owner of {} (NATS_NKEY)", file.shown()),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> (Vec<String>, NatsLogin) {
    let urls = reader.parsed("NATS_URL", vec!["nats://127.0.0.1:4222".to_owned()], |text| {
        let urls: Vec<_> =
            text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
        let good = |url: &String| {
            let scheme = url.split_once("://").map_or("nats", |(scheme, _)| scheme);
            ["nats", "tls"].contains(&scheme) && Address::parse(url).is_some()
        };
        if urls.iter().any(|url| url.contains('@')) {
            // An address is printed in many places.
            return Err(
                "must not hold a login; put it into NATS_TOKEN, or NATS_USER and NATS_PASSWORD".into()
            );
        }
        if urls.is_empty() || !urls.iter().all(good) {
            return Err(
                "must be one address or several with commas between, such as nats://127.0.0.1:4222".into()
            );
        }
        Ok(urls)
    });
    (urls, login(reader))
}

fn login(reader: &mut Reader) -> NatsLogin {
    let (token, user) = (reader.text("NATS_TOKEN"), reader.text("NATS_USER"));
    let password = reader.text("NATS_PASSWORD");
    let mut file = |setting| reader.text(setting).map(|path| Named { setting, path: path.into() });
    let login = match (token, user, password, file("NATS_CREDS"), file("NATS_NKEY")) {
        (None, None, None, None, None) => NatsLogin::None,
        (Some(token), None, None, None, None) => NatsLogin::Token(Secret::new(token)),
        (None, Some(user), Some(password), None, None) => NatsLogin::User(user, Secret::new(password)),
        (None, None, None, Some(file), None) => NatsLogin::Credentials(file),
        (None, None, None, None, Some(file)) => NatsLogin::Nkey(file),
        _ => {
            let rule = "give one login: NATS_TOKEN alone, both NATS_USER and NATS_PASSWORD, or NATS_CREDS or NATS_NKEY alone";
            reader.problem(Problem::unset("NATS_TOKEN", rule));
            NatsLogin::None
        }
    };
    if let Err(problem) = login.signer() {
        let key = login.keys();
        let origin = reader.find(key).map_or(Origin::Default, |found| found.origin);
        reader.problem(Problem::bad(key, origin, Some(problem.value), problem.rule));
    }
    login
}
