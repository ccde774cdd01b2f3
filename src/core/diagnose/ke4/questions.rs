//! The trunk of KE-4. The log tells what the homeserver answered and how fast; the client is asked last.

use super::{
    client_side, delays_off, restarts_failed, restarts_gone, restarts_known, restarts_limited,
    restarts_missing, restarts_slow,
};
use crate::diagnose::auth_outage::AUTH_REACHABLE;
use crate::diagnose::tree_walk::TreeQuestion;

/// In the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[TreeQuestion] = &[
    restarts_known::QUESTION,
    restarts_limited::QUESTION,
    restarts_failed::QUESTION,
    restarts_slow::QUESTION,
    restarts_gone::QUESTION,
    delays_off::QUESTION,
    AUTH_REACHABLE,
    restarts_missing::QUESTION,
    client_side::QUESTION,
];
