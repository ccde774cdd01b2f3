//! The remedies, ranked for a verdict, each with what it would cost. Kestrel never runs one.

use serde::Serialize;

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
    RaiseDelayLimit,
    PersistStorage,
    TabGuard,
    LoopPrompt,
    CheckAuthService,
}

/// What the branch thinks of a remedy here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recommendation {
    Recommended,
    Possible,
    WillNotHelp,
    Dangerous,
}

impl Recommendation {
    /// As read by a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::Possible => "possible",
            Self::WillNotHelp => "will not help",
            Self::Dangerous => "dangerous",
        }
    }

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
    pub advice: Recommendation,
    /// Why it is judged so here, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    pub blast_radius: &'static str,
}

impl Remedy {
    /// All of them, for the list.
    pub const ALL: [Self; 11] = [
        Self::Relogin,
        Self::CloseSecondClient,
        Self::BringOnline,
        Self::StoreReset,
        Self::SdkPin,
        Self::OtkSurgery,
        Self::RaiseDelayLimit,
        Self::PersistStorage,
        Self::TabGuard,
        Self::LoopPrompt,
        Self::CheckAuthService,
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
            Self::RaiseDelayLimit => "raise-delay-limit",
            Self::PersistStorage => "persist-storage",
            Self::TabGuard => "tab-guard",
            Self::LoopPrompt => "loop-prompt",
            Self::CheckAuthService => "check-auth-service",
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
            Self::RaiseDelayLimit => {
                "raise rc_delayed_event_mgmt in homeserver.yaml, or run Synapse 1.156 and later with \
                 js-sdk #5340, which counts per user and not per address"
            }
            Self::PersistStorage => {
                "let the client ask for storage that the browser does not evict \
                 (navigator.storage.persist())"
            }
            Self::TabGuard => "let the client warn of a second tab on the same session (Web Locks)",
            Self::LoopPrompt => {
                "let the client stop after some refused uploads and ask for a logout and a login"
            }
            Self::CheckAuthService => {
                "check that the authentication service (MAS) runs and that Synapse reaches it: its log, and \
                 `endpoint` under `matrix_authentication_service` in homeserver.yaml"
            }
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
            _ => self.blast_radius(),
        }
    }

    /// Whom and what it hits.
    pub fn blast_radius(self) -> &'static str {
        match self {
            Self::Relogin => {
                "that device only; verify it again; restore room keys from backup to read old history"
            }
            Self::CloseSecondClient | Self::BringOnline | Self::CheckAuthService => "none",
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
            Self::RaiseDelayLimit => "the homeserver's config, for every client; a reload",
            Self::PersistStorage | Self::TabGuard | Self::LoopPrompt => {
                "new logins only; heals nothing that has diverged"
            }
        }
    }
}
