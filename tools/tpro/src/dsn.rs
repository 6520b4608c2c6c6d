//! An address of PostgreSQL: a URL or `key=value` pairs.
//!
//! An error names the parameter that is wrong and never a value. It names a parameter only where
//! the name cannot be a piece of a password.

use tokio_postgres::Config;

const FORM: &str = "must be postgresql://user:password@host:port/database, with %-codes for special characters in the password, or \
                    key=value pairs";
/// libpq's name for `read-write` since release 14.
const PRIMARY: (&str, &str) = ("target_session_attrs=primary", "target_session_attrs=read-write");

/// Reads an address. The error is a rule, to be printed behind the setting's name.
pub fn read(text: &str) -> Result<Config, String> {
    text.replace(PRIMARY.0, PRIMARY.1).parse().map_err(|_| {
        mistake(text).map_or_else(
            || FORM.to_owned(),
            |key| format!("has a parameter {key}, which is not known or has a bad value"),
        )
    })
}

/// The first parameter of a URL that cannot be read, if all else can.
fn mistake(text: &str) -> Option<&str> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return None;
    }
    let (base, query) = text.split_once('?')?;
    // A `?` in the password, which should have been written as a code.
    if query.contains('@') || base.parse::<Config>().is_err() {
        return None;
    }
    let bad = query
        .split('&')
        .find(|pair| format!("{base}?{pair}").replace(PRIMARY.0, PRIMARY.1).parse::<Config>().is_err())?;
    let key = bad.split('=').next()?;
    let word = !key.is_empty()
        && key.len() <= 40
        && key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    word.then_some(key)
}

/// A text with `***` in the place of a password that an address in it may hold.
pub fn without_passwords(text: &str) -> String {
    let masked = |line: &str| {
        // The login ends at the last `@`: a password may hold an `@`, a blank or a quote itself.
        let line = match (line.find("://"), line.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at && line[scheme + 3..at].contains(':') => {
                format!("{}***{}", &line[..scheme + 3], &line[at..])
            }
            _ => line.to_owned(),
        };
        match line.find("password=") {
            Some(start) => format!("{}password=***", &line[..start]),
            None => line,
        }
    };
    text.split('\n').map(masked).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_parameter_and_no_value() {
        for (text, word) in [
            ("postgresql://main:canary@db/tpro?schema=canary", "parameter schema"),
            (
                "postgresql://main:canary@db/tpro?sslmode=prefer&currentSchema=canary",
                "parameter currentSchema",
            ),
            ("postgresql://main:canary@db/tpro?sslcrl=/canary", "parameter sslcrl"),
            ("postgresql://main:a?canary=1@db:port/tpro", "must be postgresql://"),
            ("postgresql://main@db/tpro?canary-1=1", "must be postgresql://"),
            ("host=x password=a canary", "must be postgresql://"),
            ("canary", "must be postgresql://"),
        ] {
            let rule = read(text).expect_err(text);
            assert!(rule.contains(word) && !rule.contains("canary"), "{text}: {rule}");
        }
    }

    #[test]
    fn the_primary_may_be_asked_for_in_the_words_of_libpq() {
        for text in [
            "postgresql://main@one,two/tpro?target_session_attrs=primary",
            "host=one,two target_session_attrs=primary",
        ] {
            read(text).expect(text);
        }
    }

    #[test]
    fn a_password_in_a_message_is_not_shown() {
        for text in [
            "unexpected argument 'postgresql://main:canary@db/app' found",
            "unexpected argument 'postgresql://main:can@ary b@db/app' found\nUsage: tpro",
            "unexpected argument 'host=db password=canary' found",
        ] {
            let shown = without_passwords(text);
            assert!(!shown.contains("canary") && !shown.contains("ary") && shown.contains("***"), "{shown}");
        }
        for text in ["no database", "postgresql://ann@db:5432/app"] {
            assert_eq!(without_passwords(text), text);
        }
    }
}
