//! The service `web` sends HTTP requests that are rows: `tpro.publish('web', 'http', 'post', ...)`.
//!
//! A request is sent in the default mode, so a response that came is stored and a repeat of the
//! message gets it again. A response that is worth another try, and a host that cannot be reached,
//! put the message off within its budget. A message names the host, and the setting `WEB_HOSTS`
//! says which hosts it may name: `docs/web.md`.
#![forbid(unsafe_code)]

mod address;
mod exchange;
mod failure;
mod headers;
mod host;
mod hosts;
mod media;
mod order;
mod reading;
mod redirect;
mod refusal;
mod request;
mod resolver;
mod response;
mod retry;
mod service;
mod settings;
mod tls;
mod web;

pub use service::service;
pub use web::Web;
