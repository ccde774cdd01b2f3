//! Files that only their owner can read, written completely or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use ruma::EventId;
use sha2::{Digest, Sha256};

/// An event ID as a file name: 64 hex digits.
pub(super) fn digest(event: &EventId) -> String {
    let sum = Sha256::digest(event.as_bytes());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The folder may already exist, with wider permissions.
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    Ok(())
}

pub(super) fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file that only its owner can read: under a temporary name first, then renamed, with the folder
/// flushed, so that after a power failure it is complete or absent.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        // From a crash; its mode may differ.
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
