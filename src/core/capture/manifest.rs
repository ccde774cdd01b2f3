//! The manifest of a finished session's bundle: what is in it, and the hashes to check it.

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inputs::{End, Mark, Note};
use super::session::Session;
use crate::evidence::Window;

/// The version of the manifest's form.
const SCHEMA: u32 = 1;
/// The manifest's own file name; it lists every other file.
pub const MANIFEST: &str = "manifest.json";

/// What a bundle is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: u32,
    /// The version of the Kestrel that made it.
    pub kestrel: String,
    pub user: OwnedUserId,
    pub device: Option<OwnedDeviceId>,
    pub window: Window,
    pub end: End,
    pub marks: Vec<Mark>,
    pub notes: Vec<Note>,
    /// In the order of their names.
    pub files: Vec<BundledFile>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledFile {
    pub name: String,
    /// 64 hex digits.
    pub sha256: String,
    pub length: u64,
}

impl BundledFile {
    /// A file by what is in it.
    pub fn from_content(name: &str, content: &[u8]) -> Self {
        let sum = Sha256::digest(content);
        Self {
            name: name.to_owned(),
            sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
            length: content.len() as u64,
        }
    }
}

impl Manifest {
    /// The manifest of a session's bundle; `None` while the session runs.
    pub fn for_session(
        session: &Session,
        kestrel: &str,
        mut files: Vec<BundledFile>,
    ) -> Option<Self> {
        let (_, end) = session.ended?;
        files.sort_by(|one, other| one.name.cmp(&other.name));
        files.dedup_by(|one, other| one.name == other.name);
        Some(Self {
            schema: SCHEMA,
            kestrel: kestrel.to_owned(),
            user: session.asked.user.clone(),
            device: session.asked.device.clone(),
            window: session.window(),
            end,
            marks: session.marks.clone(),
            notes: session.notes.clone(),
            files,
        })
    }

    /// Reads a bundle's manifest. The error is a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text)
            .map_err(|why| format!("{MANIFEST} is not a bundle's manifest: {why}"))?;
        match manifest.schema {
            SCHEMA => Ok(manifest),
            theirs => Err(format!("{MANIFEST} has schema {theirs}; this Kestrel reads {SCHEMA}")),
        }
    }

    /// Checks a file against the manifest. The error is a sentence.
    pub fn check(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let listed = self.files.iter().find(|file| file.name == name);
        let listed = listed.ok_or_else(|| format!("{name} is not listed in {MANIFEST}"))?;
        if *listed == BundledFile::from_content(name, content) {
            return Ok(());
        }
        Err(format!("{name} does not match {MANIFEST}: it was changed or truncated"))
    }
}

/// The bundle's folder: the start in UTC, sortable and valid on every file system.
pub fn folder_name(started: Timestamp) -> String {
    started.strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}
