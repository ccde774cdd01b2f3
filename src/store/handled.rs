//! Which events were answered → whether one may be answered now: the guard against answering twice.
//!
//! A line is noted when an answer begins and when it has ended. An event that began in an earlier
//! process and never ended is taken up once more, with the same transaction ids; after a second crash it
//! is given up, so that a poisonous command cannot hold Kestrel down. The event's digest is noted, never
//! the event.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::write_whole;

/// How many events are remembered. The age of a command bounds what can come again, so this need only
/// outnumber the commands of a few minutes.
const REMEMBERED: usize = 4000;

/// How often one event is taken up, over all processes.
const MOST_TRIES: u32 = 2;

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Never seen: answer it.
    New,
    /// Begun by a process that ended before its answer did: answer it again, with the same
    /// transaction ids.
    Again,
    /// Every process that took it up ended over it: say so, and leave it.
    GivenUp,
    /// Answered, being answered, or given up before.
    Settled,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    tries: u32,
    /// Begun by this very process.
    running: bool,
    ended: bool,
}

/// The list, in memory and on disk.
#[derive(Debug)]
pub(super) struct Handled {
    path: PathBuf,
    file: File,
    since: Timestamp,
    marks: HashMap<String, Mark>,
    /// Oldest first; as long as `marks`.
    order: VecDeque<String>,
    /// Lines in the file beyond its head.
    lines: usize,
}

impl Handled {
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self> {
        let text = match fs::read(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            read => String::from_utf8_lossy(&read.unwrap_or_default()).into_owned(),
        };
        let mut lines = text.lines();
        let since = lines.next().and_then(read_head).unwrap_or(now);
        let mut handled = Self {
            path: path.to_owned(),
            file: File::open("/dev/null")?,
            since,
            marks: HashMap::new(),
            order: VecDeque::new(),
            lines: 0,
        };
        for line in lines {
            // A torn last line names no known word, or no whole digest; it never was noted then.
            match line.split_once(' ') {
                Some(("begun", event)) if event.len() == 64 => handled.mark(event).tries += 1,
                Some(("ended", event)) if event.len() == 64 => handled.mark(event).ended = true,
                _ => tracing::warn!("a torn line in {} is passed over", path.display()),
            }
        }
        handled.write_anew()?;
        Ok(handled)
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn begin(&mut self, event: &str) -> Result<Standing> {
        let mark = self.mark(event);
        if mark.ended || mark.running {
            return Ok(Standing::Settled);
        }
        mark.running = true;
        if mark.tries >= MOST_TRIES {
            return Ok(Standing::GivenUp);
        }
        let standing = match mark.tries {
            0 => Standing::New,
            _ => Standing::Again,
        };
        mark.tries += 1;
        self.note("begun", event)?;
        Ok(standing)
    }

    pub(super) fn finish(&mut self, event: &str) -> Result<()> {
        self.mark(event).ended = true;
        self.note("ended", event)
    }

    fn mark(&mut self, event: &str) -> &mut Mark {
        if !self.marks.contains_key(event) {
            self.order.push_back(event.to_owned());
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.marks.remove(&oldest);
            }
        }
        self.marks.entry(event.to_owned()).or_default()
    }

    /// Flushed before it returns: what is noted here must hold after a crash.
    fn note(&mut self, word: &str, event: &str) -> Result<()> {
        writeln!(self.file, "{word} {event}")
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.lines += 1;
        if self.lines > 4 * REMEMBERED {
            self.write_anew()?;
        }
        Ok(())
    }

    /// Writes the file as short as it can be, and opens it to append.
    fn write_anew(&mut self) -> Result<()> {
        let mut text = format!("{HEAD}{}\n", self.since.as_millisecond());
        let mut lines = 0;
        for event in &self.order {
            let mark = self.marks.get(event).copied().unwrap_or_default();
            let (word, times) = match mark.ended {
                true => ("ended", 1),
                false => ("begun", mark.tries),
            };
            for _ in 0..times {
                text.push_str(&format!("{word} {event}\n"));
                lines += 1;
            }
        }
        write_whole(&self.path, text.as_bytes())?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.lines = lines;
        Ok(())
    }
}

const HEAD: &str = "kestrel handled 1 since ";

fn read_head(line: &str) -> Option<Timestamp> {
    let since = line.strip_prefix(HEAD)?.parse().ok()?;
    Timestamp::from_millisecond(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, second: i64) -> Handled {
        let now = Timestamp::from_second(second).unwrap();
        Handled::open(&folder.join("handled"), now).unwrap()
    }

    fn event(number: usize) -> String {
        format!("{number:064x}")
    }

    #[test]
    fn an_event_is_answered_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut handled = open(folder.path(), 0);
        assert_eq!(handled.begin(&event(1)).unwrap(), Standing::New);
        assert_eq!(handled.begin(&event(1)).unwrap(), Standing::Settled);
        handled.finish(&event(1)).unwrap();
        assert_eq!(handled.begin(&event(1)).unwrap(), Standing::Settled);
        let mut later = open(folder.path(), 60);
        assert_eq!(later.begin(&event(1)).unwrap(), Standing::Settled);
        assert_eq!(later.since(), Timestamp::from_second(0).unwrap());
    }

    #[test]
    fn an_answer_that_never_ended_is_taken_up_once_more() {
        let folder = tempfile::tempdir().unwrap();
        for expected in [Standing::New, Standing::Again, Standing::GivenUp] {
            let mut handled = open(folder.path(), 0);
            assert_eq!(handled.begin(&event(1)).unwrap(), expected);
        }
        let mut handled = open(folder.path(), 0);
        handled.finish(&event(1)).unwrap();
        assert_eq!(handled.begin(&event(1)).unwrap(), Standing::Settled);
    }

    #[test]
    fn a_torn_line_is_passed_over_and_the_rest_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut handled = open(folder.path(), 0);
        handled.begin(&event(1)).unwrap();
        handled.finish(&event(1)).unwrap();
        let path = folder.path().join("handled");
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"begun 00\xff");
        fs::write(&path, text).unwrap();
        let mut later = open(folder.path(), 0);
        assert_eq!(later.begin(&event(1)).unwrap(), Standing::Settled);
        assert_eq!(later.begin(&event(2)).unwrap(), Standing::New);
        drop(later);
        let mut last = open(folder.path(), 0);
        assert_eq!(last.begin(&event(2)).unwrap(), Standing::Again);
    }

    #[test]
    fn the_list_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut handled = open(folder.path(), 0);
        for number in 0..REMEMBERED + 10 {
            handled.mark(&event(number)).ended = true;
        }
        handled.write_anew().unwrap();
        assert_eq!(handled.marks.len(), REMEMBERED);
        assert_eq!(handled.lines, REMEMBERED);
        assert_eq!(handled.begin(&event(9)).unwrap(), Standing::New);
        assert_eq!(handled.begin(&event(REMEMBERED)).unwrap(), Standing::Settled);
    }
}
