//! The users of the local nats-server: one for each service, and `admin`, who may do everything,
//! for people and the demo.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::{secret, services};

/// The user with all rights.
pub const ADMIN: &str = "admin";

/// The entry of a service's user, with places for what differs.
const TEMPLATE: &str = "docker/nats-user.conf";

/// The prefix of a service that sets none.
const REPLY_TO_PREFIX: &str = "$$.nats-pwl-reply.";

/// The password of a user. It is made at the first time.
pub fn password(checkout: &Checkout, user: &str) -> Outcome<String> {
    let folder = checkout.path(".local/nats/users");
    let making = || format!("making {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).context(making())?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).context(making())?;
    secret::kept(&folder.join(user))
}

/// The entries of all users, for the server's settings.
pub fn entries(checkout: &Checkout) -> Outcome<String> {
    let template = fs::read_to_string(checkout.path(TEMPLATE)).context(format!("reading {TEMPLATE}"))?;
    let mut entries = format!("  {{ user: {ADMIN}, password: \"{}\" }}\n", password(checkout, ADMIN)?);
    for name in services::all(checkout) {
        let prefix = reply_to_prefix(checkout, &name)?;
        let entry = entry(&template, &name, [&space(checkout, &name)?, &prefix, &targets(checkout, &name)?]);
        entries.push_str(&entry.replace("@PASSWORD@", &password(checkout, &name)?));
    }
    Ok(entries)
}

fn entry(template: &str, name: &str, [space, prefix, targets]: [&str; 3]) -> String {
    // A line that begins with a hash is a comment of the template.
    let lines = template.lines().filter(|line| !line.starts_with('#'));
    let filled = lines.map(|line| line.replace("@NAME@", name).replace("@SPACE@", space));
    let filled = filled.map(|line| line.replace("@REPLY_TO_PREFIX@", prefix));
    filled.map(|line| format!("  {}\n", line.replace("@TARGETS@", targets))).collect()
}

/// The first token of the subjects of a service.
fn space(checkout: &Checkout, name: &str) -> Outcome<String> {
    let space = services::env_file(checkout, name).get("TPRO_SPACE").unwrap_or_else(|| "tpro".to_owned());
    if space.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-') {
        return Ok(space);
    }
    fail(format!("services/{name}/.env: TPRO_SPACE={space} is no token"))
}

/// The prefix of the subjects of replies that a service publishes to labels.
fn reply_to_prefix(checkout: &Checkout, name: &str) -> Outcome<String> {
    let prefix = services::env_file(checkout, name).get("REPLY_TO_PREFIX").filter(|text| !text.is_empty());
    let prefix = prefix.unwrap_or_else(|| REPLY_TO_PREFIX.to_owned());
    // It goes into the server's configuration.
    if prefix.ends_with('.') && is_subject(&format!("{prefix}>")) && !prefix.contains('*') {
        return Ok(prefix);
    }
    fail(format!("services/{name}/.env: REPLY_TO_PREFIX={prefix} is no prefix, such as {REPLY_TO_PREFIX}"))
}

/// The subjects that a service may publish to, as a list of quoted subjects: the lines of its file
/// `targets`; without that file everything in its space.
fn targets(checkout: &Checkout, name: &str) -> Outcome<String> {
    let file = format!("services/{name}/targets");
    let path = checkout.path(&file);
    if !path.exists() {
        return Ok(format!("\"{}.>\"", space(checkout, name)?));
    }
    let text = fs::read_to_string(&path).context(format!("reading {file}"))?;
    let mut list = Vec::new();
    for line in text.lines() {
        let subject: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        // It goes into the server's configuration.
        if !subject.is_empty() && !is_subject(&subject) {
            return fail(format!("{file}: '{subject}' is no subject, such as tpro.co.>"));
        }
        list.extend((!subject.is_empty()).then(|| format!("\"{subject}\"")));
    }
    Ok(list.join(", "))
}

fn is_subject(text: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty() && token.bytes().all(|c| c.is_ascii_alphanumeric() || b"_$*-".contains(&c))
    };
    text.strip_suffix(".>").unwrap_or(text).split('.').all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_tokens_and_may_end_in_a_wildcard() {
        for subject in ["tpro.co.>", "$$.nats-pwl-reply.>", "a", "a.*.b"] {
            assert!(is_subject(subject), "{subject}");
        }
        for text in [">", "a..b", "a.>.b", "a b", "a\"b", "", ".>", "a,b"] {
            assert!(!is_subject(text), "{text}");
        }
    }

    #[test]
    fn an_entry_has_no_place_left_but_that_of_the_password() {
        let template = "# about\n{\n  user: \"@NAME@\"\n  # its\n  @TARGETS@ \"@SPACE@.@NAME@.>\" \"@REPLY_TO_PREFIX@>\" @PASSWORD@\n}\n";
        let entry = entry(template, "co", ["tpro", "a.", "\"tpro.main.>\""]);
        assert_eq!(
            entry,
            "  {\n    user: \"co\"\n    # its\n    \"tpro.main.>\" \"tpro.co.>\" \"a.>\" @PASSWORD@\n  }\n"
        );
    }
}
