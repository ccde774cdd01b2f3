//! KE-2: media keys that do not arrive or do not decrypt.

mod capture_advice;
mod client_signs;
mod questions;

pub(super) use questions::{NEEDS, QUESTIONS};
