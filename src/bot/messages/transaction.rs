//! A message and its cause → the transaction ID that makes the homeserver accept it once. It is the same in every
//! process, so a crash between sending and saving cannot create a second message.

use matrix_sdk::ruma::OwnedTransactionId;
use ruma::EventId;
use sha2::{Digest, Sha256};

/// The kinds of messages that one event causes, each at most once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Answer,
    Evidence,
    Fault,
    Stranger,
    Skipped,
    Watch,
    /// A command does not count.
    Refused,
    /// The room is not encrypted.
    Unencrypted,
    /// In the ops room, of a report.
    Root,
    Notes,
    /// The verdict of a report. The answer to `!report` has the same cause.
    Verdict,
    /// By its number in the report.
    File(usize),
    /// To the report's sender.
    Receipt,
    Waiting,
    Changes,
}

/// The parts of one pending message; each has its own transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AlertPart {
    Words,
    Picture,
    Edit,
    Again,
    Why,
    Mute,
}

impl AlertPart {
    /// The transaction ID of this part of a pending message.
    pub(crate) fn transaction(self, key: &str) -> OwnedTransactionId {
        let part = match self {
            Self::Words => "words",
            Self::Picture => "picture",
            Self::Edit => "edit",
            Self::Again => "again",
            Self::Why => "why",
            Self::Mute => "mute",
        };
        format!("kestrel-owed-{key}-{part}").into()
    }
}

/// The same for the same cause, whatever the process: a crash between sending and noting it cannot make
/// a second answer.
pub(crate) fn for_event(cause: &EventId, about: Purpose) -> OwnedTransactionId {
    let what = match about {
        Purpose::File(number) => return for_part(cause, &format!("file-{number}")),
        Purpose::Root => "root",
        Purpose::Notes => "notes",
        Purpose::Verdict => "verdict",
        Purpose::Receipt => "receipt",
        Purpose::Waiting => "waiting",
        Purpose::Answer => "answer",
        Purpose::Evidence => "evidence",
        Purpose::Fault => "fault",
        Purpose::Stranger => "stranger",
        Purpose::Skipped => "skipped",
        Purpose::Watch => "watch",
        Purpose::Refused => "refused",
        Purpose::Unencrypted => "unencrypted",
        Purpose::Changes => "changes",
    };
    for_part(cause, what)
}

/// The transaction of one part of what an event caused, over many processes.
pub(crate) fn for_part(cause: &EventId, part: &str) -> OwnedTransactionId {
    format!("kestrel-{}-{part}", digest(cause.as_bytes())).into()
}

/// A text's digest for a transaction ID: 32 hexadecimal digits, the same in every process.
pub(crate) fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::event_id;

    #[test]
    fn a_cause_has_one_transaction_for_each_thing_said() {
        let one = event_id!("$one");
        let two = event_id!("$two");
        let answer = for_event(one, Purpose::Answer);
        assert_eq!(answer, for_event(one, Purpose::Answer));
        assert_ne!(answer, for_event(one, Purpose::Evidence));
        assert_ne!(answer, for_event(two, Purpose::Answer));
        assert_eq!(answer.as_str(), "kestrel-c4d49a215ddc1f918ab02580802df054-answer");
    }

    #[test]
    fn hostile_ids_make_plain_transactions() {
        let txn = for_event(event_id!("$a/../b?c#d"), Purpose::Skipped);
        assert!(txn.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
}
