//! Received bytes → the files in them, each as a stream: gzip, zip and tar, unpacked as they are read and never
//! whole in memory. Nothing is written anywhere, so a file's name is never a path. A name is used only to reject what
//! no honest archive contains and to read the newest first, and is never quoted.

use std::cell::Cell;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::client_files::archive::directory::{headers, tar_members, zip_words};
use crate::client_files::archive::marks::{Source, head, is_gzip, is_tar, is_zip};
use crate::client_files::archive::series::{self, Member};
use crate::evidence::client_file::{Limits, size_words};

/// What is done with each file.
pub(crate) type Each<'a> = dyn FnMut(&mut dyn Read, Member) + 'a;

/// What opens a file by its place.
pub(crate) type Open<'a> = dyn FnMut(usize) -> io::Result<Box<dyn Source>> + 'a;

/// The state of reading an archive.
pub(crate) struct Unpacking<'a> {
    limits: &'a Limits,
    each: &'a mut Each<'a>,
    /// Bytes that may still be unpacked.
    left: Rc<Cell<usize>>,
    /// Files that were started.
    seen: usize,
    /// What is read of the tar that was received. `None` for a tar inside another archive: it can be read only once,
    /// so it is read from its start.
    wanted: Option<Vec<Member>>,
    /// What was not read and why, for people.
    pub(crate) notes: Vec<String>,
}

/// Central headers in a zip, and their bytes, before its directory is read into memory.
const HEADERS: usize = 4096;
const DIRECTORY: usize = 1 << 20;
/// Bytes of a zip inside another archive: a zip is read from its end, so that one has to be in memory.
const NESTED: usize = 4 << 20;
/// The most that a zip's reader may ask for at once: no name is longer, and a file is read in steps.
const PIECE: usize = 128 << 10;
/// Bytes that are unpacked at a time: where an archive is damaged, those of the last step are lost.
const STEP: usize = 8 << 10;
/// How many times longer a log is after unpacking.
const GZIP: u64 = 12;
/// Notes of one parcel.
const NOTES: usize = 12;

impl<'a> Unpacking<'a> {
    pub(crate) fn new(limits: &'a Limits, each: &'a mut Each<'a>) -> Self {
        let left = Rc::new(Cell::new(limits.unpacked));
        Self { limits, each, left, seen: 0, wanted: None, notes: Vec::new() }
    }

    /// Reads what was received. True if it is a single file and not an archive.
    pub(crate) fn open(&mut self, source: &mut dyn Source) -> io::Result<bool> {
        let head = head(source)?;
        source.rewind()?;
        if is_zip(&head) {
            self.zip(source, 0);
            return Ok(false);
        }
        let packed = is_gzip(&head) || is_tar(&head);
        if packed {
            self.choose(source)?;
        }
        let mut from = Metered { from: source, left: Rc::new(Cell::new(usize::MAX)), ended: None };
        self.stream(Vec::new(), &mut from, 0, Member::new(0, "", 0));
        self.ended(&from, "the file");
        Ok(!packed)
    }

    /// Reads files that are opened one by one, the newest first.
    pub(crate) fn folder(&mut self, files: Vec<Member>, open: &mut Open<'_>) {
        let chosen = series::chosen(files, self.limits.files, self.limits.unpacked);
        chosen.note.into_iter().for_each(|note| self.note(note));
        for member in chosen.members {
            if self.is_full(usize::MAX) {
                return;
            }
            let Ok(mut file) = open(member.place) else {
                self.note("a file in the folder could not be opened");
                continue;
            };
            let zip = head(&mut file).is_ok_and(|head| is_zip(&head));
            match file.rewind() {
                Err(_) => self.note("a file in the folder could not be read"),
                Ok(()) if zip => self.zip(&mut *file, 1),
                Ok(()) => self.member(&mut file, 0, "a file in the folder", member),
            }
        }
    }

    /// Chooses what is read of a tar.
    fn choose(&mut self, source: &mut dyn Source) -> io::Result<()> {
        if let Some(members) = tar_members(source, self.limits.unpacked) {
            let chosen = series::chosen(members, self.limits.files, self.limits.unpacked);
            chosen.note.into_iter().for_each(|note| self.note(note));
            self.wanted = Some(chosen.members);
        }
        source.rewind()
    }

    /// A file or an archive whose first bytes were read.
    fn stream(&mut self, mut start: Vec<u8>, from: &mut dyn Read, depth: usize, member: Member) {
        if start.is_empty() {
            start = head(from).unwrap_or_default();
        }
        if start.is_empty() {
            return;
        }
        let zip = is_zip(&start);
        let gzip = is_gzip(&start);
        let tar = is_tar(&start);
        let mut from = Cursor::new(start).chain(from);
        if (zip || gzip || tar) && depth >= self.limits.depth {
            self.note("an archive inside an archive inside an archive was not opened");
        } else if gzip {
            self.gzip(&mut from, depth, member);
        } else if zip {
            self.nested_zip(&mut from, depth);
        } else if tar {
            self.tar(&mut from, depth);
        } else {
            (self.each)(&mut from, member);
        }
    }

    fn gzip(&mut self, from: &mut dyn Read, depth: usize, member: Member) {
        let mut unpacked = MultiGzDecoder::new(from);
        let left = Rc::new(Cell::new(self.limits.unpacked));
        let mut from = Metered { from: &mut unpacked, left, ended: None };
        let head = head(&mut from).unwrap_or_default();
        // A tar in a gzip is one archive, and what is skipped in it has its own bound.
        let depth = if is_tar(&head) { depth } else { depth + 1 };
        if !is_tar(&head) {
            self.left.set(self.left.get().saturating_sub(head.len()));
            from.left = self.left.clone();
        }
        self.stream(head, &mut from, depth, member);
        self.ended(&from, "the gzip file");
    }

    fn member(&mut self, from: &mut dyn Read, depth: usize, what: &str, member: Member) {
        self.seen += 1;
        let mut from = self.metered(from);
        self.stream(Vec::new(), &mut from, depth + 1, member);
        self.ended(&from, what);
    }

    fn metered<'r>(&self, from: &'r mut dyn Read) -> Metered<'r> {
        Metered { from, left: self.left.clone(), ended: None }
    }

    /// Notes why a stream ended early, if it did.
    fn ended(&mut self, from: &Metered<'_>, what: &str) {
        match from.ended {
            Some(Ended::Short) => self.note(format!("{what} is truncated")),
            Some(Ended::Damaged) => {
                self.note(format!("{what} is damaged and was read only up to the damage"));
            }
            Some(Ended::Large) => self.too_large(),
            None => {}
        }
    }

    fn too_large(&mut self) {
        let most = size_words(self.limits.unpacked);
        self.note(format!(
            "the content is larger than {most} after unpacking: the rest was not read"
        ));
    }

    fn nested_zip(&mut self, from: &mut dyn Read, depth: usize) {
        let mut bytes = Vec::new();
        let read = from.take(NESTED as u64 + 1).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() > NESTED {
            let most = size_words(NESTED);
            return self.note(format!(
                "a zip inside the archive is larger than {most} and was not read: send it separately"
            ));
        }
        self.zip(&mut Cursor::new(bytes), depth);
    }

    fn zip(&mut self, source: &mut dyn Source, depth: usize) {
        match headers(source) {
            Ok((headers, _)) if headers > HEADERS => {
                return self
                    .note(format!("the zip has more than {HEADERS} files and was not read"));
            }
            Ok((_, bytes)) if bytes > DIRECTORY => {
                let most = size_words(DIRECTORY);
                return self.note(format!(
                    "the file list of the zip is larger than {most}, so the zip was not read"
                ));
            }
            Ok(_) => {}
            Err(_) => return self.note("the zip is damaged and was not read"),
        }
        let Ok(mut archive) = zip::ZipArchive::new(Small(&mut *source)) else {
            self.note(
                "the zip is truncated: its file list is missing, so it was read from the start",
            );
            return self.torn_zip(source, depth);
        };
        let members = (0..archive.len()).filter_map(|place| {
            let file = archive.by_index_raw(place).ok()?;
            let name = file.name().ok()?;
            // A compressed file inside unpacks to about this much.
            let size =
                if name.ends_with(".gz") { file.size().saturating_mul(GZIP) } else { file.size() };
            (!file.is_dir()).then(|| Member::new(place, &name, size))
        });
        let chosen = series::chosen(members.collect(), self.limits.files, self.limits.unpacked);
        chosen.note.into_iter().for_each(|note| self.note(note));
        for member in chosen.members {
            if self.is_full(usize::MAX) {
                return;
            }
            match archive.by_index(member.place) {
                Ok(file) if file.is_symlink() => self.note("a link in the zip was not followed"),
                Ok(file) if file.name().is_ok_and(|name| climbs(&name)) => {
                    self.note(
                        "a file in the zip whose name points outside the archive was not read",
                    );
                }
                Ok(mut file) => self.member(&mut file, depth, "a file in the zip", member),
                Err(why) => self.note(zip_words(&why)),
            }
        }
    }

    /// Without a directory the files are found one after the other, up to where the zip is truncated.
    fn torn_zip(&mut self, source: &mut dyn Source, depth: usize) {
        if source.rewind().is_err() {
            return;
        }
        let mut rest = io::BufReader::new(source);
        for place in 0.. {
            if self.is_full(self.limits.files) {
                return;
            }
            match zip::read::read_zipfile_from_stream(&mut rest) {
                Ok(None) => return,
                Ok(Some(file)) if file.is_dir() => {}
                Ok(Some(file)) if file.name().is_ok_and(|name| climbs(&name)) => {
                    self.note(
                        "a file in the zip whose name points outside the archive was not read",
                    );
                }
                Ok(Some(mut file)) => {
                    let member = Member::new(place, file.name().unwrap_or_default().as_ref(), 0);
                    self.member(&mut file, depth, "a file in the zip", member);
                }
                Err(why) => return self.note(zip_words(&why)),
            }
        }
    }

    fn tar(&mut self, from: &mut dyn Read, depth: usize) {
        let mut archive = tar::Archive::new(from);
        let torn = "the tar is truncated or damaged: the rest was not read";
        let Ok(entries) = archive.entries() else { return self.note(torn) };
        let wanted = self.wanted.take();
        let most = if wanted.is_some() { usize::MAX } else { self.limits.files };
        // Raw: long names and extended headers are skipped, because they would be in memory, however long they are.
        for (place, entry) in entries.raw(true).enumerate() {
            if self.is_full(most) {
                return;
            }
            let Ok(mut entry) = entry else { return self.note(torn) };
            let kind = entry.header().entry_type();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let member = match &wanted {
                Some(wanted) => wanted.iter().find(|member| member.place == place).copied(),
                None => Some(Member::new(place, &name, 0)),
            };
            if kind.is_symlink() || kind.is_hard_link() {
                self.note("a link in the tar was not followed");
            } else if climbs(&name) {
                self.note("a file in the tar whose name points outside the archive was not read");
            } else if let Some(member) = member.filter(|_| kind.is_file()) {
                self.member(&mut entry, depth, "a file in the tar", member);
            }
        }
    }

    /// Whether no more is read. Of an archive without a list of files, at most `most` files are read.
    fn is_full(&mut self, most: usize) -> bool {
        if self.left.get() == 0 {
            self.too_large();
            return true;
        }
        let full = self.seen >= most;
        if full {
            self.note(format!("only the first {most} files of the archive were read"));
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

/// A stream that ends at its limit; it has no errors.
struct Metered<'r> {
    from: &'r mut dyn Read,
    left: Rc<Cell<usize>>,
    ended: Option<Ended>,
}

/// Why a stream ended early.
enum Ended {
    Short,
    Damaged,
    Large,
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended.is_some() || into.is_empty() {
            return Ok(0);
        }
        let left = self.left.get();
        let mut beyond = [0];
        let most = into.len().min(left).min(STEP);
        let into = if left == 0 { &mut beyond[..] } else { &mut into[..most] };
        loop {
            match self.from.read(into) {
                Ok(0) => return Ok(0),
                Ok(_) if left == 0 => self.ended = Some(Ended::Large),
                Ok(read) => {
                    self.left.set(left - read);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.ended = Some(Ended::Short);
                }
                Err(_) => self.ended = Some(Ended::Damaged),
            }
            return Ok(0);
        }
    }
}

/// A source whose reader may not ask for much at once: a zip's end may name a record of any length, which would be
/// in memory.
struct Small<'s>(&'s mut dyn Source);

impl Read for Small<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.len() > PIECE {
            return Err(ErrorKind::InvalidData.into());
        }
        self.0.read(into)
    }
}

impl Seek for Small<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Whether a name leads out of the folder that an archive would be unpacked to.
fn climbs(name: &str) -> bool {
    let parts = || name.split(['/', '\\']);
    parts().any(|part| part == "..")
        || name.starts_with(['/', '\\'])
        || parts().next().is_some_and(|first| first.ends_with(':'))
}
