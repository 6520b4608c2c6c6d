//! The simulated servers and the real ones give the same results for the same scripts, and
//! real cores on the simulated ones keep the promise.

mod nats;
mod postgres;
mod replay;
mod world;
