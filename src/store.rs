//! The files under `store/`, which outlive the process.
//!
//! One process uses the folder at a time; a second one is rejected with the name of the first. Every file is
//! written under a temporary name and renamed, so that a crash leaves the old or the new version. File names
//! are ours or a digest, never foreign text. Nothing here asks the time or uses anything but the disk.
//! `store/README.md` explains each file and what losing it means.

pub mod bundle;
mod captures;
mod cases;
mod files;
mod folder;
mod folder_check;
mod ledger;
mod old_handled;

pub use folder::{AccountFiles, Store, account_files};
pub use folder_check::{SPARE, free_space, health};
pub use ledger::{
    Absence, Accepted, Dropped, Due, HandedIn, Kept, KeptCapture, Ledger, NewCase, NewMessage,
    Outgoing, Owed, Step, StoredStorm, Upgrade,
};
