//! A file or pasted text that a user sends → what it says, and what of it may be stored. The content decides the kind.
//! Redaction comes first: the facts are read from the redacted text alone, so Kestrel knows only what a person may
//! look at. What is not known is dropped.
//!
//! A file is read as a stream, through its archives, and is never whole in memory. In addition to what was received,
//! memory is limited to `KEPT`, one string and one entry, whatever the file unpacks to and however it is nested.
//!
//! Nothing is written, and no note or error contains a name or a word of a file.

use std::io::{Cursor, Read, SeekFrom};

use crate::client_files::archive::marks::Source;
use crate::client_files::archive::series::Member;
use crate::client_files::archive::unpack::Unpacking;
use crate::client_files::drafts::Drafts;
use crate::client_files::taken::Taken;
use crate::evidence::ClientFacts;
use crate::evidence::client_file::{Artefact, Limits, Parcel, size_words};

/// One received file or pasted text → what is stored of it, or one sentence for people if it cannot be read. The name
/// is only a hint at what a person thought that it is.
pub fn take_in(name: &str, bytes: &[u8], limits: &Limits) -> Result<Parcel, String> {
    take_in_from(name, Cursor::new(bytes), limits)
}

/// The same for a file that is read as needed. It is dropped before the redacted text is made, so that both are not
/// in memory at once.
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
    let mut drafts = Drafts::default();
    let mut each = |from: &mut dyn Read, member| drafts.read(from, member, limits);
    let mut unpacking = Unpacking::new(limits, &mut each);
    let single = unpacking.open(&mut source);
    let notes = unpacking.notes;
    drop(source);
    let single = single.map_err(|_| "it cannot be read")?;
    let within = if single { None } else { Some("archive") };
    parcel(drafts, notes, within, limits).map_err(|why| with_hope(name, why))
}

/// A file of a folder. Its name says how new it is.
#[derive(Debug, Clone)]
pub struct Listed {
    pub name: String,
    pub size: u64,
}

/// The files of a folder, the newest first, as those of an archive; each is opened by its place when it is read.
pub fn take_in_folder<S: Source + 'static>(
    files: &[Listed],
    open: &mut dyn FnMut(usize) -> std::io::Result<S>,
    limits: &Limits,
) -> Result<Parcel, String> {
    let mut drafts = Drafts::default();
    let mut each = |from: &mut dyn Read, member| drafts.read(from, member, limits);
    let mut unpacking = Unpacking::new(limits, &mut each);
    let members = files.iter().enumerate();
    let members = members.map(|(place, file)| Member::new(place, &file.name, file.size));
    unpacking.folder(members.collect(), &mut |place| {
        let file: Box<dyn Source> = Box::new(open(place)?);
        Ok(file)
    });
    let notes = unpacking.notes;
    parcel(drafts, notes, Some("folder"), limits)
}

/// What was read → what is stored of it. `within` is what contained the files, if anything did.
fn parcel(
    mut drafts: Drafts,
    mut notes: Vec<String>,
    within: Option<&str>,
    limits: &Limits,
) -> Result<Parcel, String> {
    let unread = notes.clone();
    let mut artefacts: Vec<Artefact> = Vec::new();
    for taken in drafts.taken(limits) {
        let before = artefacts.iter().filter(|known| known.kind == taken.kind).count();
        let Taken { kind, facts, text, removed, notes: more } = taken;
        let name = kind.file(before + 1);
        notes.extend(more.into_iter().map(|note| match within {
            None => note,
            Some(_) => format!("{name}: {note}"),
        }));
        artefacts.push(Artefact { kind, name, facts, text, removed });
    }
    for (files, place, why) in alike(drafts.unread) {
        let Some(within) = within else { return Err(why) };
        notes.push(match files {
            1 => format!("file {} in the {within} was not read: {why}", place + 1),
            files => format!("{files} files in the {within} were not read: {why}"),
        });
    }
    let Some(first) = artefacts.first_mut() else {
        let empty = notes.is_empty();
        return Err(if empty { "it contains no file".to_owned() } else { notes.join("; ") });
    };
    first.facts.unread.extend(unread);
    dated(&mut artefacts);
    Ok(Parcel { artefacts, notes })
}

/// Files that were not read for the same reason: how many, the place of the first, and the reason.
fn alike(unread: Vec<(usize, String)>) -> Vec<(usize, usize, String)> {
    let mut all: Vec<(usize, usize, String)> = Vec::new();
    for (place, why) in unread {
        match all.iter_mut().find(|(.., known)| *known == why) {
            Some((files, ..)) => *files += 1,
            None => all.push((1, place, why)),
        }
    }
    all
}

/// A bug report's details have no time: they were written at the end of the logs that came with them.
fn dated(artefacts: &mut [Artefact]) {
    let spans = artefacts.iter().filter_map(|artefact| artefact.facts.span);
    let Some(last) = spans.map(|(_, last)| last).max() else { return };
    let undated = |facts: &&mut ClientFacts| facts.span.is_none() && facts.identity.is_some();
    artefacts
        .iter_mut()
        .map(|artefact| &mut artefact.facts)
        .filter(undated)
        .for_each(|facts| facts.span = Some((last, last)));
}

/// A sentence about a file that its sender took for something else: the name's ending says what.
fn with_hope(name: &str, why: String) -> String {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".har") && !why.contains("HAR") {
        format!("it is not a HAR file: {why}")
    } else {
        why
    }
}
