//! `tpro` on real databases: what it prints, for whom, and how it ends.

mod act;
mod address;
mod command_line;
mod cost;
mod health;
mod hostile;
mod messages;
mod migrate;
mod pooler;
mod show;
mod status;
mod tool;
mod top;
