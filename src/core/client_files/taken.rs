//! What a reader makes of one file.

use crate::client_files::kind::Kind;
use crate::evidence::ClientFacts;
use crate::evidence::redaction::Removed;

/// What a reader makes of one file; its name comes later.
pub(crate) struct Taken {
    pub(crate) kind: Kind,
    pub(crate) facts: ClientFacts,
    pub(crate) text: String,
    pub(crate) removed: Removed,
    pub(crate) notes: Vec<String>,
}
