//! What users send, as it is kept: the kinds of files, the bounds on one, and what came of it.

use serde::Serialize;

use crate::evidence::client::ClientFacts;
use crate::evidence::redaction::Removed;

/// What is kept of one received file.
#[derive(Debug)]
pub struct Parcel {
    pub artefacts: Vec<Artefact>,
    /// For people: the parts that were not read, and why.
    pub notes: Vec<String>,
}

/// One file that was understood.
#[derive(Debug)]
pub struct Artefact {
    pub kind: FileKind,
    /// Ours, safe as a file name.
    pub name: String,
    pub facts: ClientFacts,
    /// Redacted: fit to be kept, attached and bundled.
    pub text: String,
    pub removed: Removed,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A client's diagnostics report.
    Report,
    /// A browser's network log.
    Har,
    /// A console log or a rageshake log.
    Console,
}

impl FileKind {
    /// As a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Report => "a diagnostics report",
            Self::Har => "a network log",
            Self::Console => "a client's log",
        }
    }

    /// The name that it gets, safe as a file name.
    pub(crate) fn file(self, number: usize) -> String {
        let (name, ending) = match self {
            Self::Report => ("report", "json"),
            Self::Har => ("network", "har"),
            Self::Console => ("console", "log"),
        };
        match number {
            1 => format!("{name}.{ending}"),
            number => format!("{name}-{number}.{ending}"),
        }
    }
}

/// Bytes of redacted text that are kept of all the files of a report together. They are held, attached to a room
/// and kept with a case: 8 MiB are 40 000 lines of a log, or four hours of a call's requests, and still come
/// through to a phone.
const KEPT: usize = 8 << 20;
/// Bounds on what one file may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes as received.
    pub size: usize,
    /// Bytes unpacked, in all: a bound on time, as they are not held.
    pub unpacked: usize,
    /// Files of an archive; the parts of one log count as one.
    pub files: usize,
    /// Archives inside archives; a tar in a gzip is one.
    pub depth: usize,
    /// Bytes of redacted text that are kept of all files together.
    pub kept: usize,
    /// IP addresses are kept.
    pub addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 32 << 20,
            unpacked: 256 << 20,
            files: 16,
            depth: 2,
            kept: KEPT,
            addresses: false,
        }
    }
}

/// A bound as people read it.
pub(crate) fn size_words(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", (bytes >> 10).max(1)),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
