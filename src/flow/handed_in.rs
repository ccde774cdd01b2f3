//! Files that users send are read through here: the bot receives them and opens no reader itself.

use kestrel_core::client_files::{self, Source, signs};
use kestrel_core::evidence::client_file::{Limits, Parcel};

/// A received file → what is stored of it; the error is one sentence for people.
pub fn take_in(name: &str, source: impl Source, limits: &Limits) -> Result<Parcel, String> {
    client_files::take_in_from(name, source, limits)
}

/// Whether the text is a line of a client's log that reports a failure.
pub fn is_sign(text: &str) -> bool {
    signs::sign(text).is_some()
}
