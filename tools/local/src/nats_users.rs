//! The users of the local nats-server: one for each service, and `admin`, who may do everything,
//! for people and the demo.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use tpro_servers::nats::{self, REPLY_TO_PREFIX, Subjects};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::{secret, services};

pub use tpro_servers::nats::ADMIN;

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
    let mut entries = format!("  {{ user: {ADMIN}, password: \"{}\" }}\n", password(checkout, ADMIN)?);
    for name in services::all(checkout) {
        let (space, targets) = (space(checkout, &name)?, targets(checkout, &name)?);
        let reply_to_prefix = &reply_to_prefix(checkout, &name)?;
        let subjects = Subjects { space: &space, reply_to_prefix, targets: &targets };
        let entry = nats::user(&checkout.root, &name, &subjects)?;
        entries.push_str(&entry.replace("@PASSWORD@", &password(checkout, &name)?));
    }
    Ok(entries)
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
    let file = format!("{}/targets", services::folder(checkout, name).display());
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
}
