//! The trunk of KE-3. What the homeserver holds of an event decides most of it; what only the client knows is asked
//! of the client.

use super::{
    algorithm_known, algorithm_stated, client_contradicts, event_encrypted, event_known,
    event_redacted,
};
use crate::diagnose::tree_walk::TreeQuestion;

/// In the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[TreeQuestion] = &[
    event_known::QUESTION,
    event_encrypted::QUESTION,
    event_redacted::QUESTION,
    algorithm_stated::QUESTION,
    algorithm_known::QUESTION,
    client_contradicts::QUESTION,
];
