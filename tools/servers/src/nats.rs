//! The users of a nats-server: one for each service, and `admin`, who may do everything.

use std::fs;
use std::path::Path;

use crate::failure::{Context as _, Outcome};

/// The user with all rights.
pub const ADMIN: &str = "admin";

/// The entry of a service's user, with places for what differs.
const TEMPLATE: &str = "docker/nats-user.conf";

/// The prefix of the subjects of replies to labels, for a service that sets none.
pub const REPLY_TO_PREFIX: &str = "$$.nats-pwl-reply.";

/// The subjects of a service.
#[derive(Clone, Debug)]
pub struct Subjects<'a> {
    /// The first token of its subjects.
    pub space: &'a str,
    /// The prefix of its replies to labels.
    pub reply_to_prefix: &'a str,
    /// The subjects that it may ask, quoted.
    pub targets: &'a str,
}

/// The entry of a service's user for the server's configuration, by the template of a checkout. The
/// place of the password is left: `@PASSWORD@`.
pub fn user(checkout: &Path, name: &str, subjects: &Subjects<'_>) -> Outcome<String> {
    let template = fs::read_to_string(checkout.join(TEMPLATE)).context(format!("reading {TEMPLATE}"))?;
    Ok(filled_in(&template, name, subjects))
}

fn filled_in(template: &str, name: &str, subjects: &Subjects<'_>) -> String {
    // A line that begins with a hash is a comment of the template.
    let lines = template.lines().filter(|line| !line.starts_with('#'));
    let filled = lines.map(|line| line.replace("@NAME@", name).replace("@SPACE@", subjects.space));
    let filled = filled.map(|line| line.replace("@REPLY_TO_PREFIX@", subjects.reply_to_prefix));
    filled.map(|line| format!("  {}\n", line.replace("@TARGETS@", subjects.targets))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_no_place_left_but_that_of_the_password() {
        let template = "# about\n{\n  user: \"@NAME@\"\n  # its\n  @TARGETS@ \"@SPACE@.@NAME@.>\" \"@REPLY_TO_PREFIX@>\" @PASSWORD@\n}\n";
        let subjects = Subjects { space: "tpro", reply_to_prefix: "a.", targets: "\"tpro.main.>\"" };
        assert_eq!(
            filled_in(template, "co", &subjects),
            "  {\n    user: \"co\"\n    # its\n    \"tpro.main.>\" \"tpro.co.>\" \"a.>\" @PASSWORD@\n  }\n"
        );
    }
}
