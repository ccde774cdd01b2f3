//! The steps from §4 of the runbook: those that the bot does itself, and those that need a person.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doer {
    /// The bot ticks it when it is done.
    Bot,
    /// Ticked by a reaction, or by the bot when it notices that it is done.
    Person,
}

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    LogPlaces,
    Clocks,
    Inbox,
    Latency,
    RaiseLoggers,
    Diagnostics,
    DevTools,
    Call,
    Mark,
    Report,
    Har,
    Names,
    RevertLoggers,
    Bundle,
}

/// A step and whether it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub step: Step,
    pub ticked: Option<Timestamp>,
    /// The person who ticked it; `None` if the bot did.
    pub by: Option<OwnedUserId>,
}

impl Item {
    pub(super) fn open(step: Step) -> Self {
        Self { step, ticked: None, by: None }
    }
}

/// The reactions that tick a step, in the order of a person's steps.
const BUTTONS: [&str; 9] = ["1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣", "6️⃣", "7️⃣", "8️⃣", "9️⃣"];

impl Step {
    pub const ALL: [Self; 14] = [
        Self::LogPlaces,
        Self::Clocks,
        Self::Inbox,
        Self::Latency,
        Self::RaiseLoggers,
        Self::Diagnostics,
        Self::DevTools,
        Self::Call,
        Self::Mark,
        Self::Report,
        Self::Har,
        Self::Names,
        Self::RevertLoggers,
        Self::Bundle,
    ];

    pub fn doer(self) -> Doer {
        match self {
            Self::LogPlaces | Self::Clocks | Self::Inbox | Self::Latency | Self::Bundle => {
                Doer::Bot
            }
            _ => Doer::Person,
        }
    }

    /// The step in a few words, for a phone.
    pub fn words(self) -> &'static str {
        match self {
            Self::LogPlaces => "save the log positions",
            Self::Clocks => "compare the clocks",
            Self::Inbox => "watch the device's to-device inbox",
            Self::Latency => "measure the homeserver's latency",
            Self::RaiseLoggers => {
                "On the server: set the logger synapse.9533_debug to DEBUG, then run systemctl reload matrix-synapse."
            }
            Self::Diagnostics => {
                "In the client: turn on Developer Tools in Settings. Write down the number of entries in Crypto Diagnostics."
            }
            Self::DevTools => {
                "In the browser: press F12, turn on Preserve log in Console and Network, and let Network record."
            }
            Self::Call => {
                "Join the call with the second person. Let the failure run for 30–60 seconds."
            }
            Self::Mark => {
                "At each failure: send !capture mark and what failed (audio cut, video freeze)."
            }
            Self::Report => {
                "In Crypto Diagnostics: select Download report, and send the JSON file to Kestrel."
            }
            Self::Har => "In Network: select Save all as HAR, and send the file to Kestrel.",
            Self::Names => {
                "For each event that does not decrypt: send !capture mark $event with its ID."
            }
            Self::RevertLoggers => {
                "On the server: set the logger back to INFO, and reload Synapse."
            }
            Self::Bundle => "evaluate everything and post the bundle",
        }
    }

    /// The reaction that ticks it; `None` for the bot's own steps.
    pub fn button(self) -> Option<&'static str> {
        let at = Self::by_people().position(|step| step == self)?;
        BUTTONS.get(at).copied()
    }

    /// The step that a reaction ticks. Some clients omit the variation selector.
    pub fn from_button(key: &str) -> Option<Self> {
        let bare = |text: &str| text.replace('\u{fe0f}', "");
        let at = BUTTONS.iter().position(|button| bare(button) == bare(key))?;
        Self::by_people().nth(at)
    }

    fn by_people() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|step| step.doer() == Doer::Person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_a_person_has_one_button_and_the_bot_s_have_none() {
        for step in Step::ALL {
            assert_eq!(step.button().is_some(), step.doer() == Doer::Person, "{step:?}");
            if let Some(button) = step.button() {
                assert_eq!(Step::from_button(button), Some(step));
                assert_eq!(Step::from_button(&button.replace('\u{fe0f}', "")), Some(step));
            }
        }
        for key in ["", "1", "👍", "🔁", "0️⃣"] {
            assert_eq!(Step::from_button(key), None, "{key}");
        }
    }
}
