//! The request and reply types that services share: one struct each, so that both sides agree by
//! compiling. A request that derives `Method` names its method and its reply, too.
#![forbid(unsafe_code)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tpro_sidecar::Method;

/// A login: the request of `analytic.example.simple`.
#[derive(Clone, Serialize, Deserialize, JsonSchema, Method)]
#[method("analytic.example.simple", reply = Session, schemas)]
pub struct Login {
    /// The address that the login comes from.
    pub ip: String,
    /// The name.
    pub login: String,
    /// The password. It gets into no log, span or error.
    pub password: String,
}

/// A session after the login: the result of `analytic.example.simple`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The session.
    pub sid: String,
    /// The person.
    pub face_id: i64,
}

/// The result of `example.request_with_parallel_queries`: of `analytic` (hour + minute of the
/// database's clock) and of `co` (both and two more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelQueries {
    /// The sum.
    pub example_request_with_parallel_queries: i32,
}

/// The result of `analytic.example.request_with_parallel_queries_with_transit_on_external_service`:
/// its own sum and `co`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelQueriesWithTransit {
    /// The sum.
    pub example_request_with_parallel_queries_with_transit_on_external_service: i32,
}

/// The result of `main.company.winners`: the minute of the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Winners {
    /// The number of winners.
    pub winners: i32,
}
