//! A value that must not be seen.

/// A value that prints as `***`.
///
/// ```
/// # use tpro_runtime::config as tpro_sidecar;
/// use tpro_sidecar::Secret;
///
/// let token = Secret::new("s3cret");
/// assert_eq!((format!("{token:?}"), token.expose()), ("***".to_owned(), "s3cret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// An address as it may be shown: `nats://token@host` becomes `nats://***@host`, and
/// `http://host/?key=x` `http://host/?***`.
pub fn without_secrets(address: &str) -> String {
    // The last `@`: a password that was not %-encoded may hold one itself, and a `?` or a `#` too.
    let (start, rest) = match address.rsplit_once('@') {
        Some((before, rest)) => match before.split_once("://") {
            Some((scheme, _)) => (format!("{scheme}://***@"), rest),
            None => ("***@".to_owned(), rest),
        },
        None => (String::new(), address),
    };
    match rest.find(['?', '#']) {
        Some(end) if end + 1 < rest.len() => format!("{start}{}***", &rest[..=end]),
        _ => format!("{start}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_login_and_query() {
        for (address, shown) in [
            ("http://127.0.0.1:4317", "http://127.0.0.1:4317"),
            ("http://user:canary@host:4317/path", "http://***@host:4317/path"),
            ("http://user:can@ary@host", "http://***@host"),
            ("http://user:can?a#ry@host", "http://***@host"),
            ("canary@host:4222", "***@host:4222"),
            ("http://host/ui?key=canary", "http://host/ui?***"),
            ("http://canary@host/ui#canary", "http://***@host/ui#***"),
            ("http://host/?", "http://host/?"),
            ("nats://one:4222,nats://two:4222", "nats://one:4222,nats://two:4222"),
            ("nats://user:can,ary@one:4222", "nats://***@one:4222"),
            ("nats://user:canary@one:4222,nats://user:canary@two:4222", "nats://***@two:4222"),
        ] {
            assert_eq!(without_secrets(address), shown, "{address}");
        }
    }
}
