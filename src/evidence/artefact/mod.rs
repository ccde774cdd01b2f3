//! A file or pasted text that a user forwards → what it says, and what of it may be kept. The kind is told
//! by the content. Redaction comes first: the facts are read from the redacted text alone, so nothing is
//! known that is not in what a person may look at. What is not known is dropped.
//!
//! A file is read as a stream, through its archives, and never held: beside what was received, memory is bounded
//! by [`KEPT`], one string and one entry, whatever the file unpacks to and however it is nested.
//!
//! Nothing is written, and no name or word of a file stands in a note or an error.

mod address;
mod console;
pub(super) mod entries;
mod har;
mod json;
mod json_text;
mod keys;
mod newest;
mod path;
mod patterns;
mod phrases;
mod removed;
mod report;
mod safe;
mod scrub;
mod server;
mod text;
mod unpack;

use std::io::{Cursor, Read, SeekFrom};

use crate::evidence::ClientFacts;

pub use removed::{Removed, Secret};
pub use server::server_message;
pub use unpack::Source;

/// Bytes of redacted text that are kept of all the files of a report together. They are held, attached to a room
/// and kept with a case: 8 MiB are 40 000 lines of a log, or four hours of a call's requests, and still come
/// through to a phone.
const KEPT: usize = 8 << 20;
/// A file may get longer by being redacted; this part of the bound is kept of it in any case.
const LEAST: usize = 16;

/// Bounds on what one file may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes as received.
    pub size: usize,
    /// Bytes unpacked, in all: a bound on time, as they are not held.
    pub unpacked: usize,
    /// Files of an archive.
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
    notes: Vec<String>,
}

/// What was read of one file, of which the oldest parts may still have to go.
enum Draft {
    Report(report::Report),
    Har(har::Har),
    Console(console::Console),
}

/// One received file or pasted text → what is kept of it; one sentence for people where it is nothing that
/// is read here. The name is not believed, and only tells what a person thought that it is.
pub fn take_in(name: &str, bytes: &[u8], limits: &Limits) -> Result<Parcel, String> {
    take_in_from(name, Cursor::new(bytes), limits)
}

/// The same of a file that is read as it is needed. It is let go of before the redacted text is made, so that
/// both are not held at once.
pub fn take_in_from(
    name: &str,
    mut source: impl Source,
    limits: &Limits,
) -> Result<Parcel, String> {
    match source.seek(SeekFrom::End(0)).and_then(|size| source.rewind().map(|()| size)) {
        Err(_) => return Err("it cannot be read".into()),
        Ok(0) => return Err("it is empty".into()),
        Ok(size) if size > limits.size as u64 => {
            let most = size_words(limits.size);
            return Err(format!("it is larger than {most}: record one call only"));
        }
        Ok(_) => {}
    }
    let (mut drafts, mut unread) = (Drafts::default(), Vec::new());
    let mut each = |from: &mut dyn Read| {
        drafts.files += 1;
        if let Err(why) = drafts.read(from, limits) {
            unread.push((drafts.files, why));
        }
    };
    let mut unpacking = unpack::Unpacking::new(limits, &mut each);
    let single = unpacking.open(&mut source);
    let mut notes = unpacking.notes;
    drop(source);
    let single = single.map_err(|_| "it cannot be read")?;
    let mut artefacts: Vec<Artefact> = Vec::new();
    for (place, draft) in drafts.drafts {
        match draft.taken(limits) {
            Ok(taken) => {
                let before = artefacts.iter().filter(|known| known.kind == taken.kind).count();
                let Taken { kind, facts, text, removed, notes: more } = taken;
                let name = kind.file(before + 1);
                notes.extend(more.into_iter().map(|note| match single {
                    true => note,
                    false => format!("{name}: {note}"),
                }));
                artefacts.push(Artefact { kind, name, facts, text, removed });
            }
            Err(why) => unread.push((place, why)),
        }
    }
    for (place, why) in unread {
        if single {
            return Err(with_hope(name, why));
        }
        notes.push(format!("file {place} of the archive was not read: {why}"));
    }
    if artefacts.is_empty() {
        let why = if notes.is_empty() { "it holds no file".to_owned() } else { notes.join("; ") };
        return Err(with_hope(name, why));
    }
    Ok(Parcel { artefacts, notes })
}

/// What was read of all the files so far, by their places.
#[derive(Default)]
struct Drafts {
    drafts: Vec<(usize, Draft)>,
    files: usize,
}

impl Drafts {
    /// Reads one more file. The error is a sentence for a person.
    fn read(&mut self, from: &mut dyn Read, limits: &Limits) -> Result<(), String> {
        let budget = limits.kept - self.bytes().min(limits.kept / 2);
        let mut text = text::Decoded::of(from)?;
        let draft = match text.start() {
            Some(b'{' | b'[') => json::read(&mut text, budget, limits),
            _ => console::read(&mut text, budget).map(Draft::Console),
        };
        text.verdict()?;
        self.drafts.push((self.files, draft?));
        self.share(limits.kept);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.drafts.iter().map(|(_, draft)| draft.bytes()).sum()
    }

    /// Drops the oldest parts of the largest files until all of them fit.
    fn share(&mut self, kept: usize) {
        while let Some(over) = self.bytes().checked_sub(kept).filter(|over| *over > 0) {
            self.drafts.sort_by_key(|(_, draft)| draft.bytes());
            let second = self.drafts.iter().rev().nth(1).map_or(0, |(_, draft)| draft.bytes());
            let Some((_, largest)) = self.drafts.last_mut() else { return };
            let bytes = largest.bytes();
            // One byte less than the second, so that this ends.
            largest.shrink((bytes - over.min(bytes)).max(second.saturating_sub(1)).min(bytes - 1));
        }
        self.drafts.sort_by_key(|(place, _)| *place);
    }
}

impl Draft {
    fn bytes(&self) -> usize {
        match self {
            Self::Report(report) => report.bytes(),
            Self::Har(har) => har.bytes(),
            Self::Console(console) => console.bytes(),
        }
    }

    fn shrink(&mut self, budget: usize) {
        match self {
            Self::Report(report) => report.shrink(budget),
            Self::Har(har) => har.shrink(budget),
            Self::Console(console) => console.shrink(budget),
        }
    }

    /// Redacted, and no longer than what was read.
    fn taken(self, limits: &Limits) -> Result<Taken, String> {
        let budget = self.bytes().max(limits.kept / LEAST);
        match self {
            Self::Report(report) => Ok(report.taken(budget)),
            Self::Har(har) => Ok(har.taken()),
            Self::Console(console) => console.taken(budget, limits),
        }
    }
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
mod private;
#[cfg(test)]
mod tests;
