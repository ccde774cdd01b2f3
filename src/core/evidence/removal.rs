//! What a line of Synapse's log says about removed devices. A removed device loses its one-time keys, its device keys
//! and its inbox, so that what was rejected before is history.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::evidence::subject::Subject;

/// Which line says that a device was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedBy {
    /// `Deleting devices [...] for '@u:s'` (Synapse ≥ 1.149): it names the device before it is deleted.
    Deleted,
    /// The task that empties a removed device's inbox has ended: it names the device (Synapse < 1.149).
    Task,
    /// The authentication service removed devices of the user; the line does not name them.
    Sync,
}

/// What a line says about removed devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub user: OwnedUserId,
    /// None where the line names no device.
    pub devices: Vec<OwnedDeviceId>,
    pub by: RemovedBy,
}

impl Removed {
    /// Whether the subject may be one of them.
    pub fn concerns(&self, subject: &Subject) -> bool {
        let named = self.devices.contains(&subject.device);
        self.user == subject.user && (named || self.by == RemovedBy::Sync)
    }
}
