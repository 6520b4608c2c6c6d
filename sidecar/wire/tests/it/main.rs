//! What the wire takes and what it refuses, from outside: one module a noun.

mod answer;
mod batch;
mod batch_answer;
mod budget;
mod error;
mod go;
mod headers;
mod language;
mod name;
mod reply;
mod reply_subject;
mod request;
mod responder;
mod rules;
mod shape;
mod source;
mod support;
mod target;
mod trace;
mod uid;
mod vectors;
mod words;
