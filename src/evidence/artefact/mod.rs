//! A file or pasted text that a user forwards → what it says, and what of it may be kept. The kind is told
//! by the content. Redaction comes first: the facts are read from the redacted text alone, so nothing is
//! known that is not in what a person may look at. What is not known is dropped.
//!
//! Nothing is written, and no name or word of a file stands in a note or an error.

mod address;
mod console;
pub(super) mod entries;
mod har;
mod keys;
mod path;
mod patterns;
mod removed;
mod report;
mod scrub;
mod server;
mod text;
mod unpack;

use crate::evidence::ClientFacts;

pub use removed::{Removed, Secret};
pub use server::server_message;

/// Bounds on what one file may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes as received.
    pub size: usize,
    /// Bytes unpacked, in all.
    pub unpacked: usize,
    /// Files of an archive.
    pub files: usize,
    /// Archives inside archives; a tar in a gzip is one.
    pub depth: usize,
    /// IP addresses are kept.
    pub addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 32 << 20, unpacked: 256 << 20, files: 16, depth: 2, addresses: false }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A client's diagnostics report.
    Report,
    /// A browser's network log.
    Har,
    /// A console log or a rageshake log.
    Console,
}

impl Kind {
    /// As a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Report => "a diagnostics report",
            Self::Har => "a network log",
            Self::Console => "a client's log",
        }
    }

    fn file(self, number: usize) -> String {
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
    pub kind: Kind,
    /// Ours, safe as a file name.
    pub name: String,
    pub facts: ClientFacts,
    /// Redacted: fit to be kept, attached and bundled.
    pub text: String,
    pub removed: Removed,
}

/// What a reader makes of one file; its name comes later.
struct Taken {
    kind: Kind,
    facts: ClientFacts,
    text: String,
    removed: Removed,
    note: Option<String>,
}

/// One received file or pasted text → what is kept of it; one sentence for people where it is nothing that
/// is read here. The name is not believed, and only tells what a person thought that it is.
pub fn take_in(name: &str, bytes: &[u8], limits: &Limits) -> Result<Parcel, String> {
    if bytes.len() > limits.size {
        let most = size_words(limits.size);
        return Err(format!("it is larger than {most}: record one call only"));
    }
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let unpack::Unpacked { files, mut notes, .. } = unpack::unpack(bytes, limits);
    let single = files.len() == 1 && files.first().is_some_and(|file| file.len() == bytes.len());
    let mut artefacts: Vec<Artefact> = Vec::new();
    for (place, file) in files.into_iter().enumerate() {
        match read(file, limits) {
            Ok(taken) => {
                let before = artefacts.iter().filter(|known| known.kind == taken.kind).count();
                let Taken { kind, facts, text, removed, note } = taken;
                notes.extend(note);
                artefacts.push(Artefact {
                    kind,
                    name: kind.file(before + 1),
                    facts,
                    text,
                    removed,
                });
            }
            Err(why) if single => return Err(with_hope(name, why)),
            Err(why) => {
                notes.push(format!("file {} of the archive was not read: {why}", place + 1))
            }
        }
    }
    if artefacts.is_empty() {
        let why = if notes.is_empty() { "it holds no file".to_owned() } else { notes.join("; ") };
        return Err(with_hope(name, why));
    }
    Ok(Parcel { artefacts, notes })
}

fn read(bytes: Vec<u8>, limits: &Limits) -> Result<Taken, String> {
    let text = text::decoded(bytes)?;
    let start = text.trim_start().as_bytes().first().copied();
    if !matches!(start, Some(b'{' | b'[')) {
        return console::read(&text, limits);
    }
    if let Some(taken) = har::read(text.trim_start(), limits) {
        return Ok(taken);
    }
    // A log's line may begin with a bracket, too.
    report::read(&text, limits).or_else(|why| console::read(&text, limits).map_err(|_| why))
}

/// A sentence about a file that was thought to be something: the name's ending says what.
fn with_hope(name: &str, why: String) -> String {
    let name = name.to_ascii_lowercase();
    match () {
        () if name.ends_with(".har") && !why.contains("HAR") => format!("it is no HAR file: {why}"),
        () => why,
    }
}

fn size_words(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", (bytes >> 10).max(1)),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
