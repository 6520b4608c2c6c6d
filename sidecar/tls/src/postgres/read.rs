//! The settings, read from an address and from variables.

use std::sync::Arc;

use super::{connect::Tls, mode::Mode};
use crate::{
    file::{Named, shown},
    names::Names,
    parameters::Parameters,
    problem::Problem,
    settings::{Own, Root, Settings, Trust},
};

/// The names of the settings.
const NAMES: Names =
    Names { root: "PGSSLROOTCERT", certificate: "PGSSLCERT", key: "PGSSLKEY", address: "DATABASE_URL" };

/// A setting with its value.
type Set = Option<(&'static str, String)>;

/// Reads the settings: the parameters of the address first, then the variables. Reads the files,
/// too.
pub fn read(
    parameters: Parameters,
    mut variable: impl FnMut(&'static str) -> Option<String>,
) -> Result<Tls, Problem> {
    let mut either = |parameter: Option<String>, name: &'static str, key: &'static str| -> Set {
        // Each variable is read, also where the address has the parameter: its line is printed.
        let variable = variable(key);
        parameter.map(|value| (name, value)).or(variable.map(|value| (key, value)))
    };
    let mode = either(parameters.mode, "sslmode", "PGSSLMODE");
    let root = either(parameters.root, "sslrootcert", NAMES.root);
    let certificate = either(parameters.certificate, "sslcert", NAMES.certificate);
    let key = either(parameters.key, "sslkey", NAMES.key);
    let problem = |(setting, value): (&'static str, String), rule: &str| Problem {
        setting,
        value: shown(&value).to_owned(),
        rule: rule.to_owned(),
    };
    let system = root.as_ref().is_some_and(|(_, path)| path == "system");
    let place = mode.as_ref().map_or("PGSSLMODE", |(setting, _)| *setting);
    let mode = match mode {
        Some((setting, value)) => match Mode::of(&value) {
            Some(mode) if system && !matches!(mode, Mode::VerifyFull | Mode::Disable) => {
                let rule = "is too weak for sslrootcert=system: anybody gets a certificate of a public CA; use verify-full";
                return Err(problem((setting, value), rule));
            }
            Some(mode) => mode,
            None => {
                let rule = "must be disable, prefer, require, verify-ca or verify-full";
                return Err(problem((setting, value), rule));
            }
        },
        None if system => Mode::VerifyFull,
        None => match [&root, &certificate, &key].into_iter().flatten().next() {
            Some(file) => {
                let rule = "means nothing without TLS; set sslmode=verify-full (PGSSLMODE), or disable";
                return Err(problem(file.clone(), rule));
            }
            None => Mode::Disable,
        },
    };
    let named = |(setting, path): (&'static str, String)| Named { setting, path: path.into() };
    let root = root.map(|root| if system { Root::System } else { Root::File(named(root)) });
    let trust = match (mode, root) {
        (Mode::Disable, _) | (Mode::Prefer | Mode::Require, None) => Trust::Anybody,
        (Mode::VerifyFull, Some(root)) => Trust::Full(root),
        (_, Some(root)) => Trust::Issuer(root),
        (Mode::VerifyCa | Mode::VerifyFull, None) => {
            let value = if mode == Mode::VerifyCa { "verify-ca" } else { "verify-full" };
            let rule = "needs sslrootcert (PGSSLROOTCERT): the file of the server's CA, or system for the CAs of this host";
            return Err(problem((place, value.to_owned()), rule));
        }
    };
    let own = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Own { certificate: named(certificate), key: named(key) }),
        (Some(certificate), None) => {
            return Err(problem(certificate, "needs the key of the certificate: sslkey (PGSSLKEY)"));
        }
        (None, Some(key)) => {
            return Err(problem(key, "needs the certificate of the key: sslcert (PGSSLCERT)"));
        }
    };
    let settings = Settings { names: &NAMES, trust, own };
    if mode != Mode::Disable {
        settings.check()?;
    }
    Ok(Tls::new(mode, Arc::new(settings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(address: &str, variables: &[(&str, &str)]) -> Result<Tls, String> {
        let (_, parameters) = crate::parameters::take(address);
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        read(parameters, variable).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_mode_is_read_from_the_address_and_then_from_the_variable() {
        for (address, variable, mode) in [
            ("host=db", None, Mode::Disable),
            ("host=db", Some("prefer"), Mode::Prefer),
            ("host=db", Some("allow"), Mode::Prefer),
            ("host=db sslmode=require", Some("disable"), Mode::Require),
            ("postgresql://db/x?sslmode=disable", Some("require"), Mode::Disable),
        ] {
            let variables: Vec<_> = variable.map(|value| ("PGSSLMODE", value)).into_iter().collect();
            assert_eq!(with(address, &variables).unwrap().mode(), mode, "{address}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_with_the_setting() {
        for (address, variables, words) in [
            ("host=db sslmode=on", &[][..], "sslmode=on: must be disable"),
            ("host=db", &[("PGSSLMODE", "full")][..], "PGSSLMODE=full: must be"),
            ("host=db sslmode=verify-full", &[], "sslmode=verify-full: needs sslrootcert (PGSSLROOTCERT)"),
            ("host=db", &[("PGSSLMODE", "verify-ca")], "PGSSLMODE=verify-ca: needs sslrootcert"),
            ("host=db", &[("PGSSLROOTCERT", "/ca")], "PGSSLROOTCERT=/ca: means nothing without TLS"),
            ("host=db sslcert=/c sslkey=/k", &[], "sslcert=/c: means nothing without TLS"),
            ("host=db sslmode=require sslcert=/c", &[], "sslcert=/c: needs the key"),
            ("host=db sslmode=require", &[("PGSSLKEY", "/k")], "PGSSLKEY=/k: needs the certificate"),
            ("host=db sslmode=require sslrootcert=system", &[], "sslmode=require: is too weak"),
            (
                "host=db sslmode=verify-full sslrootcert=/none/ca",
                &[],
                "sslrootcert=/none/ca: there is no file of this name",
            ),
            ("host=db sslmode=verify-full sslrootcert=/", &[], "sslrootcert=/: the file cannot be read"),
        ] {
            let problem = with(address, variables).err().unwrap_or_else(|| panic!("{address} is taken"));
            assert!(problem.contains(words) && !problem.contains('\n'), "{problem}");
        }
        // The user has said that there is no TLS.
        assert!(with("host=db sslmode=disable sslrootcert=/none", &[]).is_ok());
    }
}
