//! KE-3: an event that will not decrypt.

mod questions;

pub(super) use questions::{NEEDS, QUESTIONS};
