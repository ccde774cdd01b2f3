//! Synapse's database → rows as facts, over one read-only session.
//!
//! One statement a table, each by an index, each with parameters: what was typed never becomes SQL. The
//! statements read only the columns that `kestrel grants` gives, and work for a plain reader too.

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
pub use role_check::{Finding, limit_binds, reads_only};
