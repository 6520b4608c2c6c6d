//! The messages: rows of every kind, each with a mark of its own in its headers, by which the
//! ledger knows it again.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::random::Random;

/// The columns of a row as [`Ask::values`] and [`Ask::copy_line`] give them.
pub const COLUMNS: &str = "protocol, service_name, entity, method_name, timeout, headers, body, priority, \
                           ordering_key";

/// The marks of all that is published, in the order of their publishing sessions.
pub type Mark = u64;

/// Marks of a session, far more than it can use.
pub const SESSION: Mark = 1 << 20;

/// A row to be published.
#[derive(Clone, Debug)]
pub struct Ask {
    protocol: &'static str,
    service: &'static str,
    entity: &'static str,
    method: &'static str,
    timeout: u64,
    mark: Mark,
    body: Value,
}

/// Kinds of messages and how often each comes.
const KINDS: [(u64, Kind); 16] = [
    (14, Kind::Echo("stateless", "echo")),
    (12, Kind::Echo("default", "echo")),
    (6, Kind::Effect("stateless", "effect")),
    (10, Kind::Effect("default", "effect")),
    (6, Kind::Effect("default", "tx")),
    (18, Kind::Effect("transactional", "effect")),
    (4, Kind::Failing),
    (4, Kind::Effect("transactional", "publish")),
    (4, Kind::Call("rogue.stateless.echo")),
    (3, Kind::Call("main.company.winners")),
    (4, Kind::Effect("default", "call_and_hold")),
    (1, Kind::Login),
    (4, Kind::Transit),
    (4, Kind::Outside),
    (3, Kind::Dead),
    (3, Kind::Event),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The answer is the body.
    Echo(&'static str, &'static str),
    /// A row in the table of effects.
    Effect(&'static str, &'static str),
    /// A row in the table of effects, and then the handler fails: the effect goes with it.
    Failing,
    /// The handler asks somebody else, twice at once.
    Call(&'static str),
    /// `analytic` looks a person up.
    Login,
    /// `analytic` asks `co`.
    Transit,
    /// A NATS service that knows nothing of tpro, by protocol `json`.
    Outside,
    /// Nobody runs it.
    Dead,
    /// No answer is awaited.
    Event,
}

/// A way that a body goes through a copy: entity and method of `rogue`, and true if a call hands
/// the body on.
pub type Way = (&'static str, &'static str, bool);

/// Bytes of the largest body, and of one that is handed on by two calls, whose answers are one
/// answer together.
const LARGEST: (usize, usize) = (800_000, 400_000);
/// Seconds in which a large row is surely answered, however many come at once.
const PATIENCE: u64 = 60;

impl Ask {
    /// All ways of large bodies.
    pub const WAYS: [Way; 8] = [
        ("stateless", "echo", false),
        ("default", "echo", false),
        ("transactional", "raw", false),
        ("stateless", "effect", false),
        ("default", "effect", false),
        ("default", "tx", false),
        ("transactional", "effect", false),
        ("default", "call", true),
    ];

    /// The largest that goes a way.
    pub fn large((entity, method, handed_on): Way, mark: Mark) -> Self {
        let body = if handed_on {
            json!({"target": "rogue.stateless.echo", "body": {"padding": "x".repeat(LARGEST.1)}})
        } else {
            json!({"mark": mark, "padding": "x".repeat(LARGEST.0)})
        };
        Self { protocol: "jsonrpc", service: "rogue", entity, method, timeout: PATIENCE, mark, body }
    }

    /// The next one.
    pub fn any(random: &mut Random, mark: Mark) -> Self {
        let timeout = random.between(3, 15);
        let ask = |service, entity, method, body| Self {
            protocol: "jsonrpc",
            service,
            entity,
            method,
            timeout,
            mark,
            body,
        };
        match *random.weighted(&KINDS) {
            Kind::Echo(entity, method) => ask("rogue", entity, method, padded(random, mark)),
            Kind::Effect(entity, method) => ask("rogue", entity, method, json!({})),
            Kind::Failing => ask("rogue", "transactional", "effect", json!({"end": "fault"})),
            Kind::Call(target) => {
                ask("rogue", "default", "call", json!({"target": target, "body": {"mark": mark}}))
            }
            Kind::Login => ask(
                "analytic",
                "example",
                "simple",
                json!({"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"}),
            ),
            Kind::Transit => ask(
                "analytic",
                "example",
                "request_with_parallel_queries_with_transit_on_external_service",
                json!({}),
            ),
            Kind::Outside => {
                Self { protocol: "json", ..ask("outside", "thing", "echo", padded(random, mark)) }
            }
            Kind::Dead => Self { timeout: timeout.min(5), ..ask("dead", "thing", "ask", json!({})) },
            Kind::Event => Self { timeout: 0, ..ask("rogue", "transactional", "effect", json!({})) },
        }
    }

    /// As a row of VALUES.
    pub fn values(&self) -> String {
        // No value has a quote in it.
        format!(
            "('{}', '{}', '{}', '{}', {}, '{}', '{}', {}, {})",
            self.protocol,
            self.service,
            self.entity,
            self.method,
            self.timeout,
            self.headers_with_key(),
            self.body,
            self.priority(),
            self.quoted_key()
        )
    }

    /// As a line of COPY.
    pub fn copy_line(&self) -> String {
        // Nor a backslash or a tab.
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            self.protocol,
            self.service,
            self.entity,
            self.method,
            self.timeout,
            self.headers_with_key(),
            self.body,
            self.priority(),
            self.key().unwrap_or_else(|| "\\N".to_owned())
        )
    }

    /// As the arguments of `tpro.request`.
    pub fn request(&self) -> String {
        self.arguments(&self.headers())
    }

    /// As the arguments of `tpro.publish` and `tpro.publish_once`. One in eight is to be sent
    /// later, which its headers say, too.
    pub fn publish(&self) -> String {
        if !self.mark.is_multiple_of(8) {
            let arguments = self.arguments(&self.headers_with_key());
            return format!("{arguments}, ordering_key => {}", self.quoted_key());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let due = now.as_millis() + u128::from(self.mark / 8 % 4_000);
        let mut headers = self.headers();
        headers["due"] = json!(due as u64);
        format!("{}, send_at => to_timestamp({due} / 1000.0)", self.arguments(&headers))
    }

    fn arguments(&self, headers: &Value) -> String {
        format!(
            "'{}', '{}', '{}', '{}', '{headers}', {}, '{}', priority => {}",
            self.service,
            self.entity,
            self.method,
            self.body,
            self.timeout,
            self.protocol,
            self.priority()
        )
    }

    /// Half of the messages have none.
    fn priority(&self) -> u64 {
        [0, 0, 0, 1, 2, 3][(self.mark % 6) as usize]
    }

    /// Messages of one session that leave an effect and are answered have one key, half of them.
    fn key(&self) -> Option<String> {
        let is_kept = (self.service, self.entity, self.method) == ("rogue", "transactional", "effect");
        let has_key = is_kept && self.timeout > 0 && self.mark.is_multiple_of(2);
        has_key.then(|| (self.mark / SESSION).to_string())
    }

    fn quoted_key(&self) -> String {
        self.key().map_or_else(|| "NULL".to_owned(), |key| format!("'{key}'"))
    }

    fn headers(&self) -> Value {
        json!({"request": {"type": "single"}, "mark": self.mark})
    }

    /// The headers of a row that has its key. A quarter of these hold it if they fail.
    fn headers_with_key(&self) -> Value {
        let mut headers = self.headers();
        if self.key().is_some() && self.mark % 8 == 4 {
            headers["ordering"] = json!({"on_error": "hold"});
        }
        headers
    }
}

/// A body with something in it; one in two hundred is big.
fn padded(random: &mut Random, mark: Mark) -> Value {
    let bytes = match random.between(1, 200) {
        1 => random.between(100_000, 800_000),
        2..=20 => random.between(1_000, 20_000),
        _ => random.between(0, 200),
    };
    json!({"mark": mark, "padding": "x".repeat(bytes as usize), "number": 1.5, "list": [null, true, "ж"]})
}
