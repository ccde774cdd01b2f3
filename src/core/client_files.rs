//! What users send → redacted text and facts. Redaction comes first: the facts are read from the redacted text
//! alone, so Kestrel knows only what a person may look at.
//!
//! One folder per format, with redaction and reading side by side.

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
