//! The lab: a real Synapse on a real PostgreSQL, real clients, and the faults Kestrel is asked about.
//!
//! It turns "a homeserver where @evicted's device is in a key storm" into a running thing with a log
//! and a database to read. It never imitates a server or a client, never reaches beyond loopback once
//! it is installed, and never touches a homeserver it did not start.
//!
//! In the order things happen: [`install`] puts Synapse and PostgreSQL into the cache folder once;
//! `leash` starts processes that die with us; `postgres` and `synapse` are those two processes;
//! [`Lab`] is both together; [`Device`] is a client with a store of its own; [`faults`] break devices and [`media`] calls;
//! [`gateway`] is a stub of a proxy that fails on demand, and [`mas`] one of an authentication service; [`jsdk`] is a web client and [`artefacts`] what users send of clients in trouble;
//! [`ops`] is the encrypted room an admin and the bot share; [`demo`] plays all of it to a person.
//!
//! ```no_run
//! use kestrel_lab::{Lab, LabOptions, faults};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let lab = Lab::start(LabOptions::default()).await?;
//! let patient = faults::evict(&lab).await?;
//! lab.log_written().await?;
//! println!("{} {}: see {}", patient.user, patient.device, lab.log_path().display());
//! # Ok(())
//! # }
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "the lab lives in real time and in the user's environment"
)]
// The Matrix client's futures are nested deeper than the compiler's default allows.
#![recursion_limit = "256"]

pub mod artefacts;
pub mod calls;
mod clock;
pub mod cured;
pub mod demo;
mod device;
pub mod faults;
pub mod forge;
pub mod gateway;
pub mod install;
pub mod jsdk;
mod lab;
mod leash;
pub mod mas;
pub mod media;
pub mod ops;
mod postgres;
pub mod prometheus;
mod replica;
mod room;
mod synapse;
mod template;
pub mod wire;

pub use device::{Device, Syncing};
pub use faults::{Fault, Patient};
pub use lab::{Account, DEFAULT_SYNAPSE, Lab, LabOptions};
pub use replica::Replica;
pub use synapse::LogFormat;
