//! What repeats in a storm, and its word in the ledger.

use serde::{Deserialize, Serialize};

/// What repeats in a storm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Trigger {
    /// Nothing specific, such as tokens that cannot be checked.
    #[default]
    Unnamed,
    /// Uploads that name this key ID. Any other text in the ledger is read as a key ID too.
    Key(String),
    /// Requests on delayed events, answered with status 429.
    RateLimited,
    /// Requests on delayed events, answered late.
    Slow,
    /// Requests on delayed events, answered with status 404.
    NotFound,
    /// Keys of an identity that the device no longer has.
    DeadIdentity,
    /// To-device messages that nobody fetches.
    Backlog,
}

impl Trigger {
    /// The word in the ledger and in the state of the watch. It is never changed.
    pub fn word(&self) -> &str {
        match self {
            Self::Unnamed => "",
            Self::Key(key) => key,
            Self::RateLimited => "limited",
            Self::Slow => "slow",
            Self::NotFound => "gone",
            Self::DeadIdentity => "dead-identity",
            Self::Backlog => "backlog",
        }
    }
}

impl From<&str> for Trigger {
    fn from(word: &str) -> Self {
        match word {
            "" => Self::Unnamed,
            "limited" => Self::RateLimited,
            "slow" => Self::Slow,
            "gone" => Self::NotFound,
            "dead-identity" => Self::DeadIdentity,
            "backlog" => Self::Backlog,
            key => Self::Key(key.to_owned()),
        }
    }
}

impl From<String> for Trigger {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<Trigger> for String {
    fn from(trigger: Trigger) -> Self {
        trigger.word().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trigger_keeps_its_word() {
        for (trigger, word) in [
            (Trigger::Unnamed, ""),
            (Trigger::Key("signed_curve25519:AAAAHQ".into()), "signed_curve25519:AAAAHQ"),
            (Trigger::RateLimited, "limited"),
            (Trigger::Slow, "slow"),
            (Trigger::NotFound, "gone"),
            (Trigger::DeadIdentity, "dead-identity"),
            (Trigger::Backlog, "backlog"),
        ] {
            let json = serde_json::to_string(&trigger).unwrap();
            assert_eq!(json, format!("{word:?}"));
            assert_eq!(serde_json::from_str::<Trigger>(&json).unwrap(), trigger);
        }
    }

    #[test]
    fn a_word_of_another_version_loads_and_is_kept() {
        let trigger: Trigger = serde_json::from_str("\"a word of later\"").unwrap();
        assert_eq!(trigger, Trigger::Key("a word of later".into()));
        assert_eq!(serde_json::to_string(&trigger).unwrap(), "\"a word of later\"");
    }
}
