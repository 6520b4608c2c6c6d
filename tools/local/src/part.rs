//! The parts of the local installation, as `make status` finds them: servers, and copies of
//! services.

use serde::Serialize;

use crate::http;
use crate::say::Screen;

/// All parts.
#[derive(Debug, Serialize)]
pub struct Parts {
    /// `native`, or `docker`.
    pub runtime: &'static str,
    /// The servers, and the copies of the bridge.
    pub servers: Vec<Part>,
    /// The services.
    pub services: Vec<Service>,
}

/// A service.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its copies that run or have run.
    pub copies: Vec<Part>,
}

/// A server or a copy. Another port of a server is a part, too.
#[derive(Debug, Default, Serialize)]
pub struct Part {
    /// The name of the server or of the service. Behind a dot: the use of another port.
    pub name: String,
    /// The number of the copy.
    pub copy: Option<u32>,
    /// None if it was never started.
    pub state: Option<String>,
    /// The process. None for a container, and for one that does not run.
    pub pid: Option<u32>,
    /// The port on this machine.
    pub port: Option<u16>,
    /// The address on this machine.
    pub url: Option<String>,
    /// The version that it tells.
    pub version: Option<String>,
    /// The container. None for a process.
    pub container: Option<String>,
    /// True if a copy that runs says that it is ready.
    pub ready: Option<bool>,
    /// The reasons for which it is not.
    pub reasons: Option<String>,
}

impl Part {
    /// The words for a person.
    pub fn label(&self) -> String {
        match (self.copy, self.name.split_once('.')) {
            (Some(number), _) => format!("{} {number}", self.name),
            (None, Some((_, port))) => format!("  {port}"),
            (None, None) => self.name.clone(),
        }
    }

    /// Asks the copy if it is ready.
    pub fn ask_if_ready(&mut self) {
        let Some(port) = self.port else { return };
        let answer = http::get(port, "/readyz");
        self.ready = Some(answer.status == 200);
        self.reasons = (answer.status != 200).then(|| answer.body.replace('\n', " "));
    }
}

/// A cell of a table.
pub fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl Parts {
    /// Prints a table with this head, and under each copy the reasons for which it is not ready.
    pub fn print(&self, screen: &Screen, head: &str, row: impl Fn(&Part) -> String) {
        screen.say(format!("{}{head}{}", screen.bold, screen.plain));
        self.servers.iter().for_each(|server| screen.say(row(server)));
        for service in &self.services {
            if service.copies.is_empty() {
                screen.say(row(&Part { name: service.name.clone(), ..Part::default() }));
            }
            for copy in &service.copies {
                screen.say(row(copy));
                if let (Some(reasons), Some(number)) = (&copy.reasons, copy.copy) {
                    screen.note(format!("  {}-{number} is not ready: {reasons}", copy.name));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_the_copy_or_the_use_of_another_port() {
        let label = |name: &str, copy| Part { name: name.to_owned(), copy, ..Part::default() }.label();
        assert_eq!(label("nats", None), "nats");
        assert_eq!(label("nats.monitoring", None), "  monitoring");
        assert_eq!(label("co", Some(2)), "co 2");
    }
}
