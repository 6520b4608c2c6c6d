//! The rules that the sources keep.

mod english;
mod length;
mod russian;
mod walls;
