//! `tpro` on real databases: what it prints, for whom, and how it ends.

mod command_line;
mod status;
mod tool;
