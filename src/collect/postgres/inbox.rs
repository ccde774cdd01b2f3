//! The to-device inbox of one device: the number of waiting messages, their shapes, and a watch of it.
//!
//! A message is deleted once the device has fetched the next, so an online device's rows live for tens of
//! milliseconds: a watch polls fifty times a second. Every statement uses the index on user, device and
//! stream, and is bounded. A body is read only if the role has no `kestrel.inbox_shape` function and can read
//! the table directly; it is discarded here.

pub(super) mod capture_watch;
pub(super) mod live;
pub(super) mod read;
