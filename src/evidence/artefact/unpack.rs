//! Received bytes → the files in them: gzip, zip and tar, unpacked in memory under hard limits. Nothing is
//! written anywhere, so a member's name is never a path; it is looked at only to refuse what no honest
//! archive holds, and never quoted.

use std::io::{Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;
use zip::result::ZipError;

use super::Limits;

/// The files of an archive, or the one file that was no archive.
#[derive(Default)]
pub(super) struct Unpacked {
    pub files: Vec<Vec<u8>>,
    /// What was not read and why, for people.
    pub notes: Vec<String>,
    bytes: usize,
    seen: usize,
}

/// Central headers in a zip before its directory is read into memory.
const HEADERS: usize = 4096;
/// Notes of one parcel.
const NOTES: usize = 12;

/// Unpacks what was received.
pub(super) fn unpack(bytes: &[u8], limits: &Limits) -> Unpacked {
    let mut unpacked = Unpacked::default();
    unpacked.open(bytes.to_vec(), 0, limits);
    unpacked
}

impl Unpacked {
    fn open(&mut self, bytes: Vec<u8>, depth: usize, limits: &Limits) {
        let packed = bytes.starts_with(b"\x1f\x8b") || is_zip(&bytes) || is_tar(&bytes);
        if packed && depth >= limits.depth {
            return self.note("an archive inside an archive inside an archive was not opened");
        }
        if bytes.starts_with(b"\x1f\x8b") {
            self.gzip(&bytes, depth, limits);
        } else if is_zip(&bytes) {
            self.zip(&bytes, depth, limits);
        } else if is_tar(&bytes) {
            self.tar(&bytes, depth, limits);
        } else {
            self.files.push(bytes);
        }
    }

    fn gzip(&mut self, bytes: &[u8], depth: usize, limits: &Limits) {
        let (inner, torn) = self.read(MultiGzDecoder::new(bytes), limits);
        if let Some(torn) = torn {
            self.note(torn.words("the gzip file"));
        }
        // A tar in a gzip is one archive.
        let depth = if is_tar(&inner) { depth } else { depth + 1 };
        if !inner.is_empty() {
            self.open(inner, depth, limits);
        }
    }

    fn zip(&mut self, bytes: &[u8], depth: usize, limits: &Limits) {
        if memchr::memmem::find_iter(bytes, b"PK\x01\x02").nth(HEADERS).is_some() {
            return self.note(format!("the zip holds more than {HEADERS} files"));
        }
        let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else {
            self.note("the zip is torn: its directory is missing, so it was read from its start");
            return self.torn_zip(bytes, depth, limits);
        };
        for place in 0..archive.len() {
            if self.is_full(limits) {
                return;
            }
            match archive.by_index(place) {
                Ok(file) if file.is_dir() => {}
                Ok(file) if file.is_symlink() => self.note("a link in the zip was not followed"),
                Ok(file) if file.name().is_ok_and(|name| climbs(&name)) => {
                    self.note("a file of the zip whose name leads elsewhere was not read");
                }
                Ok(file) => self.member(file, depth, limits, "a file of the zip"),
                Err(why) => self.note(zip_words(&why)),
            }
        }
    }

    /// Without a directory the files are found one after the other, up to where it was torn.
    fn torn_zip(&mut self, bytes: &[u8], depth: usize, limits: &Limits) {
        let mut rest = bytes;
        while !self.is_full(limits) {
            match zip::read::read_zipfile_from_stream(&mut rest) {
                Ok(None) => return,
                Ok(Some(file)) if file.is_dir() => {}
                Ok(Some(file)) if file.name().is_ok_and(|name| climbs(&name)) => {
                    self.note("a file of the zip whose name leads elsewhere was not read");
                }
                Ok(Some(file)) => self.member(file, depth, limits, "a file of the zip"),
                Err(why) => return self.note(zip_words(&why)),
            }
        }
    }

    fn tar(&mut self, bytes: &[u8], depth: usize, limits: &Limits) {
        let mut archive = tar::Archive::new(bytes);
        let torn = "the tar is torn: what stands behind the tear was not read";
        let Ok(entries) = archive.entries() else { return self.note(torn) };
        for entry in entries {
            if self.is_full(limits) {
                return;
            }
            let Ok(entry) = entry else { return self.note(torn) };
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                self.note("a link in the tar was not followed");
            } else if climbs(&String::from_utf8_lossy(&entry.path_bytes())) {
                self.note("a file of the tar whose name leads elsewhere was not read");
            } else if kind.is_file() {
                self.member(entry, depth, limits, "a file of the tar");
            }
        }
    }

    fn member(&mut self, file: impl Read, depth: usize, limits: &Limits, what: &str) {
        self.seen += 1;
        let (inner, torn) = self.read(file, limits);
        if let Some(torn) = torn {
            self.note(torn.words(what));
        }
        if !inner.is_empty() {
            self.open(inner, depth + 1, limits);
        }
    }

    /// Reads to the end, to the limit, or to the tear.
    fn read(&mut self, from: impl Read, limits: &Limits) -> (Vec<u8>, Option<Torn>) {
        let left = limits.unpacked.saturating_sub(self.bytes);
        let mut inner = Vec::new();
        let read = from.take(left as u64 + 1).read_to_end(&mut inner);
        self.bytes = self.bytes.saturating_add(inner.len());
        if inner.len() > left {
            // What a bomb unpacks to is nobody's log.
            return (Vec::new(), Some(Torn::Large(limits.unpacked)));
        }
        match read {
            Ok(_) => (inner, None),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => (inner, Some(Torn::Short)),
            Err(_) => (inner, Some(Torn::Damaged)),
        }
    }

    fn is_full(&mut self, limits: &Limits) -> bool {
        if self.bytes > limits.unpacked {
            return true;
        }
        let full = self.seen >= limits.files;
        if full {
            self.note(format!("only the first {} files of the archive were read", limits.files));
        }
        full
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Why a stream ended before its end.
enum Torn {
    Short,
    Damaged,
    Large(usize),
}

impl Torn {
    fn words(&self, what: &str) -> String {
        match self {
            Self::Short => format!("{what} is torn: it ends too early"),
            Self::Damaged => format!("{what} is damaged, and was read up to the damage"),
            Self::Large(most) => {
                let most = super::size_words(*most);
                format!("{what} unpacks to more than {most}, and was not read")
            }
        }
    }
}

fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Whether a name leads out of the folder that an archive would be unpacked to.
fn climbs(name: &str) -> bool {
    let parts = || name.split(['/', '\\']);
    parts().any(|part| part == "..")
        || name.starts_with(['/', '\\'])
        || parts().next().is_some_and(|first| first.ends_with(':'))
}

fn zip_words(why: &ZipError) -> &'static str {
    match why {
        ZipError::InvalidPassword => "a file of the zip is locked with a password",
        ZipError::UnsupportedArchive(what) if *what == ZipError::PASSWORD_REQUIRED => {
            "a file of the zip is locked with a password"
        }
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            "a file of the zip is packed in a way that I do not read"
        }
        _ => "a file of the zip is torn or damaged",
    }
}
