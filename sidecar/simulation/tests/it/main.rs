//! The simulated servers and the real ones give the same results for the same scripts.

mod nats;
mod postgres;
mod replay;
