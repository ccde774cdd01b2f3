//! How far a log was read → what finds the same place again, in whichever file it stands by then. By
//! content: inodes are used again, and a log is renamed, copied and compressed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A file is known by so many of its first bytes; lines carry milliseconds and request ids.
pub const HEAD: usize = 4096;

/// Where reading of one log goes on: by file identity and offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The files that are read, oldest first: rotated ones that may still get late lines, then the current.
    pub(super) files: Vec<FilePosition>,
    /// So many bytes before it have to be read again to know the uploads under way.
    pub(super) lead: u64,
    /// The newest moment that was read.
    pub(super) last: Option<Timestamp>,
    /// When the newest file that held a record begins, as written.
    pub(super) began: Option<i64>,
    /// What is older was never asked for.
    pub(super) since: Timestamp,
}

/// A place in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    pub device: u64,
    pub inode: u64,
    pub head: Fingerprint,
    /// The start of the first line that was not read.
    pub offset: u64,
    /// The bytes right before it.
    pub before: Fingerprint,
}

/// Some bytes, told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub length: u64,
    sha256: String,
}

impl Fingerprint {
    /// Of these bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        // Half of it tells files apart well enough.
        let sha256 = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { length: bytes.len() as u64, sha256 }
    }
}

impl Position {
    /// The files that can be found again by their content.
    pub(super) fn findable(&self) -> Vec<FilePosition> {
        self.files.iter().filter(|file| file.head.length > 0).cloned().collect()
    }
}

impl FilePosition {
    /// Whether a file that begins with `head` is this one, or a copy of it.
    pub fn begins(&self, head: &[u8]) -> bool {
        let length = self.head.length as usize;
        length > 0
            && head.get(..length).is_some_and(|head| Fingerprint::of_bytes(head) == self.head)
    }
}
