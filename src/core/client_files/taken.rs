//! What a reader makes of one file.

use crate::evidence::ClientFacts;
use crate::evidence::client_file::FileKind;
use crate::evidence::redaction::Removed;

/// What a reader makes of one file; its name comes later.
pub(crate) struct Taken {
    pub(crate) kind: FileKind,
    pub(crate) facts: ClientFacts,
    pub(crate) text: String,
    pub(crate) removed: Removed,
    pub(crate) notes: Vec<String>,
}
