//! The prefix of the subjects of replies that are published to labels.

use super::{problem::Problem, reader::Reader};

const KEY: &str = "REPLY_TO_PREFIX";
/// The monolith of an older system subscribes to its labels behind it.
const DEFAULT: &str = "$$.nats-pwl-reply.";
/// The most bytes of a prefix.
const MOST: usize = 100;
/// First tokens of subjects that are of the server, of its clients and of tpro.
const RESERVED: [&str; 10] = ["_INBOX", "_TPRO", "$SYS", "$JS", "$KV", "$O", "$SRV", "$JSC", "$MQTT", "$NRG"];

pub(super) fn read(reader: &mut Reader, space: &str) -> String {
    let prefix = reader.parsed(KEY, DEFAULT.to_owned(), prefix);
    if prefix.split('.').next() == Some(space) {
        let rule = format!("must not begin with TPRO_SPACE ({space}.), where services take requests");
        reader.problem(Problem::unset(KEY, rule));
    }
    prefix
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(allowed);
    let is_prefix = text.strip_suffix('.').is_some_and(|tokens| tokens.split('.').all(is_token));
    if !is_prefix || text.len() > MOST {
        return Err(format!(
            "must be tokens of letters, digits, _, - and $, each with a dot behind it, such as {DEFAULT}, {MOST} bytes at most"
        ));
    }
    match text.split('.').next().filter(|first| RESERVED.contains(first)) {
        Some(first) => Err(format!("must not begin with {first}, which is reserved")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_tokens_with_a_dot_behind_each_and_nothing_of_others() {
        for text in [DEFAULT, "replies.", "a.b-c.D_1."] {
            assert_eq!(prefix(text).as_deref(), Ok(text));
        }
        let long = format!("{}.", "a".repeat(MOST));
        for text in [
            "replies",
            ".",
            "a..",
            ".a.",
            "a.*.",
            "a.>.",
            "a b.",
            "a:b.",
            "a\tb.",
            "é.",
            "_INBOX.a.",
            "$SYS.",
            &long,
        ] {
            assert!(prefix(text).is_err(), "{text:?}");
        }
    }
}
