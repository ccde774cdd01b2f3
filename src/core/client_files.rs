//! What users send → redacted text and facts. Redaction comes first: the facts are read from the redacted text
//! alone, so Kestrel knows only what a person may look at.
//!
//! One folder per format, with redaction and reading side by side.
//!
//! A folder or an archive is read newest first, and no link in it is followed. The order comes from the file names: the
//! hourly logs of Element X, the numbered logs of Element Web (`logs-0000` is the newest) and rotated logs become one
//! log each. A bug report's details (`details.json`, `issue.txt`) name the client's encryption account: if the server
//! has another one for the same device ID, the account was recreated. Android's logcat writes times without a year and
//! a zone: they are shown, and never compared with the server's.

mod archive;
mod console;
mod delays;
mod draft;
mod drafts;
mod har;
mod intake;
mod json;
mod newest;
mod redaction;
mod report;
pub mod signs;
mod taken;
mod text;

#[cfg(test)]
mod tests;

pub use archive::Source;
pub use intake::{Listed, take_in, take_in_folder, take_in_from};
