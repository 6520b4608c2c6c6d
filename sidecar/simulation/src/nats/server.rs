//! The server: takes what comes on its lines, and routes messages.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    connection::{Connection, ConnectionId, Subscription},
    message::{Delivery, Message, Operation, Refusal},
    permissions::Permissions,
    subject::matches,
};

/// nats-server's default.
const MAX_PAYLOAD: usize = 1 << 20;
/// nats-server's default.
const MAX_PENDING: usize = 64 << 20;

/// A member of a queue group: its connection, and its subscription there.
pub type Member = (ConnectionId, u64);

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    connections: BTreeMap<ConnectionId, Connection>,
    next: u32,
    max_payload: usize,
    max_pending: usize,
    /// Messages to subjects that begin so are kept.
    watched: Option<Arc<str>>,
    kept: Vec<Message>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            connections: BTreeMap::new(),
            next: 1,
            max_payload: MAX_PAYLOAD,
            max_pending: MAX_PENDING,
            watched: None,
            kept: Vec::new(),
        }
    }
}

impl Server {
    /// Opens a connection.
    pub fn connect(&mut self, permissions: Permissions) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        self.connections.insert(id, Connection::new(permissions));
        id
    }

    /// A server that keeps what it takes for subjects that begin so, if anybody subscribes to them
    /// or not.
    pub fn watching(prefix: &str) -> Self {
        Self { watched: Some(prefix.into()), ..Self::default() }
    }

    /// The messages that were kept.
    pub fn kept(&self) -> &[Message] {
        &self.kept
    }

    /// True as long as the client has the connection.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| !connection.abandoned)
    }

    /// Changes the limits: `max_payload`, of which every client is told, and the bytes on a line at which a client is too slow.
    pub fn set_limits(&mut self, max_payload: usize, max_pending: usize) {
        (self.max_payload, self.max_pending) = (max_payload, max_pending);
        for connection in self.connections.values_mut().filter(|connection| !connection.closed) {
            connection.push(Delivery::Info { max_payload });
        }
    }

    /// Changes what the user of a connection may do from now on. Subscriptions that he may not have any more end.
    pub fn set_permissions(&mut self, id: ConnectionId, permissions: Permissions) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let lost = |subscription: &mut Subscription| !permissions.may_subscribe(&subscription.subject);
        let lost: Vec<_> =
            connection.subscriptions.extract_if(.., |_, subscription| lost(subscription)).collect();
        for (_, subscription) in lost {
            connection.push(Delivery::Refused(Refusal::Subscribe(subscription.subject)));
        }
        connection.permissions = permissions;
    }

    /// The client sends something. It is on the line until [`Server::carry`] takes it; false if the connection is gone.
    pub fn send(&mut self, id: ConnectionId, operation: Operation) -> bool {
        let connection = self.connections.get_mut(&id).filter(|connection| !connection.abandoned);
        // What is sent into a connection that the server has closed is lost.
        connection.map(|open| (!open.closed).then(|| open.to_server.push_back(operation))).is_some()
    }

    /// Things on the lines of a connection: to the server, and to the client.
    pub fn on_the_lines(&self, id: ConnectionId) -> (usize, usize) {
        self.connections
            .get(&id)
            .map_or((0, 0), |connection| (connection.to_server.len(), connection.to_client.len()))
    }

    /// The next thing arrives at the server. `choose` picks the member of a queue group that gets a message. False if
    /// nothing is on the line, or nothing gets through.
    pub fn carry(&mut self, id: ConnectionId, choose: &mut dyn FnMut(&[Member]) -> usize) -> bool {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| !connection.cut) else {
            return false;
        };
        let Some(operation) = connection.to_server.pop_front() else { return false };
        match operation {
            Operation::Ping => connection.push(Delivery::Pong),
            Operation::Subscribe { sid, subject, queue } => {
                if connection.permissions.may_subscribe(&subject) {
                    let subscription = Subscription { subject, queue, got: 0, most: None };
                    // A sid that is in use stays what it is.
                    connection.subscriptions.entry(sid).or_insert(subscription);
                } else {
                    connection.push(Delivery::Refused(Refusal::Subscribe(subject)));
                }
            }
            Operation::Unsubscribe { sid, after } => {
                let done = |subscription: &mut Subscription| match after {
                    Some(most) if subscription.got < most => {
                        subscription.most = Some(most);
                        false
                    }
                    _ => true,
                };
                if connection.subscriptions.get_mut(&sid).is_some_and(done) {
                    connection.subscriptions.remove(&sid);
                }
            }
            Operation::Publish(message) => self.publish(id, message, choose),
        }
        true
    }

    /// The next thing arrives at the client; none if nothing is on the line, or nothing gets through.
    pub fn receive(&mut self, id: ConnectionId) -> Option<Delivery> {
        self.connections.get_mut(&id).filter(|open| !open.cut && !open.abandoned)?.pop()
    }

    /// True if the server has closed the connection and the client has taken everything: the client learns of it.
    pub fn is_over(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id)
            .is_none_or(|connection| connection.closed && connection.to_client.is_empty() && !connection.cut)
    }

    /// Nothing gets through in either direction, until it does again. Nothing is lost by it.
    pub fn cut(&mut self, id: ConnectionId, cut: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.cut = cut;
        }
    }

    /// The client's end is gone, with what was on both lines. The server does not notice, and goes on sending into it.
    pub fn abandon(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.abandoned = true;
            connection.to_server.clear();
        }
    }

    /// The connection is gone for both, with what was on its lines.
    pub fn close(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Stops and starts again: every connection is gone.
    pub fn restart(&mut self) {
        self.connections.clear();
    }

    fn publish(&mut self, from: ConnectionId, message: Message, choose: &mut dyn FnMut(&[Member]) -> usize) {
        let Some(connection) = self.connections.get_mut(&from) else { return };
        if message.size() > self.max_payload {
            connection.push(Delivery::Refused(Refusal::MaxPayload));
            return connection.close();
        }
        if !connection.permissions.may_publish(&message.subject) {
            return connection.push(Delivery::Refused(Refusal::Publish(message.subject)));
        }
        if self.watched.as_ref().is_some_and(|prefix| message.subject.starts_with(&**prefix)) {
            self.kept.push(message.clone());
        }
        let targets = self.targets(&message.subject, choose);
        if targets.is_empty() {
            return self.say_that_nobody_listens(from, message);
        }
        for target in targets {
            self.deliver(target, message.clone());
        }
    }

    /// The subscriptions that get a message of this subject.
    fn targets(&self, subject: &str, choose: &mut dyn FnMut(&[Member]) -> usize) -> Vec<Member> {
        let mut targets = Vec::new();
        let mut groups: BTreeMap<&Arc<str>, Vec<Member>> = BTreeMap::new();
        let gets = |connection: &Connection| !connection.closed && connection.permissions.may_get(subject);
        for (id, connection) in self.connections.iter().filter(|(_, connection)| gets(connection)) {
            for (sid, subscription) in &connection.subscriptions {
                if matches(&subscription.subject, subject) {
                    match &subscription.queue {
                        Some(queue) => groups.entry(queue).or_default().push((*id, *sid)),
                        None => targets.push((*id, *sid)),
                    }
                }
            }
        }
        for members in groups.values() {
            targets.push(members[choose(members) % members.len()]);
        }
        targets
    }

    fn deliver(&mut self, (id, sid): Member, message: Message) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Some(subscription) = connection.subscriptions.get_mut(&sid) {
            subscription.got += 1;
            if subscription.most.is_some_and(|most| subscription.got >= most) {
                connection.subscriptions.remove(&sid);
            }
        }
        connection.push(Delivery::Message { sid, message });
        if connection.pending > self.max_pending {
            // Too slow: it is cut off, and what is on its line is lost.
            (connection.to_client, connection.pending) = Default::default();
            connection.close();
        }
    }

    /// Nobody listens to the subject of a request: its sender is told, if he listens for the reply.
    fn say_that_nobody_listens(&mut self, from: ConnectionId, request: Message) {
        let Some(reply) = request.reply else { return };
        let Some(connection) = self.connections.get_mut(&from) else { return };
        let listens = connection
            .subscriptions
            .iter()
            // As nats-server has it: not by a queue group.
            .find(|(_, listening)| listening.queue.is_none() && matches(&listening.subject, &reply));
        // It does not count among the messages that the subscription is to get.
        if let Some(sid) = listens.map(|(sid, _)| *sid) {
            let message = Message { subject: reply, status: Some(503), ..Message::default() };
            connection.push(Delivery::Message { sid, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str, reply: Option<&str>, size: usize) -> Message {
        let payload = vec![0; size].into();
        Message { subject: subject.into(), reply: reply.map(Arc::from), payload, ..Message::default() }
    }

    fn subscribe(sid: u64, subject: &str, queue: Option<&str>) -> Operation {
        Operation::Subscribe { sid, subject: subject.into(), queue: queue.map(Arc::from) }
    }

    impl Server {
        /// Sends, and has it arrive.
        fn now(&mut self, id: ConnectionId, operation: Operation) {
            assert!(self.send(id, operation));
            self.carry(id, &mut |_| 0);
        }

        fn taken(&mut self, id: ConnectionId) -> Vec<Delivery> {
            std::iter::from_fn(|| self.receive(id)).collect()
        }

        fn sids(&mut self, id: ConnectionId) -> Vec<u64> {
            let sid = |delivery| match delivery {
                Delivery::Message { sid, .. } => sid,
                other => panic!("{other:?}"),
            };
            self.taken(id).into_iter().map(sid).collect()
        }
    }

    #[test]
    fn each_subscription_gets_a_message_and_one_member_of_each_group() {
        let mut server = Server::default();
        let (one, two) = (server.connect(Permissions::default()), server.connect(Permissions::default()));
        server.now(one, subscribe(1, "a.*", None));
        server.now(one, subscribe(2, "a.>", None));
        server.now(one, subscribe(3, "a.b", Some("q")));
        server.now(two, subscribe(4, "a.>", Some("q")));
        server.now(two, subscribe(5, "a.b", Some("r")));
        assert!(server.send(two, Operation::Publish(message("a.b", None, 1))));
        let mut groups = Vec::new();
        server.carry(two, &mut |members| {
            groups.push(members.to_vec());
            members.len() - 1
        });
        assert_eq!(groups, [vec![(one, 3), (two, 4)], vec![(two, 5)]]);
        assert_eq!((server.sids(one), server.sids(two)), (vec![1, 2], vec![4, 5]));
    }

    #[test]
    fn a_line_keeps_its_order_and_loses_nothing_while_it_is_cut() {
        let mut server = Server::default();
        let (from, to) = (server.connect(Permissions::default()), server.connect(Permissions::default()));
        server.now(to, subscribe(1, ">", None));
        server.cut(to, true);
        (0..5).for_each(|size| server.now(from, Operation::Publish(message("a", None, size))));
        assert_eq!((server.receive(to), server.on_the_lines(to)), (None, (0, 5)));
        server.cut(to, false);
        let sizes: Vec<usize> = server
            .taken(to)
            .into_iter()
            .map(|delivery| match delivery {
                Delivery::Message { message, .. } => message.payload.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn with_its_connection_a_message_is_lost_and_until_the_server_notices_more_of_them() {
        let mut server = Server::default();
        let (from, to) = (server.connect(Permissions::default()), server.connect(Permissions::default()));
        server.now(from, subscribe(9, "reply", None));
        server.now(to, subscribe(1, "a", Some("q")));
        server.abandon(to);
        server.now(from, Operation::Publish(message("a", Some("reply"), 1)));
        assert_eq!(server.taken(from), [], "the server believes that somebody listens");
        assert!(!server.send(to, Operation::Ping) && server.receive(to).is_none());
        server.close(to);
        server.now(from, Operation::Publish(message("a", Some("reply"), 1)));
        let said = Message { subject: "reply".into(), status: Some(503), ..Message::default() };
        assert_eq!(server.taken(from), [Delivery::Message { sid: 9, message: said }]);
    }

    #[test]
    fn a_message_beyond_the_limit_ends_its_connection() {
        let mut server = Server::default();
        server.set_limits(10, MAX_PENDING);
        let from = server.connect(Permissions::default());
        server.now(from, Operation::Publish(message("a", None, 10)));
        assert_eq!(server.taken(from), []);
        server.now(from, Operation::Publish(message("a", None, 11)));
        assert!(server.is_open(from) && !server.is_over(from), "it has not heard of it yet");
        assert_eq!(server.taken(from), [Delivery::Refused(Refusal::MaxPayload)]);
        assert!(server.is_over(from));
    }

    #[test]
    fn who_reads_too_slowly_is_cut_off() {
        let mut server = Server::default();
        server.set_limits(MAX_PAYLOAD, 100);
        let (from, to) = (server.connect(Permissions::default()), server.connect(Permissions::default()));
        server.now(to, subscribe(1, "a", None));
        (0..2).for_each(|_| server.now(from, Operation::Publish(message("a", None, 50))));
        assert_eq!(server.sids(to), [1, 1]);
        (0..3).for_each(|_| server.now(from, Operation::Publish(message("a", None, 50))));
        assert!(server.is_over(to), "and what was on its line is lost");
    }

    #[test]
    fn a_refused_subject_is_named_and_the_connection_stays() {
        let mut server = Server::default();
        let only = |subject: &str| Some(vec![Arc::from(subject)]);
        let permissions = Permissions { publish: only("a"), subscribe: only("b"), ..Permissions::default() };
        let one = server.connect(permissions.clone());
        server.now(one, Operation::Publish(message("b", None, 1)));
        server.now(one, subscribe(1, "a", None));
        server.now(one, subscribe(2, "b", None));
        let refused = [Refusal::Publish("b".into()), Refusal::Subscribe("a".into())];
        assert_eq!(server.taken(one), refused.map(Delivery::Refused));
        server.set_permissions(one, Permissions { subscribe: only("c"), ..permissions });
        assert_eq!(server.taken(one), [Delivery::Refused(Refusal::Subscribe("b".into()))]);
    }

    #[test]
    fn a_subscription_ends_at_once_or_after_so_many_messages() {
        let mut server = Server::default();
        let one = server.connect(Permissions::default());
        server.now(one, subscribe(1, "a", None));
        server.now(one, Operation::Publish(message("a", None, 1)));
        server.now(one, Operation::Unsubscribe { sid: 1, after: Some(2) });
        (0..3).for_each(|_| server.now(one, Operation::Publish(message("a", None, 1))));
        assert_eq!(server.sids(one), [1, 1]);
        server.now(one, subscribe(1, "a", None));
        server.now(one, Operation::Unsubscribe { sid: 1, after: None });
        server.now(one, Operation::Publish(message("a", None, 1)));
        assert_eq!(server.sids(one), [0; 0]);
    }
}
