//! Archives that users forward, read as streams and never unpacked to disk.

pub(crate) mod directory;
pub(crate) mod marks;
pub(crate) mod series;
pub(crate) mod unpack;

pub use marks::Source;
