//! `DATABASE_URL`: a URL or `key=value` pairs. When it cannot be read, the bad part is named.
//!
//! An error names a parameter and never a value, and the parameter only where it cannot be a piece
//! of a password.

use tokio_postgres::{Config, config::TargetSessionAttrs};
use tpro_tls::parameters::{self, Parameters, pairs};

/// The rule that is told when no parameter is at fault.
const FORM: &str = "must be postgresql://user:password@host:port/database, with %-codes for special characters in the \
                    password, or key=value pairs";

/// Parameters that other programs read in an address, with those of libpq that are not read here.
/// They may be named in any place.
const OTHERS: &[&str] = &[
    "client_encoding",
    "connection_limit",
    "currentSchema",
    "fallback_application_name",
    "gssencmode",
    "keepalives_count",
    "passfile",
    "pgbouncer",
    "pool_timeout",
    "schema",
    "search_path",
    "service",
    "ssl",
    "sslaccept",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "ssl_min_protocol_version",
    "statement_timeout",
];

/// Parameters that are read.
const KNOWN: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Reads it, and the parameters of TLS by themselves. The error is a rule, to be told behind the
/// setting's name.
pub(super) fn read(text: &str) -> Result<(Config, Parameters), String> {
    let (text, of_tls) = parameters::take(text);
    let parts = Parts::of(&text);
    let config = match parts.as_ref().map_or_else(|| text.to_string(), Parts::joined).parse::<Config>() {
        Ok(config) => config,
        Err(_) => return Err(parts.and_then(|parts| parts.mistake()).unwrap_or_else(|| FORM.to_owned())),
    };
    match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadOnly => Err(rule_of("target_session_attrs")),
        _ => Ok((config, of_tls)),
    }
}

/// An address, taken apart.
struct Parts<'a> {
    /// A URL as far as its `?`; empty for pairs.
    base: &'a str,
    pairs: Vec<(&'a str, String)>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Some(Self { base: "", pairs: pairs(text)? });
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        // A `?` in the password, which should have been written as a code.
        if query.contains('@') {
            return None;
        }
        let pieces = query.split('&').filter(|piece| !piece.is_empty());
        let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
        Some(Self { base, pairs: pairs.map(|(key, value)| (key, value.to_owned())).collect() })
    }

    /// The address, in the words that tokio-postgres knows.
    fn joined(&self) -> String {
        self.with(&self.pairs)
    }

    fn with(&self, pairs: &[(&str, String)]) -> String {
        let url = !self.base.is_empty();
        let known = |(key, value): &(&str, String)| {
            // libpq calls a primary like this since release 14.
            let value =
                if *key == "target_session_attrs" && value == "primary" { "read-write" } else { value };
            if url {
                format!("{key}={value}")
            } else {
                format!("{key}='{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
            }
        };
        let pairs: Vec<String> = pairs.iter().map(known).collect();
        match (url, pairs.is_empty()) {
            (true, true) => self.base.to_owned(),
            (true, false) => format!("{}?{}", self.base, pairs.join("&")),
            (false, _) => pairs.join(" "),
        }
    }

    /// The rule that the first bad parameter breaks; none if the rest is bad.
    fn mistake(&self) -> Option<String> {
        let url = !self.base.is_empty();
        if url && self.base.parse::<Config>().is_err() {
            return None;
        }
        let bad = self.pairs.iter().find(|pair| self.with(&[(*pair).clone()]).parse::<Config>().is_err())?;
        let key = bad.0;
        // In pairs it could be the second word of a password without quotes.
        let word = url && key.len() <= 40 && key.bytes().all(|c| c.is_ascii_alphabetic() || c == b'_');
        if KNOWN.contains(&key) || OTHERS.contains(&key) || word {
            return Some(rule_of(key));
        }
        Some(format!("has a parameter of no known name; known are {}", KNOWN.join(", ")))
    }
}

/// The rule of a parameter.
fn rule_of(key: &str) -> String {
    match key {
        "target_session_attrs" => {
            "its parameter target_session_attrs must be read-write, primary or any: a sidecar works with the primary".to_owned()
        }
        "schema" | "currentSchema" | "search_path" => {
            format!("its parameter {key} is not PostgreSQL's; remove it: tpro goes by no search path")
        }
        _ if KNOWN.contains(&key) => format!("its parameter {key} has a bad value"),
        _ => format!("its parameter {key} is not known here; remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_parameter_and_no_value() {
        for (url, word) in [
            ("postgresql://main:canary@db/tpro?schema=canary", "schema"),
            ("postgresql://main:canary@db/tpro?sslmode=prefer&currentSchema=canary", "currentSchema"),
            ("postgresql://main:canary@db/tpro?connection_limit=5", "connection_limit"),
            ("postgresql://main:canary@db/tpro?anything_else=canary", "anything_else"),
            ("postgresql://main:canary@db/tpro?sslmode=prefer&sslpassword=canary", "sslpassword"),
            ("postgresql://main:canary@db/tpro?sslcrl=/canary", "sslcrl"),
            ("postgresql://main:canary@db/tpro?connect_timeout=canary", "connect_timeout"),
            ("postgresql://main:canary@db/tpro?target_session_attrs=standby", "target_session_attrs"),
            ("postgresql://main:canary@db/tpro?target_session_attrs=read-only", "target_session_attrs"),
            ("host=db user=main password=canary schema=canary", "schema"),
            ("host=db user=main password='can ary' sslcrl=/canary", "sslcrl"),
            ("host=db port=canary", "port"),
        ] {
            let rule = read(url).expect_err(url);
            assert!(rule.contains(&format!("parameter {word} ")), "{url}: {rule}");
            assert!(!rule.contains("canary") && !rule.contains("special characters"), "{url}: {rule}");
        }
    }

    #[test]
    fn what_could_be_a_piece_of_a_password_is_not_named() {
        for url in [
            "postgresql://main:a?canary=1@db:port/tpro",
            "postgresql://main:a?b=1&canary@db/tpro?canary",
            "postgresql://main:canary@db:port/tpro?schema=x",
            "postgresql://main@db/tpro?canary-1=1",
            "host=x password=a canary=b",
            "host=x password=a canary",
            "canary",
            "host=x password='canary",
        ] {
            let rule = read(url).expect_err(url);
            assert!(!rule.contains("canary"), "{url}: {rule}");
        }
    }

    #[test]
    fn the_primary_may_be_asked_for_in_the_words_of_libpq() {
        for url in [
            "postgresql://main:a@one,two/tpro?target_session_attrs=primary",
            "postgresql://main:a@one,two/tpro?target_session_attrs=read-write",
            "host=one,two target_session_attrs=primary",
        ] {
            let (config, _) = read(url).expect(url);
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite, "{url}");
        }
    }

    #[test]
    fn what_is_taken_apart_is_put_together_as_it_was() {
        for (text, password) in [
            ("host=db user=main password='a \\'b\\\\c' dbname = tpro", "a 'b\\c"),
            ("host=db password=a\\ b user=main dbname=tpro", "a b"),
            ("postgresql://main:a%3Fb%40c@db/tpro?connect_timeout=3", "a?b@c"),
        ] {
            let (config, _) = read(text).expect(text);
            assert_eq!(config.get_password(), Some(password.as_bytes()), "{text}");
            assert_eq!((config.get_user(), config.get_dbname()), (Some("main"), Some("tpro")), "{text}");
        }
    }
}
