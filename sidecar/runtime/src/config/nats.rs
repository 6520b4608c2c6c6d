//! The address of NATS and the login.

use async_nats::ServerAddr;

use super::{problem::Problem, reader::Reader, secret::Secret};

/// The login at NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// No login.
    None,
    /// `NATS_TOKEN`.
    Token(Secret),
    /// `NATS_USER` and `NATS_PASSWORD`.
    User(String, Secret),
}

impl NatsLogin {
    /// The settings that it is from, for messages.
    pub fn keys(&self) -> &'static str {
        match self {
            Self::None | Self::Token(_) => "NATS_TOKEN",
            Self::User(..) => "NATS_USER, NATS_PASSWORD",
        }
    }

    /// The name of the login, for messages.
    pub fn user(&self) -> String {
        match self {
            Self::None => "a client without a login".to_owned(),
            Self::Token(_) => "the owner of the token (NATS_TOKEN)".to_owned(),
            Self::User(user, _) => format!("user {user} (NATS_USER)"),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> (Vec<String>, NatsLogin) {
    let urls = reader.parsed("NATS_URL", vec!["nats://127.0.0.1:4222".to_owned()], |text| {
        let urls: Vec<_> =
            text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
        let good = |url: &String| {
            let scheme = url.split_once("://").map_or("nats", |(scheme, _)| scheme);
            scheme == "nats" && url.parse::<ServerAddr>().is_ok()
        };
        if urls.is_empty() || !urls.iter().all(good) {
            return Err(
                "must be one address or several with commas between, such as nats://127.0.0.1:4222".into()
            );
        }
        if urls.iter().any(|url| url.contains('@')) {
            // async-nats ignores the part behind the host, and an address is printed in many
            // places.
            return Err(
                "must not hold a login; put it into NATS_TOKEN, or NATS_USER and NATS_PASSWORD".into()
            );
        }
        Ok(urls)
    });
    let (token, user) = (reader.text("NATS_TOKEN"), reader.text("NATS_USER"));
    let login = match (token, user, reader.text("NATS_PASSWORD")) {
        (None, None, None) => NatsLogin::None,
        (Some(token), None, None) => NatsLogin::Token(Secret::new(token)),
        (None, Some(user), Some(password)) => NatsLogin::User(user, Secret::new(password)),
        _ => {
            let rule = "give either NATS_TOKEN alone, or both NATS_USER and NATS_PASSWORD";
            reader.problem(Problem::unset("NATS_TOKEN", rule));
            NatsLogin::None
        }
    };
    (urls, login)
}
