//! A saved position, and how to find it again in whichever file it is by then. It goes by content: inodes are
//! reused, and logs are renamed, copied and compressed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A file is identified by this many of its first bytes; lines contain milliseconds and request IDs.
pub const HEAD: usize = 4096;

/// Where to resume reading one log: by file identity and offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The files to read, oldest first: rotated ones that may still get late lines, then the current one.
    pub(super) files: Vec<FilePosition>,
    /// This many bytes before it are read again to know the uploads in progress.
    pub(super) lead: u64,
    /// The newest time that was read.
    pub(super) last: Option<Timestamp>,
    /// The start of the newest file with a record, as written.
    pub(super) began: Option<i64>,
    /// Older lines were never requested.
    pub(super) since: Timestamp,
}

/// A position in one file.
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

/// A fingerprint of some bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub length: u64,
    sha256: String,
}

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        // Half of the digest is enough to distinguish files.
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
