//! What users hand in is read through here: the bot receives it and opens no reader itself.

use kestrel_core::client_files::{self, Source, signs};
use kestrel_core::evidence::client_file::{Limits, Parcel};

/// A received file → what is kept of it; the error is one sentence for people.
pub fn take_in(name: &str, source: impl Source, limits: &Limits) -> Result<Parcel, String> {
    client_files::take_in_from(name, source, limits)
}

/// Whether the text is a line of a client's log that tells of a failure.
pub fn is_sign(text: &str) -> bool {
    signs::sign(text).is_some()
}
