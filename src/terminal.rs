//! The same flow on a terminal: flags in, a verdict on standard output, an exit status for scripts.
//!
//! Exit status: 0 a verdict was reached, whatever it is; 3 not enough evidence; 2 bad usage; 1 internal
//! error.

mod cases;
mod client_files;
mod configured;
mod doctor;
mod doctor_checks;
mod list_format;
mod output;
mod question;
mod redact;
mod replay;
mod report_folder;
mod slip;
mod sources;
mod storms;
mod tree;
mod triage;
mod triage_flags;
mod verdict_output;
mod watch;

pub(super) use self::cases::{Cases, OneCase, case, cases};
pub(super) use self::configured::Configured;
pub(super) use self::doctor::{AccountCheck, doctor};
pub(super) use self::output::{coloured, say};
pub(super) use self::redact::{Redact, redact};
pub(super) use self::replay::{Replay, replay};
pub(super) use self::storms::{Muting, Storms, Unmuting, mute, storms, unmute};
pub(super) use self::tree::{Tree, tree};
pub(super) use self::triage::triage;
pub(super) use self::triage_flags::Triage;
pub(super) use self::watch::{Watching, watch};
