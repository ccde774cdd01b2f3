//! The remedies, ranked for a verdict, each with what it would cost. Kestrel never runs one.

use serde::Serialize;

use super::verdict::VerdictId;

/// A remedy that a person could carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    Relogin,
    CloseSecondClient,
    BringOnline,
    StoreReset,
    SdkPin,
    OtkSurgery,
}

/// What the branch thinks of a remedy here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    Recommended,
    Possible,
    WillNotHelp,
    Dangerous,
}

impl Judgement {
    /// As read by a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::Possible => "possible",
            Self::WillNotHelp => "will not help",
            Self::Dangerous => "dangerous",
        }
    }
}

impl Judgement {
    /// At the head of a line.
    pub fn title(self) -> &'static str {
        match self {
            Self::Recommended => "Recommended",
            Self::Possible => "Possible",
            Self::WillNotHelp => "Will not help",
            Self::Dangerous => "Dangerous",
        }
    }
}

/// A remedy with the branch's judgement and its cost.
#[derive(Debug, Clone, Serialize)]
pub struct Advice {
    pub id: Remedy,
    pub rank: u8,
    pub advice: Judgement,
    /// Why it is judged so here, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    pub blast_radius: &'static str,
}

impl Remedy {
    /// All of them, for the list.
    pub const ALL: [Self; 6] = [
        Self::Relogin,
        Self::CloseSecondClient,
        Self::BringOnline,
        Self::StoreReset,
        Self::SdkPin,
        Self::OtkSurgery,
    ];

    /// The id as answers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relogin => "relogin",
            Self::CloseSecondClient => "close-second-client",
            Self::BringOnline => "bring-online",
            Self::StoreReset => "store-reset",
            Self::SdkPin => "sdk-pin",
            Self::OtkSurgery => "otk-surgery",
        }
    }

    /// What to do, as an imperative.
    pub fn what(self) -> &'static str {
        match self {
            Self::Relogin => {
                "log this one device out (a real logout), then in again: it gets a new device id and \
                 new keys"
            }
            Self::CloseSecondClient => {
                "leave one client per session: close the other tab, stop the second process or the \
                 copied token"
            }
            Self::BringOnline => "open the client and let it sync: it refills its keys by itself",
            Self::StoreReset => "clear the client's data (clearLoginData), after a real logout",
            Self::SdkPin => "pin another SDK version",
            Self::OtkSurgery => "edit e2e_one_time_keys_json by hand",
        }
    }

    /// The blast radius in a few words, for a phone; surgery keeps its guardrails.
    pub fn reach(self) -> &'static str {
        match self {
            Self::StoreReset => {
                "that browser profile, totally; history that is not in key backup is lost"
            }
            Self::SdkPin => "all users, at the next deploy",
            Self::OtkSurgery => {
                "can break every device of that user and everyone who claimed a key; if ever: dump first, \
                 no calls, the exact row, restart Synapse, then log the device out and in"
            }
            Self::Relogin | Self::CloseSecondClient | Self::BringOnline => self.blast_radius(),
        }
    }

    /// Whom and what it hits.
    pub fn blast_radius(self) -> &'static str {
        match self {
            Self::Relogin => {
                "that device only; verify it again; restore room keys from backup to read old history"
            }
            Self::CloseSecondClient | Self::BringOnline => "none",
            Self::StoreReset => {
                "that browser profile, totally: history that is not in key backup is lost for good on \
                 it; check backup and recovery key first. Without a logout before it, the server keeps \
                 the keys and the conflict comes back"
            }
            Self::SdkPin => {
                "all users at the next deploy; a downgrade meets a newer store schema; crypto-wasm 18.5.0 \
                 and later without js-sdk #5503 floods the server with keys"
            }
            Self::OtkSurgery => {
                "last resort: can break every device of that user and everyone who claimed a key. Dump \
                 first, no calls, the exact row, restart Synapse, then log the device out and in"
            }
        }
    }
}

/// The remedies of a verdict, best first.
pub fn advise(verdict: VerdictId) -> Vec<Advice> {
    use Judgement::{Dangerous, Possible, Recommended, WillNotHelp};
    use Remedy::{BringOnline, CloseSecondClient, OtkSurgery, Relogin, SdkPin, StoreReset};
    const PIN: Option<&str> = Some("no version heals a device that has diverged");
    const SURGERY: Option<&str> =
        Some("the new account stays refused by everyone who remembers the old one");
    const LOGOUT_FIRST: Option<&str> = Some("only after a real logout");
    const AFTER: Option<&str> = Some("once only one client is left");
    let list: &[(Remedy, Judgement, Option<&'static str>)] = match verdict {
        VerdictId::OtkRecreated => &[
            (Relogin, Recommended, None),
            (StoreReset, Possible, LOGOUT_FIRST),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, WillNotHelp, SURGERY),
        ],
        VerdictId::OtkConcurrent => &[
            (CloseSecondClient, Recommended, None),
            (Relogin, Recommended, AFTER),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkRolledBack | VerdictId::OtkSameAccount => &[
            (Relogin, Recommended, None),
            (StoreReset, Possible, LOGOUT_FIRST),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkForeignIdentity | VerdictId::OtkDiverged => &[
            (Relogin, Recommended, None),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkFlood => &[
            (
                SdkPin,
                Recommended,
                Some(
                    "js-sdk with #5503: crypto-wasm 18.5.0 and later without it uploads at every sync",
                ),
            ),
            (Relogin, Recommended, Some("after the fix")),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkExhausted => &[
            (BringOnline, Recommended, None),
            (Relogin, Possible, Some("if it is online and still does not refill")),
            (OtkSurgery, WillNotHelp, Some("there is no row to edit")),
        ],
        VerdictId::OtkUploadLoop => &[(Relogin, Possible, None), (OtkSurgery, Dangerous, None)],
        VerdictId::KeylessDevice => {
            &[(Relogin, Possible, Some("with a client that does encryption"))]
        }
        VerdictId::UnknownDevice
        | VerdictId::OtkRace
        | VerdictId::OtkHealthy
        | VerdictId::EventUnknown
        | VerdictId::EventNotEncrypted
        | VerdictId::EventRedacted
        | VerdictId::EventMalformed
        | VerdictId::EventUnsupported
        | VerdictId::EventClient
        | VerdictId::EventWellFormed
        | VerdictId::Inconclusive => &[],
    };
    (1..)
        .zip(list)
        .map(|(rank, &(id, advice, why))| Advice {
            id,
            rank,
            advice,
            why,
            blast_radius: id.blast_radius(),
        })
        .collect()
}
