//! The parameters of TLS in an address of PostgreSQL. The driver knows none but `sslmode`, and of
//! that not all values.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parameters of TLS in an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `sslmode`
    pub mode: Option<String>,
    /// `sslrootcert`
    pub root: Option<String>,
    /// `sslcert`
    pub certificate: Option<String>,
    /// `sslkey`
    pub key: Option<String>,
}

impl Parameters {
    /// Takes this parameter, if it is one of TLS. An empty value counts as not set.
    fn takes(&mut self, key: &str, value: impl FnOnce() -> String) -> bool {
        let place = match key {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.root,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            _ => return false,
        };
        *place = Some(value()).filter(|value| !value.is_empty());
        true
    }
}

/// Takes the parameters of TLS out of an address: a URL or `key=value` pairs. An address that
/// cannot be taken apart stays as it is.
pub fn take(address: &str) -> (Cow<'_, str>, Parameters) {
    let mut parameters = Parameters::default();
    let whole = (Cow::Borrowed(address), Parameters::default());
    let rest = if is_url(address) {
        let Some((base, query)) = address.split_once('?') else { return whole };
        // A `?` in the password, which should have been written as a code.
        if query.contains('@') {
            return whole;
        }
        let others = query.split('&').filter(|piece| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            !parameters.takes(key, || percent_decode_str(value).decode_utf8_lossy().into_owned())
        });
        let others = others.collect::<Vec<_>>().join("&");
        if others.is_empty() { base.to_owned() } else { format!("{base}?{others}") }
    } else {
        let Some(pairs) = pairs(address) else { return whole };
        let others = pairs.into_iter().filter(|(key, value)| !parameters.takes(key, || value.clone()));
        others.map(|(key, value)| pair(key, &value)).collect::<Vec<_>>().join(" ")
    };
    // An address without any of them is not written again.
    if parameters == Parameters::default() { whole } else { (Cow::Owned(rest), parameters) }
}

/// Puts parameters into an address that has none of TLS, as [`take`] leaves it.
pub fn put(address: &str, parameters: &Parameters) -> String {
    let Parameters { mode, root, certificate, key } = parameters;
    let all = [("sslmode", mode), ("sslrootcert", root), ("sslcert", certificate), ("sslkey", key)];
    let mut address = address.to_owned();
    for (key, value) in all.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        if is_url(&address) {
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str(&format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        } else {
            address.push(' ');
            address.push_str(&pair(key, value));
        }
    }
    address
}

fn is_url(address: &str) -> bool {
    address.starts_with("postgres://") || address.starts_with("postgresql://")
}

/// A pair with its value in quotes.
fn pair(key: &str, value: &str) -> String {
    format!("{key}='{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// `key=value` pairs as libpq has them. None for a text of another form.
pub fn pairs(text: &str) -> Option<Vec<(&str, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (value, behind) = match behind.strip_prefix('\'') {
            Some(quoted) => until(quoted, |c| c == '\'')
                .and_then(|(value, rest)| Some((value, rest.strip_prefix('\'')?)))?,
            None => until(behind, char::is_whitespace)?,
        };
        pairs.push((key.trim_end(), value));
        rest = behind.trim_start();
    }
    Some(pairs)
}

/// The text up to a letter that ends it, without the backslashes before others; and the rest, from
/// that letter on.
fn until(text: &str, ends: impl Fn(char) -> bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            letter if ends(letter) => return Some((value, &text[at..])),
            letter => value.push(letter),
        }
    }
    Some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_tls_are_taken_out_and_the_rest_stays() {
        for (address, rest, mode, root) in [
            ("postgresql://a:b@db/x", "postgresql://a:b@db/x", None, None),
            ("postgresql://a:b@db/x?sslmode=require", "postgresql://a:b@db/x", Some("require"), None),
            (
                "postgresql://a@db/x?connect_timeout=3&sslmode=verify-full&sslrootcert=%2Fetc%2Fa%20ca.pem&options=-c",
                "postgresql://a@db/x?connect_timeout=3&options=-c",
                Some("verify-full"),
                Some("/etc/a ca.pem"),
            ),
            ("postgresql://a:p?sslmode=x@db/x", "postgresql://a:p?sslmode=x@db/x", None, None),
            (
                "host=db password='a \\'b' sslmode = verify-ca sslrootcert='/a b'",
                "host='db' password='a \\'b'",
                Some("verify-ca"),
                Some("/a b"),
            ),
            ("host=db password=a\\ b", "host=db password=a\\ b", None, None),
            ("host=db sslmode='", "host=db sslmode='", None, None),
        ] {
            let (taken, parameters) = take(address);
            assert_eq!(taken, rest, "{address}");
            assert_eq!((parameters.mode.as_deref(), parameters.root.as_deref()), (mode, root), "{address}");
        }
    }

    #[test]
    fn what_is_put_into_an_address_is_taken_out_again() {
        for address in [
            "postgresql://a:p%3Fx@db/x?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fa%20b.pem",
            "postgres://a@db/x?sslkey=/k&sslcert=c%26d",
            "host=db password='a \\'b' sslmode=verify-ca sslrootcert='/a \\\\ \\'b'",
            "sslmode=require",
        ] {
            let (rest, parameters) = take(address);
            assert_ne!(parameters, Parameters::default(), "{address}");
            let put = put(&rest, &parameters);
            assert_eq!(take(&put), (rest, parameters), "{put}");
        }
    }
}
