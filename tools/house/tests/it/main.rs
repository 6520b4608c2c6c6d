//! The rules that the sources keep.

mod english;
mod walls;
