//! What can be known about a device: typed facts, each with where it came from and the query that
//! shows it again.
//!
//! Evidence serialises: a saved `evidence.json` replays to the same verdict. It holds no secret: of a
//! one-time key it keeps the first characters and a digest, never the whole value, because the value of
//! an unclaimed key is known to the server and the device only, and that is what tells a true log line
//! from a forged one.
//!
//! Nothing here reads a file, a socket or a clock.

pub mod api_path;
pub mod auth;
pub mod blind;
pub mod client;
pub mod client_file;
pub mod delay;
mod device_rows;
pub mod event;
mod figures;
pub mod fleet;
mod gathered;
pub mod hidden;
mod inbox_shape;
pub mod key_log;
pub(crate) mod key_log_sum;
mod known;
pub mod log_event;
mod lookup;
mod need;
pub mod otk;
pub mod poll;
pub mod python_repr;
pub mod quoted_device;
pub mod redaction;
pub mod removal;
pub mod replica;
mod signatures;
pub mod storm_thresholds;
mod subject;
mod symptom;
pub mod to_device;
pub mod visibility;
mod window;

pub use client::ClientFacts;
pub use device_rows::{DeviceKeys, DeviceRow, FallbackKey, StoredKey, StoredKeys};
pub use event::{Algorithm, EventRow, EventShape, Redaction};
pub use figures::{counted, utc, utc_span};
pub use gathered::{Evidence, Fact, Gathered, SCHEMA, Shown, State};
pub use key_log::KeyLog;
pub use known::Known;
pub use need::Need;
pub use otk::{KeyId, KeyView};
pub use redaction::shortened;
pub use replica::{Replay, Replica};
pub use subject::{
    About, EventSubject, SenderSubject, ServerSubject, Subject, UserSubject, WholeSubject,
};
pub use symptom::Symptom;
pub use window::Window;
