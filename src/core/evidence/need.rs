//! What a branch of the tree needs to know: plans are made of needs, and answers carry them.

use serde::{Deserialize, Serialize};

/// What a branch of the tree needs to know. Plans are made of these, and answers carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// One-time key uploads, refusals and claims of one device, from Synapse's log.
    KeyLog,
    /// The user's devices, from `devices`.
    Devices,
    /// The device's identity keys, from `e2e_device_keys_json`.
    DeviceKeys,
    /// The device's stored one-time keys, from `e2e_one_time_keys_json`.
    OneTimeKeys,
    /// The device's fallback keys, from `e2e_fallback_keys_json`.
    FallbackKeys,
    /// The event's row, from `events`.
    Event,
    /// The shape of the event's content, from `event_json`.
    EventShape,
    /// Redactions that name the event, from `redactions`.
    Redactions,
    /// To-device messages that wait for the device, from `device_inbox`.
    Inbox,
    /// Whether the device is a dehydrated one, from `dehydrated_devices`.
    Dehydrated,
    /// To-device messages to the device and the user's syncs, from Synapse's log.
    ToDeviceLog,
    /// Requests on delayed events and the latency of all, from Synapse's log.
    DelayLog,
    /// The user's pending delayed events, from `delayed_events`.
    DelayedEvents,
    /// Delayed events that were sent in the user's rooms, from `events` and `event_json`.
    SentDelays,
    /// Latency as Prometheus measured it.
    Metrics,
    /// What a client's own report or HAR file says.
    Client,
    /// Whether access tokens could be checked, and who removed the device, from Synapse's log.
    AuthLog,
    /// Key traffic of every device, from Synapse's log.
    FleetLog,
    /// Devices in trouble by their stored keys, from the key tables.
    FleetRows,
    /// Whether the database is a replica, and how new its data is. No plan asks for it: each session does.
    Replica,
    /// All devices of the user with what is worth a look at each, where one of them had to be chosen.
    DeviceList,
}

impl Need {
    /// The needs that a log answers.
    pub const OF_LOGS: [Self; 5] =
        [Self::KeyLog, Self::ToDeviceLog, Self::DelayLog, Self::AuthLog, Self::FleetLog];

    /// Whether the database answers it.
    pub fn is_of_database(self) -> bool {
        !Self::OF_LOGS.contains(&self) && !matches!(self, Self::Metrics | Self::Client)
    }
}
