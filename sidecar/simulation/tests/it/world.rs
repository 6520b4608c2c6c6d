//! Runs of real cores on the simulated servers.

mod planted;
mod seeds;
