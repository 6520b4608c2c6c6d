//! The service `web`: its handlers against HTTP servers of the tests, and the real program with a
//! real PostgreSQL and a real nats-server.

mod end_to_end;
mod host;
mod page;
mod places;
mod redirects;
mod requests;
mod responses;
mod retries;
mod secure;
