//! The bridge between two real nats-servers: real services of tpro on the one, the stand-in of the
//! Go program on the other.

mod bridged;
mod change_over;
mod copies;
mod flipped;
mod holding;
mod labels;
mod load;
mod repeats;
mod settings;
mod way_back;
mod ways;
