//! Reads facts from Synapse's database, over one read-only session.
//!
//! One statement per table, each with an index and parameters: user input never becomes SQL. The statements
//! read only the columns that `kestrel grants` allows, and also work for an ordinary reader.

mod answers;
pub mod clock_skew;
mod connect;
pub mod delayed;
mod device;
mod event;
mod fleet;
mod grants;
mod inbox;
pub mod poll;
mod probe;
mod replica;
mod role_check;
mod sql;

pub use device::{DeviceList, device_list};
pub use fleet::confirm;
pub use grants::grants;
pub use inbox::capture_watch::InboxWatch;
pub use inbox::live::watch;
pub use probe::probe;
pub use replica::doubt;
pub use role_check::{CheckResult, limit_binds, reads_only};
