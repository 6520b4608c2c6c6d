//! The copies of a service in one of the two runtimes, as the commands on them see them.

use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::services;

/// The copies of one service, as processes or in containers. A copy is named by its number.
pub trait Copies {
    /// The checkout.
    fn checkout(&self) -> &Checkout;

    /// The service.
    fn service(&self) -> &str;

    /// True if a copy runs.
    fn runs(&self, number: u32) -> bool;

    /// The version that a copy was started as.
    fn version(&self, number: u32) -> String;

    /// True if a copy that runs is of an older build than the latest of its version.
    fn is_outdated(&self, number: u32) -> Outcome<bool>;

    /// The address of a copy that runs, and what it is, for people.
    fn whereabouts(&self, number: u32) -> String;

    /// Everything that the service needs is there and runs.
    fn need(&self) -> Outcome;

    /// Builds the service as this version.
    fn build(&self, version: &str) -> Outcome;

    /// Keeps the latest build as this version, from which copies are started.
    fn keep(&self, version: &str) -> Outcome;

    /// The versions that are kept, newest first.
    fn kept(&self) -> Outcome<Vec<String>>;

    /// Starts a copy of a kept version, and waits until it is ready.
    fn begin(&self, number: u32, version: &str) -> Outcome;

    /// Stops a copy gracefully.
    fn stop(&self, number: u32) -> Outcome;

    /// Forgets a copy that was stopped.
    fn forget(&self, number: u32) -> Outcome;

    /// Keeps the addresses of what runs.
    fn save(&self) -> Outcome;

    /// The copies of COPY_NUMBER, or all that are known, that run.
    fn running(&self) -> Outcome<Vec<u32>> {
        let mut copies = services::chosen_copies(self.checkout(), self.service())?;
        copies.retain(|number| self.runs(*number));
        Ok(copies)
    }
}
