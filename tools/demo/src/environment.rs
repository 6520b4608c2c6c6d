//! The addresses of everything: the variables that `make env` prints.

use std::env;

/// The environment of the demo.
pub struct Environment {
    /// The database, as the user `main`.
    pub database_url: String,
    /// NATS servers, comma-separated; none: the wire is not watched.
    pub nats_url: Option<String>,
    /// The user and the password for it.
    pub nats_user: Option<(String, String)>,
    /// The token, where the server wants one.
    pub nats_token: Option<String>,
    /// NATS monitoring.
    pub nats_monitor_url: Option<String>,
    /// The trace viewer; none: traces are not looked at.
    pub jaeger_url: Option<String>,
    /// Names and addresses of the copies that run, such as `analytic` and `http://127.0.0.1:8082`.
    pub copies: Vec<(String, String)>,
}

impl Environment {
    /// Reads it. The error is a line for people.
    pub fn read() -> Result<Self, String> {
        let database_url = var("DATABASE_URL")
            .ok_or("DATABASE_URL is not set; `make demo` sets it, and so does: eval \"$(make env)\"")?;
        Ok(Self {
            database_url,
            nats_url: var("NATS_URL"),
            nats_user: var("NATS_USER").zip(var("NATS_PASSWORD")),
            nats_token: var("NATS_TOKEN"),
            nats_monitor_url: var("NATS_MONITOR_URL"),
            jaeger_url: var("JAEGER_URL").map(|url| url.trim_end_matches('/').to_owned()),
            copies: copies(),
        })
    }
}

fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// `ANALYTIC_2_URL` is the second copy of `analytic`; `ANALYTIC_URL` says the first one's address
/// again.
fn copies() -> Vec<(String, String)> {
    let mut copies: Vec<_> = env::vars().filter_map(|(name, url)| Some((copy(&name)?, url))).collect();
    copies.sort();
    copies
}

fn copy(variable: &str) -> Option<String> {
    let (service, copy) = variable.strip_suffix("_URL")?.rsplit_once('_')?;
    let number: u32 = copy.parse().ok()?;
    Some(format!("{}-{number}", service.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copys_variable_is_told_from_others() {
        assert_eq!(copy("ANALYTIC_2_URL").as_deref(), Some("analytic-2"));
        assert_eq!(copy("MY_SHOP_1_URL").as_deref(), Some("my_shop-1"));
        assert_eq!(copy("ANALYTIC_URL"), None);
        assert_eq!(copy("NATS_MONITOR_URL"), None);
    }
}
