//! One process's log, line by line → one device's `KeyLog`: joins the lines of an upload by request
//! id within one life of the process, and leaves out what a client may have written.
//!
//! What it cannot tell, in a text log: an account that knows the number of a request that never shows
//! (a preflight, a closed connection) can write an upload's lines under it, behind a login. Such refusals
//! count only when a line out of any client's reach repeats the conflict; accepted uploads and claims
//! are taken. So a text log proves nothing alone. Memory is bounded, however long the log.

use jiff::Timestamp;
use memchr::memmem::Finder;

use crate::carriers::Wrappings;
use crate::evidence::key_log::{Format, KeyLog};
use crate::evidence::{Subject, Window};
use crate::synapse_log::attribution::access_heads::AccessHeads;
use crate::synapse_log::attribution::hidden::{Held, Hidden};
use crate::synapse_log::attribution::request_lines;
use crate::synapse_log::attribution::settle;
use crate::synapse_log::attribution::sites::site;
use crate::synapse_log::forgery::{BROKEN, CONTINUED, LinePlace, SHARED, STRANGER};
use crate::synapse_log::key_tally::{End, Tally};
use crate::synapse_log::loud_lines::LoudLines;
use crate::synapse_log::message::{self, Message};
use crate::synapse_log::needles::{self, ends_pydantic, matters, speaks};
use crate::synapse_log::process::{Process, named, process, split_name, watches};
use crate::synapse_log::readers::Readers;
use crate::synapse_log::record::{self, Minute, Record, Shape, Stamp, json_time};
use crate::synapse_log::request::Seen;
use crate::synapse_log::synapse_lines::SynapseLines;
use crate::synapse_log::visibility::Looker;
use crate::synapse_log::zone::Clock;

/// Records beyond the window before reading stops.
const BEYOND: u32 = 256;
/// Records after the window that are still read, for the ends of its requests.
const MARGIN: i64 = 60_000;

/// Reads one file, or the rotated files of one process in order.
#[derive(Debug)]
pub struct Attribution {
    pub(super) clock: Clock,
    pub(super) tally: Tally,
    pub(super) processes: Vec<Process>,
    pub(super) held: Option<Held>,
    pub(super) next: LinePlace,
    pub(super) hidden: Hidden,
    pub(super) minute: Minute,
    pub(super) end: End,
    pub(super) beyond: u32,
    pub(super) user: Finder<'static>,
    /// The file writes text: what looks like JSON there is a client's.
    pub(super) text: bool,
    /// Nothing is read beside everybody's moments.
    pub(super) watching: bool,
    /// Takes the lines out of what a carrier put around them.
    pub(super) lines: SynapseLines,
    /// Finds the lines that are worth reading.
    pub(super) loud: LoudLines,
    pub(super) heads: AccessHeads,
}

impl Attribution {
    /// For one subject and window; the clock may have been told the log's offset before.
    pub fn new(subject: Subject, window: Window, clock: Clock) -> Self {
        Self {
            user: Finder::new(subject.user.as_str().as_bytes()).into_owned(),
            loud: needles::loud_lines(&subject, Readers::default().words()),
            tally: Tally::new(subject, window),
            clock,
            processes: Vec::new(),
            held: None,
            next: LinePlace::default(),
            hidden: Hidden::default(),
            minute: Minute::default(),
            end: End { visible: Looker::new(window), ..End::default() },
            beyond: 0,
            text: false,
            watching: false,
            lines: SynapseLines::default(),
            heads: AccessHeads::default(),
        }
    }

    /// Reads more off the same lines.
    pub fn with_readers(mut self, readers: Readers) -> Self {
        self.watching = readers.is_watching();
        self.loud = needles::loud_lines(&self.tally.subject, readers.words());
        self.end.readers = readers;
        self
    }

    /// Another file of the process begins, maybe in another format; reading may start in its middle.
    pub fn next_file(&mut self, text: bool, wrappings: Wrappings) {
        self.text = text;
        self.end.visible.lost += self.lines.lost;
        self.lines = SynapseLines::new(wrappings);
    }

    /// One physical line, without its newline. Only `\n` ends a line of Synapse's.
    pub fn line(&mut self, line: &[u8]) {
        let byte = self.next.byte;
        self.next.byte += line.len() as u64 + 1;
        if self.lines.is_plain() {
            return self.synapse_line(line, byte, self.loud.is_loud(line));
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.line(line, |line| self.synapse_line(line, byte, self.loud.is_loud(line)));
        self.lines = lines;
    }

    /// Whole lines, each with its newline; the last one may have none.
    pub fn block(&mut self, block: &[u8]) {
        if !self.lines.is_plain() {
            let lines = block.strip_suffix(b"\n").unwrap_or(block);
            return lines.split(|byte| *byte == b'\n').for_each(|line| self.line(line));
        }
        let loud = std::mem::take(&mut self.loud);
        loud.each_line(block, |line, is_loud| {
            let byte = self.next.byte;
            self.next.byte += line.len() as u64 + 1;
            self.synapse_line(line, byte, is_loud);
        });
        self.loud = loud;
    }

    /// One line as Synapse wrote it, which begins at this byte of all that was read. One that is not `loud` says nothing
    /// but that the log was at its time.
    fn synapse_line(&mut self, line: &[u8], byte: u64, loud: bool) {
        let place = LinePlace { line: self.next.line, byte };
        self.next.line += 1;
        self.end.lines += 1;
        self.end.readers.here(place.byte);
        match self.minute.shape(line) {
            Shape::Text { prefix, local } => self.text(line, place, (prefix, local), loud),
            Shape::Json { prefix } if !self.text => self.json(line, place, prefix, loud),
            Shape::Journal => self.end.journal += 1,
            Shape::Json { .. } => {
                self.hidden.json += u64::from(place.line >= self.hidden.name_ends);
                self.continuation(line, place);
                self.stranger(line);
            }
            Shape::Other => {
                if self.end.records == 0 && self.end.odd.is_none() {
                    self.end.odd = Some(record::beginning(line));
                }
                self.continuation(line, place);
            }
        }
    }

    /// Whether the log has left the window for good.
    pub fn is_past(&self) -> bool {
        self.beyond >= BEYOND
    }

    /// Judges what is still open and gives everything. `cut` where the last line may be half written.
    pub fn finish(mut self, cut: bool) -> (KeyLog, End) {
        if cut {
            self.held = None;
        }
        self.release();
        for process in 0..self.processes.len() {
            if let Some(at) = self.processes[process].watch.pending() {
                let at = self.clock.utc(Stamp::Local(at));
                self.saw(at, Format::Text, process);
            }
        }
        self.settle_all();
        self.tally.corroborate();
        if self.end.visible.moved > 0 {
            self.tally.untie_all();
        }
        self.end.visible.lost += self.lines.lost;
        self.end.zone = self.clock.describe();
        self.end.notes = self.clock.notes();
        self.end.zone_known = !self.clock.is_unknown();
        if self.processes.iter().any(|process| process.numbers.mixed()) {
            self.end.notes.push(SHARED.into());
        }
        (self.tally.log, self.end)
    }

    fn text(&mut self, line: &[u8], place: LinePlace, (prefix, local): (usize, i64), loud: bool) {
        self.release();
        // Every watch is asked: each keeps count of the lines.
        let own = &line[prefix..];
        let reach = watches(&mut self.processes).map(|watch| watch.reaches(own)).max()
            == Some(true)
            || place.line < self.hidden.name_ends;
        let Some(process) = named(&mut self.processes, &line[..prefix], place, reach) else {
            self.stranger(line);
            return;
        };
        self.text = true;
        let state = &mut self.processes[process];
        if let Some(moved) = state.watch.record(place, local, reach) {
            self.clock.jumped(moved);
        }
        let ended = self.heads.read(line, prefix);
        if let Some(ended) = ended {
            state.numbers.ended(ended.request, !reach);
        }
        if !reach && state.watch.is_steady() {
            let at = self.clock.utc(Stamp::Local(local));
            self.saw(at, Format::Text, process);
            match ended.and_then(|ended| ended.head) {
                _ if !self.looks() => {}
                Some(head) => self.end.visible.record(head, at),
                None => self.end.visible.text(line, prefix, at),
            }
        }
        let loud = loud || ended.is_some() && self.end.readers.waits();
        let speaks = loud && (!self.watching || speaks(line, ended.is_some()));
        if speaks && reach && self.watching {
            self.hidden.line(place);
        }
        if speaks && self.end.readers.is_asked() || self.end.readers.wants_every() {
            let forged = self.processes[process].watch.bad(place.line).is_some();
            let at = self.clock.utc(Stamp::Local(local));
            let seen = (reach || forged, forged, Format::Text);
            self.end.readers.look(line, at, process, (speaks, seen));
        }
        // An access line has no text that reaches further, and one who watches was shown it above.
        let waits = speaks && !(self.watching && ended.is_some());
        if waits && matters(line, &self.user) {
            if ends_pydantic(line) {
                watches(&mut self.processes).for_each(|watch| watch.pydantic_end(place));
            }
            let line = line.to_vec();
            self.held = Some(Held { line, place, process, reach, continued: false });
        }
        self.settle_if_due(place, process);
    }

    /// Whether a record is looked at for what the log could have shown. One who watches only asks whether
    /// these are Synapse's at all.
    fn looks(&self) -> bool {
        !self.watching || self.end.visible.recognised == 0
    }

    /// A line about the subject in another manner than the file's own.
    fn stranger(&mut self, line: &[u8]) {
        if self.user.find(line).is_some() {
            self.tally.log.distrust(STRANGER);
        }
    }

    fn continuation(&mut self, line: &[u8], place: LinePlace) {
        let (name, own) = split_name(&self.processes, line);
        if let Some(held) = &mut self.held
            && (name.is_empty() || self.processes[held.process].name == name)
        {
            held.continued = true;
        }
        watches(&mut self.processes).for_each(|watch| {
            watch.reaches(own);
        });
        if ends_pydantic(line) {
            self.release();
            watches(&mut self.processes).for_each(|watch| watch.pydantic_end(place));
        }
    }

    fn json(&mut self, line: &[u8], place: LinePlace, prefix: usize, loud: bool) {
        self.release();
        let (name, line) = line.split_at(prefix);
        let Some(process) = process(&mut self.processes, name) else { return };
        let at = self.clock.utc(json_time(line).map_or(Stamp::Unknown, Stamp::Utc));
        self.saw(at, Format::Json, process);
        if self.looks() {
            self.end.visible.json(line, at);
        }
        let loud = loud || self.end.readers.waits();
        let speaks = loud && (!self.watching || speaks(line, false));
        self.end.readers.look(line, at, process, (speaks, (false, false, Format::Json)));
        if speaks && matters(line, &self.user) {
            let text = record::text(line);
            if let Some(record) = Record::parse(&text) {
                let message = message::read(&record, &self.tally.subject);
                self.message(message, &record, process, (place, false));
            }
        }
        self.settle_if_due(place, process);
    }

    fn settle_if_due(&mut self, place: LinePlace, process: usize) {
        if settle::is_due(place) {
            self.settle(process, false);
        }
    }

    fn settle_all(&mut self) {
        (0..self.processes.len()).for_each(|process| self.settle(process, true));
    }

    fn settle(&mut self, process: usize, end: bool) {
        let text = self.end.format == Format::Text;
        settle::settle(&mut self.processes[process], &mut self.tally, self.next, (text, end));
    }

    /// Notes that the log holds a record of this moment.
    fn saw(&mut self, at: Option<i64>, format: Format, process: usize) {
        if self.end.records > 0 && self.end.format != format {
            // What a text log says is not to be taken for what JSON says.
            self.settle_all();
        }
        self.end.records += 1;
        (self.end.format, self.tally.format) = (format, format);
        let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) else { return };
        self.end.readers.passed(at);
        self.processes[process].tick(at.as_millisecond());
        self.end.saw(at, self.tally.window);
        // A fixed offset may be an hour off behind a change to summer time.
        let margin = MARGIN + if self.clock.is_unsteady() { 3_600_000 } else { 0 };
        let beyond =
            at.as_millisecond() > self.tally.window.to.as_millisecond().saturating_add(margin);
        self.beyond = if beyond { self.beyond + 1 } else { 0 };
    }

    /// Reads the held record, now that it is known what follows it.
    pub(super) fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        let text = record::text(&held.line);
        let Some(record) = Record::parse(&text) else {
            return;
        };
        let message = message::read(&record, &self.tally.subject);
        let Self { processes, hidden, next, .. } = self;
        site(processes, hidden, *next, (&message, &record), &held);
        if held.continued && !matches!(message, Message::Other | Message::Site(_)) {
            let watch = &mut self.processes[held.process].watch;
            watch.mark(held.place.line, held.place.line, CONTINUED);
        }
        self.message(message, &record, held.process, (held.place, held.reach));
    }

    /// Puts what a record says to its request.
    fn message(
        &mut self,
        message: Message,
        record: &Record,
        process: usize,
        at: (LinePlace, bool),
    ) {
        let (place, reach) = at;
        if let Message::Adding(upload) | Message::DeviceKeys(upload) = &message {
            let watch = &mut self.processes[process].watch;
            let log = &mut self.tally;
            request_lines::date(upload, record.stamp, (&mut self.clock, log, watch), place, reach);
        }
        let Some(at) = self.clock.utc(record.stamp) else {
            return;
        };
        let seen = Seen { place, at, reach, what: () };
        let id = record.request.as_deref().unwrap_or_default();
        let moved = !reach && request_lines::is_moved(&message, id);
        self.end.visible.moved += u64::from(moved);
        match message {
            Message::Start if !reach => {
                self.settle(process, true);
                self.processes[process].restart();
                self.end.readers.restart(process);
            }
            // One who watches asks for nobody's requests, and does not see their ends here.
            Message::Adding(_) | Message::DeviceKeys(_) if self.watching => {}
            Message::Broken if record.message.contains(self.tally.subject.user.as_str()) => {
                self.tally.log.distrust(BROKEN);
            }
            message => {
                let process = &mut self.processes[process];
                let tied = request_lines::put(process, &mut self.tally, message, (id, moved), seen);
                self.end.without_ids += u64::from(!tied);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::key_log::Refused;
    use crate::evidence::removal::RemovedBy;

    const STORM: &str = include_str!("../../../../tests/fixtures/log/ke1-eviction-storm.log");
    const HEALS: &str =
        include_str!("../../../../tests/fixtures/log/ke1-eviction-heals-after-claims.log");
    const TABS: &str = include_str!("../../../../tests/fixtures/log/ke1-two-clients.log");
    const ROLLBACK: &str = include_str!("../../../../tests/fixtures/log/ke1-rollback.log");
    const REUSED: &str = include_str!("../../../../tests/fixtures/log/ke1-claimed-then-reused.log");
    const SILENT: &str = include_str!("../../../../tests/fixtures/log/ke1-eviction-silent.log");
    const HEALTHY: &str = include_str!("../../../../tests/fixtures/log/healthy.log");
    const INJECTION: &str = include_str!("../../../../tests/fixtures/log/injection.log");
    const TRACEBACK: &str = include_str!("../../../../tests/fixtures/log/traceback.log");

    fn subject(user: &str, device: &str) -> Subject {
        Subject { user: user.try_into().unwrap(), device: device.into() }
    }

    fn read_as(text: &str, user: &str, device: &str) -> (KeyLog, End) {
        let window = Window {
            from: "2026-11-22T00:00:00Z".parse().unwrap(),
            to: "2026-11-23T00:00:00Z".parse().unwrap(),
        };
        let mut reading = Attribution::new(subject(user, device), window, Clock::new(None));
        let lines = text.trim_end_matches('\n').split('\n');
        lines.for_each(|line| reading.line(line.as_bytes()));
        reading.finish(false)
    }

    /// `key×count lowest-highest[ +device keys]`
    fn refusal(group: &Refused) -> String {
        let (low, high) = group.batch.range.unwrap();
        let device_keys = if group.with_device_keys > 0 { " +dk" } else { "" };
        format!("{}×{} {low}-{high}{device_keys}", group.key.name(), group.span.count)
    }

    #[test]
    fn the_lab_s_timelines() {
        // device, log, refused, accepted, claims, shared syncs, client starts, unattributed
        let cases = [
            ("DEVS1STORM", STORM, "AAAAAAAAAA0×30 0-49 +dk", "0-49", 0, 0, 2, 0),
            // The slice begins behind the first refusal's `Adding` line.
            ("DEVS1HEAL", HEALS, "AAAAAAAAAA0×43 0-49 +dk", "0-49", 50, 0, 0, 1),
            (
                "DEVS2TABS",
                TABS,
                "AAAAAAAAADk×10 50-59",
                "0-49 50-99 100-109 110-139 50-59 140-159 60-79",
                120,
                41,
                2,
                0,
            ),
            (
                "DEVS3ROLL",
                ROLLBACK,
                "AAAAAAAAAD0×25 50-99 AAAAAAAAAEg×2 50-99",
                "0-49 50-99",
                75,
                2,
                3,
                0,
            ),
            ("DEVS1SILENT", SILENT, "", "0-49×2 50-99", 52, 0, 2, 0),
            ("DEVS6OK", HEALTHY, "", "0-49 50-61 62-111 112-123", 17, 1, 2, 0),
        ];
        for (device, text, refused, accepted, claims, shared, starts, unattributed) in cases {
            let user = device.trim_start_matches("DEV").to_lowercase();
            let (log, end) = read_as(text, &format!("@{user}:lab.local"), device);
            let found: Vec<_> = log.refused.iter().map(refusal).collect();
            assert_eq!(found.join(" "), refused, "{device}");
            let batches = log.accepted.batches.iter().map(|known| {
                let (low, high) = known.batch.range.unwrap();
                match known.span.count {
                    1 => format!("{low}-{high}"),
                    count => format!("{low}-{high}×{count}"),
                }
            });
            assert_eq!(batches.collect::<Vec<_>>().join(" "), accepted, "{device}");
            assert_eq!(log.claims.all.map_or(0, |span| span.count), claims, "{device}");
            assert_eq!(log.shared_sync, shared, "{device}");
            assert_eq!(log.client_starts.len(), starts, "{device}");
            assert_eq!(log.unattributed, unattributed, "{device}");
            assert_eq!(log.distrusted, [], "{device}");
            assert!(end.zone.starts_with("UTC+00:00, derived from"), "{}", end.zone);
        }
    }

    #[test]
    fn no_attempt_of_the_lab_reaches_the_victim() {
        let (log, _) = read_as(INJECTION, "@victim:lab.local", "VICTIMDEV");
        assert_eq!((log.refusals(), log.unattributed, log.shared_sync), (0, 0, 0));
        assert!(log.accepted.uploads.is_none() && log.claims.all.is_none());
        // One upload was real: the attacker's own, with the victim's name in its values.
        assert_eq!(log.named_by_others.len(), 1);
        assert_eq!(log.named_by_others[0].by, "@inj:lab.local");
        assert!(!log.distrusted.is_empty());
        let (own, _) = read_as(INJECTION, "@inj:lab.local", "DEVI");
        let keys: Vec<_> = own.refused.iter().map(|group| group.key.name()).collect();
        assert!(keys.contains(&"VV"), "{keys:?}");
    }

    #[test]
    fn a_traceback_harms_nobody() {
        let (log, end) = read_as(TRACEBACK, "@a:lab.local", "A");
        assert_eq!(log.distrusted, []);
        assert!(end.records > 5);
    }

    /// A log in which each part of a second is one line; numbers are request numbers.
    struct Written {
        text: String,
        at: i64,
    }

    const VICTIM: &str = "@victim:lab.local";

    impl Written {
        fn new() -> Self {
            Self { text: String::new(), at: 1_795_348_800_000 }
        }

        fn line(&mut self, logger: &str, id: &str, message: &str) -> &mut Self {
            self.at += 3;
            let text = record(self.at, logger, id, message);
            self.text.push_str(&text);
            self.text.push('\n');
            self
        }

        fn access(&mut self, id: &str, user: &str, status: u16, uri: &str) -> &mut Self {
            let text = access(user, status, id.split('-').next().unwrap(), uri);
            self.line("synapse.access.http.8008", id, &text)
        }

        /// Ordinary traffic with the numbers of a range.
        fn traffic(&mut self, numbers: std::ops::Range<u32>) -> &mut Self {
            for number in numbers {
                self.access(&format!("GET-{number}"), "@other:lab.local", 200, "v3/sync?since=s1");
            }
            self
        }

        fn upload(&mut self, number: u32, user: &str, device: &str, refused: bool) -> &mut Self {
            let id = format!("POST-{number}");
            let at = self.at + 3;
            self.line("synapse.handlers.e2e_keys", &id, &adding(user, device, at));
            if refused {
                self.line("synapse.http.server", &id, REFUSED);
            }
            self.access(&id, user, if refused { 400 } else { 200 }, "v3/keys/upload")
        }

        /// A login for a name that nobody has.
        fn login(&mut self, name: &str) -> &mut Self {
            let asked = format!(
                "Got login request with identifier: {{'type': 'm.id.user', 'user': '{}'}}, medium: \
                 None, address: None, user: None",
                name.replace('\'', "\\'").replace('\n', "\\n")
            );
            self.line("synapse.rest.client.login", "POST-50", &asked);
            let text = format!("Attempted to login as @{name} but they do not exist");
            self.line(AUTH, "POST-50", &text)
        }

        fn read(&self) -> KeyLog {
            read_as(&self.text, VICTIM, "DEV").0
        }
    }

    fn record(at: i64, logger: &str, id: &str, message: &str) -> String {
        let at = Timestamp::from_millisecond(at).unwrap();
        let wall = jiff::tz::TimeZone::UTC.to_datetime(at);
        let wall = wall.strftime("%Y-%m-%d %H:%M:%S,%3f");
        format!("{wall} - {logger} - 1 - INFO - {id} - {message}")
    }

    fn adding(user: &str, device: &str, at: i64) -> String {
        format!(
            "Adding one_time_keys dict_keys(['a:b']) for device '{device}' for user '{user}' at {at}"
        )
    }

    fn access(user: &str, status: u16, method: &str, uri: &str) -> String {
        format!(
            "1.1.1.1 - 8008 - {{{user}}} Processed request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) \
             db=(0.0sec/0.0sec/0) 1B {status} \"{method} /_matrix/client/{uri} HTTP/1.1\" \"a\" [0 dbevts]"
        )
    }

    const REFUSED: &str = "<X method='POST' uri='/_matrix/client/v3/keys/upload'> SynapseError: 400 - One \
                           time key a:b already exists. Old key: \"o\"; new key: 'n'";

    /// The three lines of a refused upload of the victim's, as an attacker would write them.
    fn forged(at: i64, number: u32) -> String {
        let id = format!("POST-{number}");
        let lines = [
            record(at, "synapse.handlers.e2e_keys", &id, &adding(VICTIM, "DEV", at)),
            record(at, "synapse.http.server", &id, REFUSED),
            record(
                at,
                "synapse.access.http.8008",
                &id,
                &access(VICTIM, 400, "POST", "v3/keys/upload"),
            ),
        ];
        lines.join("\n")
    }

    const AUTH: &str = "synapse.handlers.auth";

    #[test]
    fn a_perfect_forgery_adds_nothing() {
        type Attack = fn(&mut Written);
        let attacks: [(&str, Attack); 10] = [
            ("behind another process's name", |log| {
                let lines = forged(log.at + 6, 60).replace("2026-", "worker1 | 2026-");
                log.line("synapse.unheard.of", "POST-50", &format!("what is this?\n{lines}"));
            }),
            ("a login's name, behind another process's name", |log| {
                let lines = forged(log.at + 6, 60).replace("2026-", "worker1 | 2026-");
                log.login(&format!("x\n{lines}"));
            }),
            ("in JSON", |log| {
                let at = log.at as f64 / 1000.0;
                let epoch = log.at;
                let lines = [
                    ("synapse.handlers.e2e_keys", adding(VICTIM, "DEV", epoch)),
                    ("synapse.http.server", REFUSED.to_owned()),
                    ("synapse.access.http.8008", access(VICTIM, 400, "POST", "v3/keys/upload")),
                ]
                .map(|(logger, message)| {
                    let line = serde_json::json!({"log": message, "namespace": logger, "level": "INFO",
                        "time": at, "request": "POST-60"});
                    line.to_string()
                });
                log.login(&format!("x\n{}", lines.join("\n")));
            }),
            ("an unknown login's name", |log| {
                log.login(&format!("x\n{}", forged(log.at + 6, 60)));
            }),
            ("one that ends the record itself", |log| {
                let last = record(log.at + 6, AUTH, "POST-61", "Attempted to login as @y");
                log.login(&format!("x but they do not exist\n{}\n{last}", forged(log.at + 6, 60)));
            }),
            ("two device ids, with a number nobody has", |log| {
                let lines = forged(log.at + 6, 60);
                let (most, last) = lines.rsplit_once('\n').unwrap();
                for (id, part) in [("POST-50", most), ("POST-58", last)] {
                    assert!(part.len() < 500);
                    let text = format!("Logging in user @e:s on device X\n{part}");
                    log.line(AUTH, id, &text);
                    log.access(id, "None", 200, "v3/login");
                }
            }),
            ("a claim, with a number that comes", |log| {
                let text =
                    format!("Claimed one-time-keys: a:b for @e:s:X\n{}", forged(log.at + 6, 52));
                log.line("synapse.handlers.e2e_keys", "POST-50", &text);
            }),
            ("a site nobody knows of, with a number that was", |log| {
                let text = format!("what is this?\n{}", forged(log.at + 6, 30));
                log.line("synapse.unheard.of", "POST-50", &text);
            }),
            ("a site nobody knows of, with a number that comes", |log| {
                let text = format!("what is this?\n{}", forged(log.at + 6, 52));
                log.line("synapse.unheard.of", "POST-50", &text);
            }),
            ("a site nobody knows of, at another time", |log| {
                let text = format!("what is this?\n{}", forged(log.at + 60_000, 60));
                log.line("synapse.unheard.of", "POST-50", &text);
            }),
        ];
        for (name, attack) in attacks {
            let mut log = Written::new();
            log.traffic(1..50);
            attack(&mut log);
            log.access("POST-50", "None", 403, "v3/login").traffic(51..58).traffic(70..90);
            let log = log.read();
            assert_eq!((log.refusals(), log.unattributed), (0, 0), "{name}");
            assert!(log.accepted.uploads.is_none(), "{name}");
            assert!(!log.distrusted.is_empty() || !log.doubtful.is_empty(), "{name}");
        }
    }

    /// A call begins, and its members claim keys of each other for minutes: each claim's text may reach over
    /// the lines after it.
    #[test]
    fn many_claims_between_them_drop_no_genuine_line() {
        let mut log = Written::new();
        log.traffic(1..20);
        for number in 20..220 {
            log.at += 700;
            let id = format!("POST-{number}");
            log.line(
                "synapse.handlers.e2e_keys",
                &id,
                "Claimed one-time-keys: a:b for @other:lab.local:X",
            );
            log.access(&id, "@other:lab.local", 200, "v3/keys/claim");
            if number % 5 == 0 {
                log.upload(number + 1000, VICTIM, "DEV", false);
            }
        }
        log.traffic(1220..1240);
        let log = log.read();
        assert_eq!(log.accepted.uploads.map(|span| span.count), Some(40), "{:?}", log.distrusted);
        assert_eq!(log.distrusted, []);
    }

    #[test]
    fn a_forgery_takes_nothing_away() {
        // Each line is written for the id of a true refusal, before and behind it.
        let at = 1_795_348_800_400;
        let id = "POST-50";
        let lines = [
            record(at, "synapse.handlers.e2e_keys", id, &adding("@e:s", "DEV", at)),
            record(at, "synapse.http.server", id, &REFUSED.replace("\"o\"", "\"p\"")),
            record(
                at,
                "synapse.access.http.8008",
                id,
                &access("@e:s", 200, "POST", "v3/keys/upload"),
            ),
            record(
                at,
                "synapse.access.http.8008",
                id,
                &access(VICTIM, 200, "POST", "v3/keys/upload"),
            ),
            record(
                at,
                "synapse.access.http.8008",
                "GET-50",
                &access("@e:s", 200, "GET", "v3/sync"),
            ),
            "no record at all".to_owned(),
        ];
        for line in lines {
            for behind in [false, true] {
                let mut log = Written::new();
                log.traffic(1..48);
                let site = format!("Logging in user @e:s on device X\n{line}");
                if !behind {
                    log.line(AUTH, "POST-48", &site);
                }
                log.access("POST-48", "None", 200, "v3/login").traffic(49..50);
                log.upload(50, VICTIM, "DEV", true);
                if behind {
                    log.line(AUTH, "POST-51", &site);
                }
                log.access("POST-51", "None", 200, "v3/login").traffic(52..60);
                assert_eq!(log.read().refusals(), 1, "{behind} {line}");
            }
        }
    }

    /// Recorded: Synapse 1.163.2 with MAS, in text and in JSON, and 1.120.2.
    #[test]
    fn recorded_removals_are_found() {
        let text = "2026-11-27 16:51:38,619 - synapse.rest.synapse.mas.devices - 231 - INFO - POST-223 - Syncing \
                    0 devices for user @edo:quay.example will delete 1 devices\n\
                    2026-11-27 16:51:38,620 - synapse.handlers.device - 312 - INFO - POST-223 - Deleting devices \
                    ['EDOPHONE'] for '@edo:quay.example'";
        let json = r#"{"log":"Deleting devices ['Vi8XrN6EtB'] for '@cyd:quay.example'","namespace":"synapse.handlers.device","level":"INFO","time":1795809062.4,"server_name":"quay.example","request":"POST-90","method":"POST","url":"/_synapse/mas/sync_devices"}"#;
        let task = "2026-11-27 19:55:57,308 - synapse.util.task_scheduler - 368 - INFO - \
                    task-delete_device_messages-0-HUFZPTVTKtvSyvVE - Task complete: 0.005sec (0.000sec, 0.000sec) \
                    (0.002sec/0.001sec/2) [0 dbevts] 'L0pHPec0Mp', {'user_id': '@ben:weir.example', 'device_id': \
                    'L0pHPec0Mp', 'up_to_stream_id': 4}";
        for (text, user, device, expected) in [
            (text, "@edo:quay.example", "EDOPHONE", &[RemovedBy::Sync, RemovedBy::Deleted][..]),
            (text, "@edo:quay.example", "OTHER", &[RemovedBy::Sync]),
            (text, "@cyd:quay.example", "EDOPHONE", &[]),
            (json, "@cyd:quay.example", "Vi8XrN6EtB", &[RemovedBy::Deleted]),
            (task, "@ben:weir.example", "L0pHPec0Mp", &[RemovedBy::Task]),
        ] {
            let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
            let mut reading = Attribution::new(subject(user, device), window, Clock::new(None));
            text.split('\n').for_each(|line| reading.line(line.as_bytes()));
            let found: Vec<_> = reading.finish(false).0.removed.iter().map(|one| one.by).collect();
            assert_eq!(found, expected, "{user} {device}");
        }
    }

    #[test]
    fn an_upload_is_the_authenticated_user_s() {
        let mut log = Written::new();
        let signed = REFUSED.replace(
            "'n'",
            "{'key': 'n', 'signatures': {'@victim:lab.local': {'ed25519:DEV': 's'}}}",
        );
        let at = log.at + 3;
        log.line("synapse.handlers.e2e_keys", "POST-7", &adding("@e:s", "X", at));
        log.line("synapse.http.server", "POST-7", &signed);
        log.access("POST-7", "@e:s", 400, "v3/keys/upload");
        log.line("synapse.http.server", "POST-8", &signed);
        log.access("POST-8", VICTIM, 400, "v3/keys/upload");
        log.upload(9, VICTIM, "OTHER", true).upload(10, VICTIM, "DEV", false);
        let log = log.read();
        assert_eq!((log.refusals(), log.unattributed), (0, 1));
        assert_eq!(log.named_by_others[0].by, "@e:s");
        assert_eq!(log.accepted.keys, 1);
    }

    #[test]
    fn ids_begin_again_with_the_process() {
        let mut log = Written::new();
        log.traffic(1..5).upload(5, VICTIM, "DEV", true);
        log.line("synapse.config.logger", "main", "***** STARTING SERVER *****");
        log.traffic(1..5).access("GET-5", "@o:s", 200, "v3/sync?since=1");
        log.upload(6, VICTIM, "DEV", true);
        assert_eq!(log.read().refusals(), 2);
    }

    #[test]
    fn a_few_lines_behind_a_pause_are_seen() {
        let mut log = Written::new();
        log.traffic(1..20);
        log.at += 1_200_000;
        log.traffic(20..23);
        let (_, end) = read_as(&log.text, VICTIM, "DEV");
        assert_eq!(end.last.unwrap().as_millisecond(), log.at);
    }

    #[test]
    fn a_refusal_at_the_end_counts() {
        let mut log = Written::new();
        log.traffic(1..5).upload(5, VICTIM, "DEV", true);
        let text = log.text.trim_end().rsplit_once('\n').unwrap().0.to_owned();
        assert_eq!(read_as(&text, VICTIM, "DEV").0.refusals(), 1);
    }

    #[test]
    fn shaken_logs_never_panic() {
        let mut state = 3u64;
        let mut shake = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below.max(1)
        };
        for text in [INJECTION, REUSED, TRACEBACK, HEALTHY] {
            for _ in 0..20 {
                let mut bytes = text.as_bytes().to_vec();
                for _ in 0..200 {
                    let at = shake(bytes.len());
                    bytes[at] = b"\n\r'\"{}-, 0\xff"[shake(11)];
                }
                let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
                let whom = subject("@inj:lab.local", "DEVI");
                let mut reading = Attribution::new(whom, window, Clock::new(None));
                bytes.split(|byte| *byte == b'\n').for_each(|line| reading.line(line));
                reading.finish(true);
            }
        }
    }
}
