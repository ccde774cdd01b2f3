//! One life of a Synapse process: its open requests by id, until no further line of theirs can come.

use std::collections::{HashMap, VecDeque};

use crate::evidence::Subject;
use crate::evidence::otk::KeyId;
use crate::evidence::removal::RemovedBy;
use crate::synapse_log::forgery::{ForgeryWatch, LinePlace, Numbers, number};
use crate::synapse_log::message::Asked;
use crate::synapse_log::record;
use crate::synapse_log::request::{Judged, Request, Seen};

/// Processes distinguished in one file (Docker writes the worker's name in front).
const PROCESSES: usize = 32;
/// Requests held open at once.
const OPEN: usize = 8192;
/// Single lines held back at once.
const LOOSE: usize = 4096;
/// A request is judged when the log is this much further: a line may be 5 s or 10 records late, and a
/// long poll that shares a forged line's number ends within a minute.
const LATER_LINES: u64 = 512;
const LATER: i64 = 60_000;
/// An upload without an end is given up after this long.
const GIVEN_UP: i64 = 600_000;
/// A request that the log's end cuts off began this long before it.
const CUT: i64 = 30_000;
/// Logins whose names are remembered: many never come to an answer that is logged.
const LOGINS: usize = 1024;

/// What is known of one process since its start.
#[derive(Debug, Default)]
pub struct Process {
    /// The prefix of its lines, where several share a file.
    pub name: Vec<u8>,
    pub watch: ForgeryWatch,
    pub numbers: Numbers,
    requests: HashMap<String, Request>,
    order: VecDeque<(String, LinePlace, i64)>,
    loose: VecDeque<(Seen<Loose>, String)>,
    /// Logins: request id, what was asked, and whether no client can have written that.
    logins: VecDeque<(String, Asked, bool)>,
    /// The longest name with newlines that had to be forgotten.
    forgotten: u64,
    /// The newest moment.
    now: i64,
}

/// How far the name of a login goes that is written out raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// It ends so many lines after its first, and is no longer than so many characters.
    Newlines(usize, u64),
    /// It is no longer than this; zero where nothing tells.
    Characters(u64),
}

/// UploadFacts of a single line.
#[derive(Debug)]
pub enum Loose {
    Claims(Vec<KeyId>),
    SharedSync,
    ClientStart,
    /// The device was removed.
    Removed(RemovedBy),
}

/// What no further line can change.
#[derive(Debug)]
pub enum Settled {
    Loose(Seen<Loose>),
    Request(Box<Judged>),
}

impl Process {
    /// A process whose lines begin with `name`, or plainly.
    pub fn new(name: &[u8]) -> Self {
        Self { name: name.to_vec(), ..Self::default() }
    }

    /// Notes the log's time.
    pub fn tick(&mut self, at: i64) {
        self.now = self.now.max(at);
    }

    /// The request of an id, begun here if it is new; none outside a request.
    pub fn request(&mut self, id: &str, place: LinePlace, at: i64) -> Option<&mut Request> {
        if id.is_empty() || id == "sentinel" {
            return None;
        }
        let odd = number(id.as_bytes()).is_some_and(|number| !self.numbers.fits(number));
        if !self.requests.contains_key(id) {
            self.order.push_back((id.to_owned(), place, at));
        }
        let request = self.requests.entry(id.to_owned()).or_default();
        request.odd_number |= odd;
        Some(request)
    }

    /// The request of an id that has begun.
    pub fn known(&mut self, id: &str) -> Option<&mut Request> {
        self.requests.get_mut(id)
    }

    /// Lets go of a request that concerns nobody.
    pub fn forget(&mut self, id: &str) {
        self.requests.remove(id);
    }

    /// Holds a single line back until it is known whether a client wrote it.
    pub fn loose(&mut self, seen: Seen<Loose>, id: &str) {
        self.loose.push_back((seen, id.to_owned()));
    }

    /// A login begins; `sure` where no client can have written its line. Harmless names are forgotten first.
    pub fn asked(&mut self, id: &str, asked: Asked, sure: bool) {
        if self.logins.len() == LOGINS {
            let harmless = self.logins.iter().position(|(_, asked, _)| asked.newlines == Some(0));
            let gone = self.logins.remove(harmless.unwrap_or(0));
            let longest = gone.filter(|_| harmless.is_none()).map_or(0, |gone| gone.1.characters);
            self.forgotten = self.forgotten.max(longest);
        }
        self.logins.push_back((id.to_owned(), asked, sure));
    }

    /// The name that the login of this request asked for. What a client may have written never makes it
    /// shorter; of two logins under one id nobody knows whose name comes.
    pub fn answered(&mut self, id: &str) -> Name {
        let of = |(asked, ..): &&(String, Asked, bool)| asked == id;
        let mut sure = self.logins.iter().filter(of).filter(|(.., sure)| *sure);
        if let (Some((_, Asked { newlines: Some(newlines), characters }, _)), None) =
            (sure.next(), sure.next())
        {
            let name = Name::Newlines(*newlines, *characters);
            self.logins.retain(|(asked, ..)| asked != id);
            return name;
        }
        let longest = self.logins.iter().filter(of).map(|(_, asked, _)| asked.characters).max();
        Name::Characters(longest.unwrap_or(0).max(self.forgotten))
    }

    /// Request ids begin again at zero.
    pub fn restart(&mut self) {
        self.requests.clear();
        self.order.clear();
        self.logins.clear();
        self.numbers = Numbers::default();
    }

    /// The next line or request that can be judged when the log is at `here`: in a `text` log with
    /// suspicion, and at the `end` whatever is left.
    pub fn settle(
        &mut self,
        subject: &Subject,
        here: LinePlace,
        (text, end): (bool, bool),
    ) -> Option<Settled> {
        while let Some((seen, _)) = self.loose.front() {
            let due = seen.place.line + LATER_LINES < here.line || self.loose.len() > LOOSE;
            if !due && !end {
                break;
            }
            let (seen, id) = self.loose.pop_front()?;
            if !text || self.believes(&seen, &id) {
                return Some(Settled::Loose(seen));
            }
        }
        while let Some((id, place, at)) = self.order.front() {
            let Some(request) = self.requests.get(id) else {
                self.order.pop_front();
                continue;
            };
            let due = self.is_due(request, *place, *at, here);
            if !due && !end {
                return None;
            }
            let open = end && at + CUT >= self.now;
            let (id, ..) = self.order.pop_front()?;
            let request = self.requests.remove(&id)?;
            if !request.concerns(subject) {
                continue;
            }
            let judged = request.judge(id.as_bytes(), text, (&self.watch, &self.numbers), open);
            return Some(Settled::Request(Box::new(judged)));
        }
        None
    }

    fn is_due(&self, request: &Request, place: LinePlace, at: i64, here: LinePlace) -> bool {
        let ended = !request.access.is_empty();
        let later = place.line + LATER_LINES < here.line && at + LATER < self.now;
        self.order.len() > OPEN || ended && later || at + GIVEN_UP < self.now
    }

    /// A line behind client text is believed where its request ended; a client's start is that end.
    fn believes(&self, seen: &Seen<Loose>, id: &str) -> bool {
        if self.watch.bad(seen.place.line).is_some() {
            return false;
        }
        let reach = seen.reach || self.watch.doubted(seen.place.line);
        match seen.what {
            Loose::Claims(_) | Loose::SharedSync | Loose::Removed(_) => {
                !reach || self.numbers.knows(id.as_bytes())
            }
            Loose::ClientStart => !reach,
        }
    }
}

/// Every process's watch: a client's lines may carry the name of any.
pub fn watches(all: &mut [Process]) -> impl Iterator<Item = &mut ForgeryWatch> {
    all.iter_mut().map(|process| &mut process.watch)
}

/// The process of a text line's prefix. Either all lines of a file have one or none has: a name of the
/// other kind, or one that first is in a client's reach, is the client's.
pub fn named(all: &mut Vec<Process>, name: &[u8], place: LinePlace, reach: bool) -> Option<usize> {
    // Nearly every log is of one process, and this is asked of every line.
    if let [only] = &all[..]
        && only.name.is_empty()
        && name.is_empty()
    {
        return Some(0);
    }
    if !all.iter().any(|known| known.name == name) {
        let bad = all.iter().any(|known| known.watch.bad(place.line).is_some());
        let other_kind = all.iter().any(|known| known.name.is_empty() != name.is_empty());
        if reach || bad || other_kind {
            return None;
        }
    }
    process(all, name)
}

/// The name that stands in front of a line where several processes write a file, and the line behind it. Every line
/// has one there, also one that continues a record.
pub fn split_name<'a>(all: &[Process], line: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    if all.first().is_none_or(|first| first.name.is_empty()) {
        return (b"", line);
    }
    line.split_at(record::prefix(line))
}

/// The process of a name, begun here if it is new.
pub fn process(all: &mut Vec<Process>, name: &[u8]) -> Option<usize> {
    if let Some(known) = all.iter().position(|known| known.name == name) {
        return Some(known);
    }
    if all.len() == PROCESSES {
        return None;
    }
    all.push(Process::new(name));
    Some(all.len() - 1)
}
