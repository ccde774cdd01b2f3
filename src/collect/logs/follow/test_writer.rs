//! For tests: a server that writes uploads to a log, and the log's folder as rotation leaves it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tempfile::TempDir;

/// Where the log's time begins: 2026-11-22T12:00:00Z.
pub const BEGIN: i64 = 1_795_348_800_000;

/// One upload that is refused, with a key id of its own: its lines, behind their times.
fn upload(number: u64, request: u64, at: i64) -> [String; 3] {
    let key = format!("signed_curve25519:K{number}");
    let device = number % 5;
    [
        format!(
            "synapse.handlers.e2e_keys - 955 - INFO - POST-{request} - Adding one_time_keys \
             dict_keys(['{key}']) for device 'DEV{device}' for user '@u{device}:lab.local' at {at}\n"
        ),
        format!(
            "synapse.http.server - 131 - INFO - POST-{request} - <XForwardedForRequest at \
             0x7f method='POST' uri='/_matrix/client/v3/keys/upload' clientproto='HTTP/1.1' \
             site='8118'> SynapseError: 400 - One time key {key} already exists. Old key: \
             {{\"key\":\"a\"}}; new key: {{'key': 'b'}}\n"
        ),
        format!(
            "synapse.access.http.8118 - 643 - INFO - POST-{request} - 127.0.0.1 - 8118 - \
             {{@u{device}:lab.local}} Processed request: 0.040sec/0.001sec ru=(0.010sec, 0.001sec) \
             db=(0.005sec/0.019sec/12) 48B 400 \"POST /_matrix/client/v3/keys/upload HTTP/1.1\" \
             \"node\" [0 dbevts]\n"
        ),
    ]
}

/// A server and its log.
#[derive(Debug)]
pub struct Writer {
    pub folder: TempDir,
    file: File,
    /// The log's time.
    pub at: i64,
    request: u64,
    next: u64,
    /// Lines of uploads under way: what is left of each, first line first.
    open: Vec<(u64, Vec<String>)>,
    /// The rest of a line that was written in part, whose it is, and what that leaves to do.
    rest: Option<(u64, String, bool)>,
    /// Uploads whose every line was written whole.
    pub written: BTreeSet<u64>,
    /// Uploads of which a line was torn in two by a copy.
    pub torn: BTreeSet<u64>,
    rotations: u64,
    /// `.1`, `.2`, … as logrotate names files, else dates.
    shifts: bool,
    /// What a carrier makes of a line.
    pub carrier: fn(&str) -> String,
}

impl Writer {
    /// An empty log in its own folder.
    pub fn new(shifts: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let file = appending(&folder.path().join("h.log"));
        Self {
            folder,
            file,
            at: BEGIN,
            request: 0,
            next: 0,
            open: Vec::new(),
            rest: None,
            written: BTreeSet::new(),
            torn: BTreeSet::new(),
            rotations: 0,
            shifts,
            carrier: str::to_owned,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("h.log")
    }

    /// Begins an upload.
    pub fn begin(&mut self) {
        self.request += 1;
        self.next += 1;
        let lines = upload(self.next, self.request, self.at).to_vec();
        self.open.push((self.next, lines));
    }

    /// Writes the next line of one of the uploads, or only so much of it.
    pub fn line(&mut self, which: usize, part: Option<usize>) {
        if let Some((number, rest, last)) = self.rest.take() {
            self.put(&rest);
            self.ended(number, last);
            return;
        }
        if self.open.is_empty() {
            return;
        }
        let which = which % self.open.len();
        let stamp = self.stamp();
        let (number, lines) = &mut self.open[which];
        let number = *number;
        let line = (self.carrier)(&format!("{stamp} - {}", lines.remove(0)));
        let last = lines.is_empty();
        if last {
            self.open.remove(which);
        }
        match part.map(|part| part % line.len()).filter(|part| *part > 0) {
            Some(part) => {
                self.put(&line[..part]);
                self.rest = Some((number, line[part..].to_owned(), last));
            }
            None => {
                self.put(&line);
                self.ended(number, last);
            }
        }
    }

    /// A claim of somebody's key, and time that goes by: the lines right after it are in a client's reach.
    pub fn claim(&mut self, after: i64) {
        if self.rest.is_some() {
            self.line(0, None);
        }
        self.at += after;
        let stamp = self.stamp();
        self.put(&format!(
            "{stamp} - synapse.handlers.e2e_keys - 819 - INFO - POST-{} - Claimed one-time-keys: \
             signed_curve25519:AAAAAAAAAA0 for @u9:lab.local:DEV9\n",
            1_000_000 + self.request
        ));
    }

    /// A record longer than a client's text can be: behind it nothing is in reach.
    pub fn long(&mut self) {
        let stamp = self.stamp();
        self.put(&format!("{stamp} - a.b - 1 - INFO - GET-0 - {}\n", "x".repeat(3000)));
    }

    /// So many whole uploads.
    pub fn uploads(&mut self, count: u64) {
        for _ in 0..count {
            self.begin();
            while !self.open.is_empty() || self.rest.is_some() {
                self.line(0, None);
            }
        }
    }

    /// Ends all that was begun.
    pub fn end(&mut self) {
        while !self.open.is_empty() || self.rest.is_some() {
            self.line(0, None);
        }
    }

    /// The server starts anew: requests count from zero again, and what was under way never ends.
    pub fn restart(&mut self) {
        self.line(0, None);
        self.open.clear();
        self.request = 0;
        let stamp = self.stamp();
        let line = format!(
            "{stamp} - synapse.config.logger - 376 - WARNING - main - ***** STARTING SERVER *****\n"
        );
        self.put(&line);
    }

    /// The time of the next line.
    fn stamp(&mut self) -> String {
        self.at += 3;
        let at = Timestamp::from_millisecond(self.at).unwrap();
        format!("{},{:03}", at.strftime("%Y-%m-%d %H:%M:%S"), self.at.rem_euclid(1000))
    }

    /// Any text, as it is.
    pub fn put(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn ended(&mut self, number: u64, last: bool) {
        if last {
            self.written.insert(number);
        }
    }

    /// Whether what is written goes to the log itself.
    pub fn is_on_path(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let own = self.file.metadata().unwrap().ino();
        fs::metadata(self.path()).is_ok_and(|about| about.ino() == own)
    }

    /// Rotated away by renaming; the server writes on to the old file until it opens the new one.
    pub fn rename(&mut self) {
        fs::rename(self.path(), self.rotated()).unwrap();
    }

    /// The server opens the log anew.
    pub fn reopen(&mut self) {
        // A line is written whole before another file is opened.
        if self.rest.is_some() {
            self.line(0, None);
        }
        self.file = appending(&self.path());
    }

    /// Copied and cut.
    pub fn copytruncate(&mut self) {
        let to = self.rotated();
        fs::copy(self.path(), to).unwrap();
        OpenOptions::new().write(true).open(self.path()).unwrap().set_len(0).unwrap();
        if let Some((number, ..)) = self.rest {
            self.torn.insert(number);
        }
    }

    /// Deleted and created again.
    pub fn recreate(&mut self) {
        fs::remove_file(self.path()).unwrap();
        self.reopen();
    }

    /// Compresses the newest rotated file.
    pub fn compress(&self) {
        let mut plain: Vec<_> = self.files();
        plain.retain(|path| path.extension().is_none_or(|kind| kind != "gz"));
        let number = |path: &PathBuf| {
            let name = path.extension().unwrap().to_str().unwrap().to_owned();
            name.parse::<i64>().unwrap()
        };
        let newest = plain
            .into_iter()
            .max_by_key(|path| if self.shifts { -number(path) } else { number(path) });
        let Some(plain) = newest else { return };
        let packed = plain.with_added_extension("gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(plain).unwrap();
    }

    /// The rotated files.
    pub fn files(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path());
        all.filter(|path| *path != self.path()).collect()
    }

    /// The name for the next rotated file; makes room for it.
    fn rotated(&mut self) -> PathBuf {
        self.rotations += 1;
        if !self.shifts {
            return self.path().with_added_extension(format!("{}", 20_261_122 + self.rotations));
        }
        for number in (1..self.rotations).rev() {
            for kind in ["", ".gz"] {
                let name = |number: u64| self.folder.path().join(format!("h.log.{number}{kind}"));
                if name(number).exists() {
                    fs::rename(name(number), name(number + 1)).unwrap();
                }
            }
        }
        self.path().with_added_extension("1")
    }
}

fn appending(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}
