//! The rules that the sources keep.

mod walls;
