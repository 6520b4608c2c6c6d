//! The generator of a simulation: every choice comes from it, so that a seed replays to the letter.

pub use tpro_wire::random::Random;
