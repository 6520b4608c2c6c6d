//! A simulated NATS: what core NATS promises, and no more.
//!
//! A connection has a line to the server and a line from it, and both keep their order. Nothing is lost or doubled on a line
//! while the connection lasts; with the connection everything goes that is on its lines. Between connections there is no
//! order. The owner says when the next thing of a line arrives, so that it can delay, reorder between publishers, and part
//! the network. The server routes by subjects with wildcards, gives a message to one member of each queue group, and says
//! at once when nobody listens.

mod connection;
mod message;
mod permissions;
mod server;
mod subject;

pub use self::{
    connection::ConnectionId,
    message::{Delivery, Message, Operation, Refusal},
    permissions::Permissions,
    server::{Member, Server},
    subject::matches,
};
