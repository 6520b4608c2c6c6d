//! A connection: two lines that keep their order, and the subscriptions that the server holds for it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    message::{Delivery, Operation},
    permissions::Permissions,
};

/// The number of a connection. It is not given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub subject: Arc<str>,
    pub queue: Option<Arc<str>>,
    /// Messages that it has got.
    pub got: u64,
    /// It ends with this many.
    pub most: Option<u64>,
}

/// A connection, as both of its ends see it.
#[derive(Clone, Debug)]
pub struct Connection {
    pub permissions: Permissions,
    /// What the client has sent and the server has not taken.
    pub to_server: VecDeque<Operation>,
    /// What the server has sent and the client has not taken.
    pub to_client: VecDeque<Delivery>,
    /// Bytes of messages on the line to the client.
    pub pending: usize,
    pub subscriptions: BTreeMap<u64, Subscription>,
    /// The server has closed it. The client still gets what is on its line.
    pub closed: bool,
    /// The client's end is gone, and the server has not noticed.
    pub abandoned: bool,
    /// Nothing gets through for now.
    pub cut: bool,
}

impl Connection {
    pub fn new(permissions: Permissions) -> Self {
        Self {
            permissions,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            pending: 0,
            subscriptions: BTreeMap::new(),
            closed: false,
            abandoned: false,
            cut: false,
        }
    }

    /// Puts something on the line to the client.
    pub fn push(&mut self, delivery: Delivery) {
        self.pending += size(&delivery);
        self.to_client.push_back(delivery);
    }

    /// The client takes the next thing.
    pub fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.to_client.pop_front()?;
        self.pending -= size(&delivery);
        Some(delivery)
    }

    /// The server has no more to do with it.
    pub fn close(&mut self) {
        self.closed = true;
        self.to_server.clear();
        self.subscriptions.clear();
    }
}

fn size(delivery: &Delivery) -> usize {
    match delivery {
        Delivery::Message { message, .. } => message.size(),
        _ => 0,
    }
}
