//! The flags of `kestrel triage`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kestrel_core::evidence;

use super::sources::Sources;
use super::verdict_output::{EXIT, Shown};

/// What to evaluate, and from which sources.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(crate) struct Triage {
    pub(super) symptom: Symptom,
    /// The user: a full Matrix ID, or only the name if a config names the server. ke3: the event. fleet:
    /// nothing
    #[arg(value_name = "USER|EVENT")]
    pub(super) subject: Option<String>,
    /// ke1, ke2, all: the exact device ID. Without it ke1 and ke2 list the user's devices, and `all` checks the
    /// one that has a problem
    pub(super) device: Option<String>,
    /// ke2: only messages from this user
    #[arg(long, value_name = "USER")]
    pub(super) sender: Option<String>,
    /// ke2: watch the device's inbox for this long, then evaluate, for example 60s
    #[arg(long, value_name = "DURATION")]
    pub(super) live: Option<String>,
    /// all: an event that does not decrypt
    #[arg(long, value_name = "EVENT")]
    pub(super) event: Option<String>,
    /// ke3, all: the client's error message about the event
    #[arg(long, value_name = "TEXT")]
    pub(super) client_says: Option<String>,
    /// A Synapse log file; repeat the flag for several processes
    #[arg(long, value_name = "FILE")]
    pub(super) log: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) sources: Sources,
    /// The affected client's diagnostics report (JSON), its log, or an archive or folder of them; can be
    /// repeated
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(super) report: Vec<PathBuf>,
    /// The affected client's network log (HAR); can be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) har: Vec<PathBuf>,
    /// The window, counted back from now or from --until: 30m, 2h, 3d
    #[arg(long, value_name = "DURATION", conflicts_with = "since")]
    pub(super) last: Option<String>,
    /// The start of the window
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// The end of the window, and the time of the evaluation
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Save the evidence to a file, for `kestrel replay`
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Symptom {
    /// One-time key conflicts of one device
    Ke1,
    /// Call media keys that do not arrive or do not decrypt
    Ke2,
    /// An event that does not decrypt
    Ke3,
    /// Delayed events that time out: calls that drop
    Ke4,
    /// All four, and how they are connected
    All,
    /// All devices with problems now
    Fleet,
}

impl From<Symptom> for evidence::Symptom {
    fn from(symptom: Symptom) -> Self {
        match symptom {
            Symptom::Ke1 => Self::Ke1,
            Symptom::Ke2 => Self::Ke2,
            Symptom::Ke3 => Self::Ke3,
            Symptom::Ke4 => Self::Ke4,
            Symptom::All => Self::All,
            Symptom::Fleet => Self::Fleet,
        }
    }
}
