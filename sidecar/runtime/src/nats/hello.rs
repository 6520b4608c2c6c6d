//! The first words of a client: who it is, and its login.

use serde_json::{Value, json};

use crate::config::{Config, NatsLogin};

/// The first words of a client, without the signature of a login: each server wants another one.
#[derive(Clone)]
pub(super) struct Hello {
    fields: Value,
}

impl Hello {
    /// The first words of this copy.
    pub fn of(config: &Config) -> Self {
        let mut fields = json!({
            "verbose": false,
            "pedantic": false,
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1,
            "headers": true,
            "no_responders": true,
            "echo": true,
            "name": format!("tpro/{}/{}", config.service, config.copy),
        });
        match &config.nats_login {
            // The login is a signature.
            NatsLogin::None | NatsLogin::Credentials(_) | NatsLogin::Nkey(_) => {}
            NatsLogin::Token(token) => fields["auth_token"] = json!(token.expose()),
            NatsLogin::User(user, password) => {
                fields["user"] = json!(user);
                fields["pass"] = json!(password.expose());
            }
        }
        Self { fields }
    }

    /// These words for a connection that is made only to ask.
    #[must_use]
    pub fn asking(&self) -> Self {
        let mut fields = self.fields.clone();
        let name = format!("{}/inquiry", fields["name"].as_str().unwrap_or("tpro"));
        fields["name"] = name.into();
        Self { fields }
    }

    /// The line with these fields of a signed login.
    pub fn line(&self, login: &[(&'static str, String)]) -> String {
        let mut fields = self.fields.clone();
        for (name, value) in login {
            fields[*name] = json!(value);
        }
        format!("CONNECT {fields}\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Value {
        let text = line.strip_prefix("CONNECT ").and_then(|line| line.strip_suffix("\r\n"));
        serde_json::from_str(text.expect("it is a line")).expect("it is JSON")
    }

    #[test]
    fn a_login_and_its_signature_come_into_the_first_words() {
        let hello = Hello::of(&Config::sample(&[("NATS_USER", "main"), ("NATS_PASSWORD", "a\"b")]));
        let words = fields(&hello.line(&[("sig", "x".to_owned())]));
        assert_eq!(
            (&words["user"], &words["pass"], &words["sig"]),
            (&json!("main"), &json!("a\"b"), &json!("x"))
        );
        assert!(
            words["headers"] == true && words["no_responders"] == true && words.get("auth_token").is_none()
        );
        let asking = fields(&hello.asking().line(&[]));
        assert_eq!(asking["name"], format!("{}/inquiry", words["name"].as_str().unwrap()));
    }
}
