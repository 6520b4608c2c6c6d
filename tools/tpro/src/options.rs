//! The arguments and options of each command.

use clap::Args;
use uuid::Uuid;

use crate::values::{Status, Which, given_back, id, mark, number, pause, span, uid, which};

/// The database, and the form of what is printed.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// Database to ask; keep a password in DATABASE_URL or PGPASSWORD
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Print JSON; its shape is in docs/tpro.md
    #[arg(long)]
    pub json: bool,
}

/// The messages to list.
#[derive(Args, Clone, Debug)]
pub struct Filter {
    /// Service that sent them; all that may be read without it
    pub sender: Option<String>,
    /// Only to this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Only to this method: simple, or with its entity example.simple
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Only later, waiting, ok, error, timeout, unavailable, expired, cancelled
    #[arg(long, value_enum, value_name = "STATUS", hide_possible_values = true)]
    pub status: Option<Status>,
    /// Only published at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only published before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only the one with this uid
    #[arg(long, value_name = "UID", value_parser = uid)]
    pub uid: Option<Uuid>,
    /// Most messages to list
    #[arg(long, value_name = "N", default_value = "20", value_parser = number(1, 100_000))]
    pub limit: usize,
    /// Most messages to look at in an outbox
    #[arg(long, value_name = "N", default_value = "100000", value_parser = number(1, 1_000_000_000))]
    pub scan: usize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The message to show.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// Id in the outbox of a service, or uid
    #[arg(value_name = "ID|UID", value_parser = which)]
    pub message: Which,
    /// Service that sent it; without it all are searched
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The messages to do something with.
#[derive(Args, Clone, Debug)]
pub struct Act {
    /// Ids in the outbox
    #[arg(required = true, value_name = "ID", value_parser = id)]
    pub ids: Vec<i64>,
    /// Service that sent them, if not tpro.sender of the login or the only one
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The ordering keys to let go.
#[derive(Args, Clone, Debug)]
pub struct Release {
    /// Ordering keys
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<String>,
    /// Service that is asked; all without it
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Service that sent them, if not tpro.sender of the login or the only one
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The services to judge.
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// Services to look at; all without it
    pub services: Vec<String>,
    /// Age at which a message without a reply is ill; 0: at none
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span)]
    pub max_age: i64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// The manner of watching.
#[derive(Args, Clone, Debug)]
pub struct Top {
    /// Time between two looks
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = pause)]
    pub interval: i64,
    /// Looks to take; without it until q in a terminal, else one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// A service of the Go system.
#[derive(Args, Clone, Debug)]
pub struct Moved {
    /// Service, as in the name of its schema NAME_service
    pub name: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// A service of the Go system, and the point from which tpro sends.
#[derive(Args, Clone, Debug)]
pub struct TakenOver {
    /// Service, as in the name of its schema NAME_service
    pub name: String,
    /// Id up to which the Go copies have sent, as `tpro migrate mark` printed it
    #[arg(long, value_name = "ID", value_parser = mark)]
    pub after: i64,
    /// Role by which the application and the copies log in, the old DB_USER
    #[arg(long, value_name = "ROLE")]
    pub login: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}

/// A service that the Go system has again, and the point from which its copies send.
#[derive(Args, Clone, Debug)]
pub struct GivenBack {
    /// Service, as in the name of its schema NAME_service
    pub name: String,
    /// Id beyond which the Go copies have sent nothing, as `tpro migrate back` printed it
    #[arg(long, value_name = "ID", value_parser = given_back)]
    pub after: i64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the words would be taken for help")]
    pub output: Output,
}
