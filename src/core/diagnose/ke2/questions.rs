//! The trunk of KE-2. What waits in the inbox and for whose identity it
//! is encrypted decides most of it; the rest hangs on KE-1 or is the client's to say.
//!
//! Media keys travel encrypted: neither a row nor a line tells them from other Olm messages. An empty inbox
//! never means "not sent", because an online device's messages wait for milliseconds, and silence never
//! means "healthy".
//!
//! A device that the server does not know is `unknown-device`, unless 9533_debug shows messages to it being
//! dropped: then `media-stale-device` says the more useful truth, that senders still aim at it.

use super::{
    capture_advice, dead_identity, device_known, inbox_drained, ke1_link, keys_in_order,
    media_silent, messages_dropped, sender_targets, sender_validated,
};
use crate::diagnose::auth_outage::AUTH_REACHABLE;
use crate::diagnose::known_device::IDENTITY_PUBLISHED;
use crate::diagnose::tree_walk::TreeQuestion;

/// In the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[TreeQuestion] = &[
    device_known::QUESTION,
    IDENTITY_PUBLISHED,
    messages_dropped::QUESTION,
    dead_identity::QUESTION,
    ke1_link::QUESTION,
    keys_in_order::QUESTION,
    sender_validated::QUESTION,
    AUTH_REACHABLE,
    inbox_drained::QUESTION,
    media_silent::QUESTION,
    sender_targets::QUESTION,
    capture_advice::QUESTION,
];
