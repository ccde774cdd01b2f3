//! Tells which lines of a text log a client may have written.
//!
//! Synapse writes some client text raw, so a newline in it starts a line of the client's own making.
//! Three facts speak against such a line: it is right after a record with client text (within
//! that text's possible length), its time does not fit its place, and its request number belongs to
//! another request. The first alone is no proof: true lines are there too. JSON needs none of this.

use std::collections::VecDeque;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::synapse_log::message::KEY_ID;
use crate::synapse_log::zone::TOLERANCE;

/// How long a look back for a late end of pydantic's list goes.
const LINES: u64 = 64;
const BYTES: u64 = 256 * 1024;
/// Records that have to agree on a new time before it is believed.
const AGREE: u32 = 8;
/// How many doubtful stretches are kept; older ones are judged by then.
const STRETCHES: usize = 4096;
/// Lines that wait for a record out of a client's reach to tell the time; of more, the oldest are left out.
const WAITING: usize = 1 << 16;

/// Where a line stands: its number in the file and its first byte, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinePlace {
    pub line: u64,
    pub byte: u64,
}

/// Watches every line of one process's log.
#[derive(Debug, Default)]
pub struct ForgeryWatch {
    /// The log's own time, by records that no client can have written.
    now: Option<i64>,
    jump: Option<Jump>,
    /// Lines in a client's reach with a time ahead of the log's own: where many claims follow each other, every
    /// line between them is in reach, and the log's own time does not advance. The next record out of
    /// reach tells whether they fit.
    ahead: VecDeque<(u64, i64)>,
    /// So many characters a client's text may still continue for.
    reach: u64,
    /// Lines that are surely not Synapse's, and why.
    bad: VecDeque<(u64, u64, &'static str)>,
    /// Lines that a client's text may turn out to reach.
    doubt: VecDeque<(u64, u64)>,
    pydantic: Option<LinePlace>,
    /// A record was between pydantic's head and now.
    broken_up: bool,
}

/// Times that left the log's own, and may come back.
#[derive(Debug)]
struct Jump {
    from: u64,
    at: i64,
    records: u32,
}

impl ForgeryWatch {
    /// A record begins at `place` with the written time `at`. Gives how far the times moved for good,
    /// where they did.
    pub fn record(&mut self, place: LinePlace, at: i64, in_reach: bool) -> Option<i64> {
        self.broken_up = true;
        let now = *self.now.get_or_insert(at);
        if in_reach {
            if at < now - TOLERANCE {
                self.mark(place.line, place.line, OUT_OF_TIME);
            } else if at > now + TOLERANCE {
                self.wait(place.line, at);
            }
            return None;
        }
        let Some(jump) = &mut self.jump else {
            if (at - now).abs() <= TOLERANCE {
                self.reached(now.max(at));
            } else {
                self.jump = Some(Jump { from: place.line, at, records: 1 });
            }
            return None;
        };
        if (at - now).abs() <= TOLERANCE {
            // Back again: what was between was out of time.
            let from = jump.from;
            let to = place.line.saturating_sub(1);
            self.mark(from, to, OUT_OF_TIME);
            self.jump = None;
            self.reached(now.max(at));
            return None;
        }
        let ahead = jump.at > now;
        if at < jump.at - TOLERANCE || (!ahead && at > now) {
            // A third time: of the jump before, what lies past this one was never the log's.
            if ahead == (at < jump.at) {
                let from = jump.from;
                let to = place.line.saturating_sub(1);
                self.mark(from, to, OUT_OF_TIME);
            }
            self.jump = Some(Jump { from: place.line, at, records: 1 });
            return None;
        }
        (jump.at, jump.records) = (jump.at.max(at), jump.records + 1);
        if jump.records < AGREE {
            return None;
        }
        let moved = jump.at - now;
        let at = jump.at;
        self.jump = None;
        self.reached(at);
        Some(moved)
    }

    /// A line in a client's reach is ahead of the log's time.
    fn wait(&mut self, line: u64, at: i64) {
        self.ahead.push_back((line, at));
        if self.ahead.len() > WAITING
            && let Some((line, _)) = self.ahead.pop_front()
        {
            self.mark(line, line, OUT_OF_TIME);
        }
    }

    /// The log's own time is this far. A line that was before, and is of a later time, is a client's.
    fn reached(&mut self, now: i64) {
        self.now = Some(now);
        for (line, at) in std::mem::take(&mut self.ahead) {
            if at > now + TOLERANCE {
                self.mark(line, line, OUT_OF_TIME);
            }
        }
    }

    /// Whether the log's time is not in question just now.
    pub fn is_steady(&self) -> bool {
        self.jump.is_none()
    }

    /// The log's own time so far, as written.
    pub fn time(&self) -> Option<i64> {
        self.now
    }

    /// The time of records behind a pause that the log's end left too few to agree.
    pub fn pending(&self) -> Option<i64> {
        let jump = self.jump.as_ref()?;
        self.now.is_some_and(|now| jump.at > now).then_some(jump.at)
    }

    /// The record before this point holds raw client text, of which at most so many characters can
    /// follow on lines of their own.
    pub fn site(&mut self, characters: u64) {
        self.reach = self.reach.max(characters);
    }

    /// Whether a client may have written the next line: it has to fit whole into what is left of the
    /// text before it. To be asked once for every line.
    pub fn reaches(&mut self, line: &[u8]) -> bool {
        if self.reach == 0 {
            return false;
        }
        let starts = line.iter().filter(|byte| (**byte as i8) >= -0x40);
        let length = starts.count() as u64;
        let fits = length <= self.reach;
        self.reach = if fits { self.reach.saturating_sub(length + 1) } else { 0 };
        // A list of claims names many devices, each as long as the first.
        static CLAIM: LazyLock<Finder> = LazyLock::new(|| Finder::new(" for @"));
        if CLAIM.find(line).is_some() {
            self.reach = self.reach.max(KEY_ID);
        }
        fits
    }

    /// A record of pydantic's errors begins.
    pub fn pydantic(&mut self, place: LinePlace) {
        (self.pydantic, self.broken_up) = (Some(place), false);
    }

    /// A line that ends one of pydantic's errors. With records between it and its head, those may be
    /// the client's.
    pub fn pydantic_end(&mut self, place: LinePlace) {
        let Some(head) = self.pydantic else { return };
        if place.line - head.line > LINES || place.byte - head.byte > BYTES {
            self.pydantic = None;
        } else if self.broken_up {
            self.doubt.push_back((head.line + 1, place.line));
            bound(&mut self.doubt);
        }
    }

    /// Lines `from..=to` are surely not Synapse's.
    pub fn mark(&mut self, from: u64, to: u64, why: &'static str) {
        if let Some((_, last, of)) = self.bad.back_mut()
            && *last + 1 == from
            && *of == why
        {
            *last = to;
            return;
        }
        self.bad.push_back((from, to, why));
        bound(&mut self.bad);
    }

    /// Why a line is surely not Synapse's.
    pub fn bad(&self, line: u64) -> Option<&'static str> {
        let mut newest_first = self.bad.iter().rev();
        newest_first.find(|(from, to, _)| (*from..=*to).contains(&line)).map(|(_, _, why)| *why)
    }

    /// Whether a later line showed that a client's text may have reached this one.
    pub fn doubted(&self, line: u64) -> bool {
        self.doubt.iter().any(|(from, to)| (*from..=*to).contains(&line))
    }
}

/// The reason of the order check.
pub const OUT_OF_TIME: &str = "the time does not match the place in the log";

// The other reasons for which lines are left out, and the note on a file that several write.
pub const SHARED: &str =
    "several processes write this file, so forged request numbers cannot be detected";
pub const STRANGER: &str = "the format differs from the file's other lines";
pub const LOGIN: &str = "part of a login's user name";
pub const CONTINUED: &str = "followed by lines that belong to no record";
pub const EPOCH: &str = "the milliseconds contradict the time";
pub const BROKEN: &str = "there is text after the end of the record";

fn bound<T>(list: &mut VecDeque<T>) {
    if list.len() > STRETCHES {
        list.pop_front();
    }
}

/// How many request numbers are remembered: more than are open at once on any server.
const SLOTS: usize = 1 << 16;
/// How far ahead of the highest number a new one may be: other listeners' and unlogged requests count.
const AHEAD: u64 = 20_000;

/// Which requests have ended: numbers come from one counter a process, over all methods, so a number
/// is in one id only.
#[derive(Debug, Default)]
pub struct Numbers {
    slots: Vec<Slot>,
    highest: Option<u64>,
    /// Numbers far ahead, in a row: a log with a hole.
    ahead: u32,
    /// Requests that ended, and how many of them shared a number with another.
    ended: u64,
    clashes: u64,
}

/// More clashes than any client could write, of so many requests one: several processes write the file.
const MIXED: (u64, u64) = (64, 20);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    /// Digests of the first two ids that ended with this number.
    ids: [u32; 2],
    /// Whether the id's access line is out of a client's reach.
    sure: [bool; 2],
}

/// The number of `METHOD-n`. A `request_id_header` writes other text there.
pub fn number(id: &[u8]) -> Option<u64> {
    let at = id.iter().position(|byte| !byte.is_ascii_uppercase()).filter(|at| *at > 0)?;
    let digits = id[at..].strip_prefix(b"-")?;
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

fn digest(id: &[u8]) -> u32 {
    // FNV-1a; zero stands for an empty slot.
    let hash = id
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

impl Numbers {
    /// A request's access line.
    pub fn ended(&mut self, id: &[u8], sure: bool) {
        let Some(number) = number(id) else { return };
        if !self.fits(number) {
            self.ahead += u32::from(sure);
            if self.ahead >= AGREE {
                (self.highest, self.ahead) = (Some(number), 0);
            }
            return;
        }
        if sure {
            self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
            self.ahead = 0;
        }
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        let id = digest(id);
        let at = usize::from(slot.ids[0] != 0 && slot.ids[0] != id);
        self.ended += 1;
        self.clashes += u64::from(at == 1 && sure && slot.sure[0]);
        slot.sure[at] |= sure;
        slot.ids[at] = id;
    }

    /// Whether a number can be one of now.
    pub fn fits(&self, number: u64) -> bool {
        self.highest.is_none_or(|highest| {
            number <= highest.saturating_add(AHEAD) && number + SLOTS as u64 > highest
        })
    }

    /// Whether another id with the same number ended, out of a client's reach.
    pub fn taken(&self, id: &[u8]) -> bool {
        let Some(slot) = self.slot(id).filter(|_| !self.mixed()) else {
            return false;
        };
        let id = digest(id);
        (0..2).any(|at| slot.ids[at] != 0 && slot.ids[at] != id && slot.sure[at])
    }

    /// Whether several processes seem to count in one file, so that a number says nothing.
    pub fn mixed(&self) -> bool {
        self.clashes > MIXED.0 && self.clashes * MIXED.1 > self.ended
    }

    /// Whether this very id ended; true for ids without a number, which nothing can report.
    pub fn knows(&self, id: &[u8]) -> bool {
        number(id).is_none() || self.slot(id).is_some_and(|slot| slot.ids.contains(&digest(id)))
    }

    fn slot(&self, id: &[u8]) -> Option<&Slot> {
        let number = number(id)?;
        let slot = self.slots.get(number as usize % SLOTS)?;
        (slot.number == number).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64) -> LinePlace {
        LinePlace { line, byte: line * 100 }
    }

    #[test]
    fn an_excursion_is_bad_and_a_pause_is_not() {
        let mut watch = ForgeryWatch::default();
        let times = [0, 1000, 900, 300_000, 1100, 60_000, 60_100, 61_000];
        for (line, at) in times.into_iter().enumerate() {
            watch.record(place(line as u64), at, false);
        }
        let bad: Vec<_> = (0..8).filter(|line| watch.bad(*line).is_some()).collect();
        assert_eq!(bad, [3]);
    }

    #[test]
    fn a_time_that_stays_is_believed() {
        let mut watch = ForgeryWatch::default();
        watch.record(place(0), 0, false);
        let moved = (1..20).find_map(|line| watch.record(place(line), -3_600_000, false));
        assert_eq!(moved, Some(-3_600_000));
        assert!((0..20).all(|line| watch.bad(line).is_none()));
    }

    #[test]
    fn what_a_client_may_have_written_moves_no_clock() {
        let mut watch = ForgeryWatch::default();
        watch.record(place(0), 0, false);
        for line in 1..21 {
            watch.record(place(line), 300_000, true);
        }
        watch.record(place(21), 100, false);
        assert!((1..21).all(|line| watch.bad(line) == Some(OUT_OF_TIME)));
        assert_eq!(watch.bad(21), None);
        // A time that is past is known to be wrong at once.
        watch.record(place(22), -300_000, true);
        assert_eq!(watch.bad(22), Some(OUT_OF_TIME));
    }

    /// Where claims follow each other closely no record is out of a client's reach for a long time.
    #[test]
    fn the_next_sure_record_tells_whether_lines_in_reach_fit() {
        let mut watch = ForgeryWatch::default();
        watch.record(place(0), 0, false);
        for line in 1..61 {
            watch.record(place(line), line as i64 * 1000, true);
        }
        // One of them is a client's, of a time that never came.
        watch.record(place(61), 90_000, true);
        for line in 62..80 {
            watch.record(place(line), 60_000 + line as i64, false);
        }
        let bad: Vec<_> = (0..80).filter(|line| watch.bad(*line).is_some()).collect();
        assert_eq!(bad, [61]);
    }

    #[test]
    fn a_client_s_text_reaches_as_far_as_its_length() {
        let mut watch = ForgeryWatch::default();
        assert!(!watch.reaches(b"x"));
        watch.site(10);
        assert!(watch.reaches("äöü".as_bytes()));
        assert!(watch.reaches(b"sixsix"));
        assert!(!watch.reaches(b""));
        watch.site(10);
        assert!(!watch.reaches(b"longer than ten"));
        assert!(!watch.reaches(b"x"));
    }

    #[test]
    fn a_number_is_read_as_before() {
        let plain = |id: &[u8]| {
            let at = id.iter().rposition(|byte| *byte == b'-')?;
            let method = &id[..at];
            let digits = std::str::from_utf8(&id[at + 1..]).ok()?;
            let upper = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 18;
            if upper && number { digits.parse::<u64>().ok() } else { None }
        };
        let mut state = 3u64;
        for _ in 0..200_000 {
            let mut id = Vec::new();
            for _ in 0..24 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                match (state >> 33) % 12 {
                    0 if id.len() > 3 => break,
                    0..=1 => id.push(b'-'),
                    2 => id.push(b"az \xff"[(state >> 40) as usize % 4]),
                    3..=5 => id.push(b'P'),
                    _ => id.push(b'0' + (state >> 40) as u8 % 10),
                }
            }
            assert_eq!(number(&id), plain(&id), "{id:?}");
        }
    }

    #[test]
    fn several_processes_in_one_file_are_noticed() {
        let mut numbers = Numbers::default();
        for number in 0..100 {
            numbers.ended(format!("GET-{number}").as_bytes(), true);
            numbers.ended(format!("POST-{number}").as_bytes(), true);
        }
        assert!(numbers.mixed() && !numbers.taken(b"POST-99"));
    }

    #[test]
    fn a_number_belongs_to_one_request() {
        let mut numbers = Numbers::default();
        numbers.ended(b"GET-815", true);
        assert!(numbers.taken(b"POST-815"));
        assert!(!numbers.taken(b"GET-815"));
        numbers.ended(b"POST-816", true);
        numbers.ended(b"GET-816", false);
        assert!(!numbers.taken(b"POST-816"));
        assert!(!numbers.fits(900_000));
        assert_eq!(number(b"POST-req-main-1"), None);
        assert_eq!(number(b"POST-12"), Some(12));
    }
}
