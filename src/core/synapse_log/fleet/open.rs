//! Uploads under way, and the devices whose refusals are known for true.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::synapse_log::message::{Access, Refusal, Upload};

/// Devices remembered; then they are learnt anew.
const DEVICES: usize = 8192;

/// An upload whose end was not seen yet.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) upload: Upload,
    pub(crate) end: End,
    /// … by a line that a client may have written.
    pub(crate) end_reach: bool,
    /// Every line of it so far is where a client's text may reach.
    pub(crate) reach: bool,
    /// An end that a client may have written: it counts where no other comes.
    pub(crate) doubted: Option<(Access, Timestamp)>,
    /// Where and when it began.
    pub(crate) byte: u64,
    pub(crate) at: Timestamp,
}

/// What was said of an upload before its end.
#[derive(Debug, Default)]
pub(crate) enum End {
    #[default]
    Unsaid,
    Refused(Box<Refusal>),
    TooLarge,
}

/// Devices that were refused where no client's text reaches: another refusal accuses them of nothing new,
/// wherever its lines stand. While peers claim a dead account's keys each refusal names another key, and its
/// lines are behind those of the claims.
#[derive(Debug, Default)]
pub(crate) struct RejectedDevices {
    digests: HashSet<u64>,
}

impl RejectedDevices {
    /// Notes the device of a refused upload, unless a client may have written all of its lines.
    pub(crate) fn learn(&mut self, open: &Open) {
        let Some(device) = refused(open).filter(|_| !open.reach) else { return };
        if self.digests.len() >= DEVICES {
            self.digests.clear();
        }
        self.digests.insert(device);
    }

    /// Whether an upload was refused, of a device that is known to be.
    pub(crate) fn knows(&self, open: &Open) -> bool {
        refused(open).is_some_and(|device| self.digests.contains(&device))
    }
}

/// A digest of whose upload was refused.
fn refused(open: &Open) -> Option<u64> {
    if !matches!(open.end, End::Refused(_)) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (&open.upload.user, &open.upload.device).hash(&mut hasher);
    Some(hasher.finish())
}
