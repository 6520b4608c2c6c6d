//! TLS to PostgreSQL, by the rules of libpq: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of an
//! address, and `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT` and `PGSSLKEY` for those that it leaves
//! out.
//!
//! Two rules are not libpq's. Without a mode there is no TLS, and a file that is named without a
//! mode is a [`Problem`](crate::Problem), not a certificate that nobody checks. Files of
//! `~/.postgresql` are not looked for: a service has no home.

mod connect;
mod connector;
mod mode;
mod read;
mod words;

pub use self::{connect::Tls, mode::Mode, read::read, words::words};
