//! Both servers, taken through the same steps.

use std::sync::Arc;

use tpro_simulation::{
    nats::{ConnectionId, Delivery, Member, Message, Operation, Permissions, Server},
    random::Random,
};
use tpro_testkit::{Nats, Outcome, eventually};

use super::raw::Raw;

/// Connections of a script.
const CONNECTIONS: usize = 5;
/// The largest message.
const MAX_PAYLOAD: usize = 1_000;
/// The user who may not do everything, and what he may not.
const LIMITED: &str = "limited";

/// A connection to both servers.
struct Both {
    simulated: ConnectionId,
    real: Raw,
    user: &'static str,
    /// The number of its next subscription.
    sid: u64,
}

/// Both servers in the same state.
pub struct Pair {
    nats: Nats,
    server: Server,
    connections: Vec<Both>,
    random: Random,
    log: Vec<String>,
}

impl Pair {
    /// Servers with a user who may do everything and one who may not.
    pub async fn new(seed: u64) -> Outcome<Self> {
        let permissions = "permissions: { publish: { allow: [\"a.>\", \"reply.>\"], deny: [\"a.no\"] }, \
             subscribe: { allow: [\"a.*\", \"reply.>\"], deny: [\"a.no\"] } }";
        let user = format!("{{ user: {LIMITED}, password: \"@PASSWORD@\", {permissions} }}");
        let options = Nats::options().line(&format!("max_payload: {MAX_PAYLOAD}")).user(&user);
        let mut server = Server::default();
        server.set_limits(MAX_PAYLOAD, 64 << 20);
        let mut pair = Self {
            nats: options.start().await?,
            server,
            connections: Vec::new(),
            random: Random::new(seed),
            log: vec![format!("seed {seed}")],
        };
        for at in 0..CONNECTIONS {
            let both = pair.open(if at == 0 { LIMITED } else { "admin" }).await?;
            pair.connections.push(both);
        }
        Ok(pair)
    }

    /// Does one thing on both, and compares what comes of it.
    pub async fn step(&mut self) -> Outcome {
        let at = self.random.below(CONNECTIONS as u64) as usize;
        if self.random.one_in(30) {
            return self.drop_and_open(at).await;
        }
        let operation = self.operation(at);
        self.log.push(format!("{at}: {operation:?}").replace("120, ", ""));
        self.connections[at].real.send(&operation).await?;
        let mut real = Vec::new();
        for (to, both) in self.connections.iter_mut().enumerate() {
            if to != at {
                continue;
            }
            real.push((to, both.real.until_pong().await?));
        }
        for (to, both) in self.connections.iter_mut().enumerate() {
            if to != at {
                both.real.send(&Operation::Ping).await?;
                real.push((to, both.real.until_pong().await?));
            }
        }
        let simulated = self.connections[at].simulated;
        self.server.send(simulated, operation);
        let connections = &self.connections;
        let has = |member: &Member| {
            real.iter().any(|(to, taken)| {
                let sid = |delivery: &Option<Delivery>| match delivery {
                    Some(Delivery::Message { sid, .. }) => *sid == member.1,
                    _ => false,
                };
                connections[*to].simulated == member.0 && taken.iter().any(sid)
            })
        };
        // The member of a group that the real server has chosen.
        self.server.carry(simulated, &mut |members| members.iter().position(has).unwrap_or(0));
        for (to, mut taken) in real {
            let id = self.connections[to].simulated;
            let mut wanted: Vec<_> = std::iter::from_fn(|| self.server.receive(id)).map(Some).collect();
            if self.server.is_over(id) {
                wanted.push(None);
            }
            taken.iter_mut().chain(&mut wanted).for_each(forget_listener);
            // A message for several subscriptions of a connection comes in no order.
            taken.sort();
            wanted.sort();
            assert!(taken == wanted, "{to} got {taken:?}, simulated {wanted:?}{}", self.story());
            if self.server.is_over(id) {
                self.drop_and_open(to).await?;
            }
        }
        Ok(())
    }

    async fn open(&mut self, user: &'static str) -> Outcome<Both> {
        let list = |subjects: &[&str]| subjects.iter().map(|subject| Arc::from(*subject)).collect();
        let permissions = match user {
            LIMITED => Permissions {
                publish: Some(list(&["a.>", "reply.>"])),
                publish_denied: list(&["a.no"]),
                subscribe: Some(list(&["a.*", "reply.>"])),
                subscribe_denied: list(&["a.no"]),
            },
            _ => Permissions::default(),
        };
        let mut real = Raw::connect(&self.nats, user).await?;
        real.send(&Operation::Ping).await?;
        assert_eq!(real.until_pong().await?, []);
        Ok(Both { simulated: self.server.connect(permissions), real, user, sid: 1 })
    }

    /// The connection is gone, and another takes its place.
    async fn drop_and_open(&mut self, at: usize) -> Outcome {
        self.log.push(format!("{at}: is dropped"));
        self.server.close(self.connections[at].simulated);
        let user = self.connections[at].user;
        let both = self.open(user).await?;
        drop(std::mem::replace(&mut self.connections[at], both));
        let nats = &self.nats;
        eventually("the server has noticed", async || {
            Ok(nats.monitor("/varz").await?["connections"] == CONNECTIONS)
        })
        .await
    }

    fn operation(&mut self, at: usize) -> Operation {
        let (random, both) = (&mut self.random, &mut self.connections[at]);
        let mut any = |of: &[&str]| Arc::<str>::from(*random.pick(of).unwrap_or(&"a"));
        let pattern = any(&["a.b", "a.*", "a.>", ">", "*.b", "a.b.c", "reply.*", "a.no", "reply.1"]);
        let subject = any(&["a.b", "a.b", "a.c", "a.b.c", "b", "reply.1", "a.no"]);
        let (queue, reply) = (any(&["q", "r"]), any(&["reply.1", "reply.2"]));
        match random.below(10) {
            0..3 => {
                both.sid += 1;
                let queue = random.one_in(2).then_some(queue);
                Operation::Subscribe { sid: both.sid - 1, subject: pattern, queue }
            }
            3 => Operation::Unsubscribe { sid: 1 + random.below(both.sid), after: None },
            4 => Operation::Unsubscribe { sid: 1 + random.below(both.sid), after: Some(1 + random.below(4)) },
            _ => {
                let headers = match random.one_in(3) {
                    true => vec![("Nats-Msg-Id".into(), format!("{}", random.below(100)).into())],
                    false => Vec::new(),
                };
                let size = if random.one_in(12) { MAX_PAYLOAD - 20 + random.below(40) as usize } else { 3 };
                Operation::Publish(Message {
                    subject,
                    reply: random.one_in(2).then_some(reply),
                    headers,
                    status: None,
                    payload: vec![b'x'; size].into(),
                })
            }
        }
    }

    fn story(&self) -> String {
        format!("\n{}", self.log.join("\n"))
    }
}

/// Of several subscriptions that listen for a reply, the real server picks any to say that nobody listens.
fn forget_listener(delivery: &mut Option<Delivery>) {
    if let Some(Delivery::Message { sid, message }) = delivery
        && message.status.is_some()
    {
        *sid = 0;
    }
}
