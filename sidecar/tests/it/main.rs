//! tpro end to end: the real binaries of the services, a real PostgreSQL with the extension, a real nats-server.
//!
//! One binary for all, so that they share one cluster and one compilation. Each test has a database, a nats-server and a
//! collector of its own, and ends by asking the oracle of the test kit whether the promise was kept.

mod answerer;
mod atomicity;
mod attacks;
mod bounds;
mod bursts;
mod circles;
mod clock;
mod clones;
mod clumsiness;
mod collector;
mod commits;
mod copies;
mod crashes;
mod cursor;
mod disk;
mod doubles;
mod doubt;
mod drops;
mod events;
mod failover;
mod floods;
mod freezes;
mod handlers;
mod hangs;
mod http;
mod listeners;
mod locks;
mod login;
mod logs;
mod maintenance;
mod network;
mod outage;
mod poison;
mod probe;
mod repeats;
mod replies;
mod retention;
mod runs;
mod savepoints;
mod secrecy;
mod settings;
mod silence;
mod sinks;
mod snapshots;
mod start;
mod statements;
mod stop;
mod storms;
mod strangers;
mod takeover;
mod trace;
mod updates;
mod values;
