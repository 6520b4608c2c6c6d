//! Containers by their names: whether one runs, and its end.

use std::process::Stdio;

use super::engine;
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};

/// The facts that are asked for, one a line.
const FACTS: &str =
    "{{.State.Status}}\n{{.RestartCount}}\n{{.Image}}\n{{index .Config.Labels \"tpro.checkout\"}}";

/// A container that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its state, such as running, restarting or exited.
    pub state: String,
    /// The number of times that the engine has started it again.
    pub restarts: u32,
    /// The id of its image.
    pub image: String,
    /// The checkout that made it; empty if none did.
    pub checkout: String,
}

impl Container {
    /// True if it runs.
    pub fn runs(&self) -> bool {
        self.state == "running"
    }

    /// True if the engine starts it again and again until it is stopped.
    pub fn is_restarting(&self) -> bool {
        self.state == "restarting"
    }
}

/// Looks for a container.
pub fn find(checkout: &Checkout, name: &str) -> Option<Container> {
    let facts = engine::try_ask(checkout, &["inspect", "--type", "container", "--format", FACTS, name])?;
    read(&facts)
}

fn read(facts: &str) -> Option<Container> {
    let mut lines = facts.lines();
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (state, restarts, image, checkout) = (next(), next(), next(), next());
    (!state.is_empty()).then(|| Container {
        state,
        restarts: restarts.parse().unwrap_or_default(),
        image,
        checkout: if checkout == "<no value>" { String::new() } else { checkout },
    })
}

/// True if the container runs.
pub fn runs(checkout: &Checkout, name: &str) -> bool {
    find(checkout, name).is_some_and(|container| container.runs())
}

/// Fails if a container of this name is another checkout's, or nobody's.
pub fn must_be_ours(checkout: &Checkout, name: &str) -> Outcome {
    let Some(found) = find(checkout, name) else { return Ok(()) };
    if found.checkout == checkout.root.display().to_string() {
        return Ok(());
    }
    let of = if found.checkout.is_empty() { "something else".to_owned() } else { found.checkout };
    Err(Failure::new(format!("the container {name} is there already and belongs to {of}"))
        .remedy(format!("docker rm -f {name}, or set PROJECT_NAME to a name of your own")))
}

/// Stops containers, all at once. Each has its own time; then the engine ends it.
pub fn stop(checkout: &Checkout, names: &[String]) -> Outcome {
    if names.is_empty() {
        return Ok(());
    }
    let mut stop = engine::docker(checkout, &["stop"]);
    stop.args(names).stdout(Stdio::null());
    engine::answer(stop).map(|_| ())
}

/// Removes a container that was stopped, with what only it has. It may not be there.
pub fn remove(checkout: &Checkout, name: &str) -> Outcome {
    if find(checkout, name).is_none() {
        return Ok(());
    }
    engine::ask(checkout, &["rm", "--force", "--volumes", name]).map(|_| ())
}

/// Tells the last output of a container that failed.
pub fn last_words(checkout: &Checkout, name: &str) {
    let mut logs = engine::docker(checkout, &["logs", "--tail", "15", name]);
    let Ok(output) = logs.output() else { return };
    checkout.screen.to_stderr(|| {
        checkout.screen.say(format!("--- the end of docker logs {name}"));
        for text in [output.stdout, output.stderr] {
            checkout.screen.say(String::from_utf8_lossy(&text).trim_end());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_container_are_read() {
        let found = read("running\n2\nsha256:ab\n/a place").expect("a container");
        assert!(found.runs() && found.restarts == 2 && found.checkout == "/a place", "{found:?}");
        assert_eq!(read("exited\n0\nsha256:ab\n<no value>").expect("a container").checkout, "");
        assert_eq!(read(""), None);
    }
}
