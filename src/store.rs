//! Everything under `store/`: what Kestrel knows → files that outlive it, and back.
//!
//! One process holds the folder; a second one is refused and told who holds it. Every file is written
//! beside its place and renamed, so a crash leaves the old one or the new one. A file's name is ours or
//! a digest, never foreign text. Nothing here asks the time or speaks to anything but the disk.
//! `store/README.md` says what each file is and what losing it means.

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
