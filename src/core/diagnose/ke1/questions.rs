//! The trunk of KE-1. Each question is one small file; the first that is answered with a verdict ends the walk,
//! and the walk keeps every answer.

use super::{
    account_recreated, all_read, crossed_once, device_known, foreign_identity, keys_exhausted,
    same_account, same_keys_again, too_many_keys, unexplained, uploads_refused,
};
use crate::diagnose::auth_outage::AUTH_REACHABLE;
use crate::diagnose::known_device::IDENTITY_PUBLISHED;
use crate::diagnose::tree_walk::TreeQuestion;

/// In the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[TreeQuestion] = &[
    device_known::QUESTION,
    IDENTITY_PUBLISHED,
    uploads_refused::QUESTION,
    account_recreated::QUESTION,
    same_account::QUESTION,
    foreign_identity::QUESTION,
    unexplained::QUESTION,
    crossed_once::QUESTION,
    too_many_keys::QUESTION,
    keys_exhausted::QUESTION,
    same_keys_again::QUESTION,
    AUTH_REACHABLE,
    all_read::QUESTION,
];
