//! The inbox of one device → how many messages wait, their shapes, and what a watch of it saw.
//!
//! A message goes as soon as the device fetched the next, so that of an online device each row lives tens
//! of milliseconds: a watch asks fifty times a second. Every statement goes by the index over user, device
//! and stream, and is bounded. A body is read where the role has no `kestrel.inbox_shape` function and
//! may read the table itself; it is let go of here.

pub(super) mod capture_watch;
pub(super) mod live;
pub(super) mod read;
