//! The remedies, ranked for a verdict, each with its impact. Kestrel never runs one.

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
    /// The label of a line about it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Recommended => "Fix",
            Self::Possible => "Possible fix",
            Self::WillNotHelp | Self::Dangerous => "Avoid",
        }
    }

    /// Why to avoid it; nothing where it is a fix.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Recommended | Self::Possible => None,
            Self::WillNotHelp => Some("It does not help"),
            Self::Dangerous => Some("It is dangerous"),
        }
    }
}

/// A remedy with the branch's judgement and its impact.
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

    /// What to do, as sentences in the imperative.
    pub fn what(self) -> &'static str {
        match self {
            Self::Relogin => {
                "Log this one device out (clearing its data is not a logout), then log in again. It gets a new device ID and new \
                 keys"
            }
            Self::CloseSecondClient => {
                "Keep only one client per session. Close the other tab, or stop the second process or the \
                 program that uses the copied token"
            }
            Self::BringOnline => "Open the client and let it sync. It uploads new keys by itself",
            Self::StoreReset => "Clear the client's data (clearLoginData)",
            Self::SdkPin => "Pin another SDK version",
            Self::OtkSurgery => "Edit e2e_one_time_keys_json by hand",
            Self::RaiseDelayLimit => {
                "Raise rc_delayed_event_mgmt in homeserver.yaml. Or run Synapse 1.156 or later and clients with matrix-js-sdk \
                 #5340. The limit then counts per user and not per address"
            }
            Self::PersistStorage => {
                "Make the client request storage that the browser does not evict \
                 (navigator.storage.persist())"
            }
            Self::TabGuard => {
                "Make the client warn about a second tab on the same session (Web Locks)"
            }
            Self::LoopPrompt => {
                "Make the client stop after several rejected uploads and ask the user to log out and back in"
            }
            Self::CheckAuthService => {
                "Check that the authentication service (MAS) is running and that Synapse reaches it. See its log, \
                 and `endpoint` under `matrix_authentication_service` in homeserver.yaml"
            }
        }
    }

    /// What not to do, where the branch advises against it.
    pub fn avoided(self) -> &'static str {
        match self {
            Self::Relogin => "Logging the device out and back in",
            Self::CloseSecondClient => "Closing the second client",
            Self::BringOnline => "Letting the client sync",
            Self::StoreReset => "Clearing the client's data",
            Self::SdkPin => "Pinning another SDK version",
            Self::OtkSurgery => "Editing e2e_one_time_keys_json by hand",
            Self::RaiseDelayLimit => "Raising rc_delayed_event_mgmt",
            Self::PersistStorage => "Requesting persistent storage",
            Self::TabGuard => "Warning about a second tab",
            Self::LoopPrompt => "Stopping the client after several rejected uploads",
            Self::CheckAuthService => "Checking the authentication service",
        }
    }

    /// The impact in a few words, for a phone; surgery keeps its guardrails.
    pub fn reach(self) -> &'static str {
        match self {
            Self::StoreReset => {
                "That browser profile loses everything: history that is not in the key backup is lost"
            }
            Self::SdkPin => "All users, at the next deploy",
            Self::OtkSurgery => {
                "It can break encryption for every device of that user and for everyone who claimed a key. If you must: dump the \
                 table first, make sure that no call is running, change only the exact row, restart Synapse, then log the \
                 device out and back in"
            }
            _ => self.blast_radius(),
        }
    }

    /// Whom and what it affects.
    pub fn blast_radius(self) -> &'static str {
        match self {
            Self::Relogin => {
                "Only that device. Verify it again, and restore room keys from the key backup to read old history"
            }
            Self::CloseSecondClient | Self::BringOnline | Self::CheckAuthService => "None",
            Self::StoreReset => {
                "That browser profile loses everything: history that is not in the key backup is lost for good. \
                 Check the backup and the recovery key first. Without a logout before it, the server keeps the \
                 keys and the conflict comes back"
            }
            Self::SdkPin => {
                "All users, at the next deploy. A downgraded SDK cannot read the newer store schema. A client with crypto-wasm 18.5.0 or \
                 later and without matrix-js-sdk #5503 floods the server with keys"
            }
            Self::OtkSurgery => {
                "It can break encryption for every device of that user and for everyone who claimed a key. If you must: dump the \
                 table first, make sure that no call is running, change only the exact row, restart Synapse, then log the \
                 device out and back in"
            }
            Self::RaiseDelayLimit => {
                "Every client of the homeserver. Synapse must be restarted: a reload does not read this setting"
            }
            Self::PersistStorage | Self::TabGuard | Self::LoopPrompt => {
                "New logins only. It does not repair a device whose keys have diverged"
            }
        }
    }
}
