//! A log's records, once each → whose uploads were refused and whose were taken, of every device.
//!
//! The lines of an upload are joined by process and request id: `Adding one_time_keys …` names the
//! authenticated device, the refusal says why, the access line says how it ended, and its requester must
//! be the same user. Lines that a client may have written are only counted. Memory is bounded: attackers
//! invent users.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::evidence::fleet::{FleetLog, KEPT, RemovedDevice};
use crate::evidence::key_log::Coverage;
use crate::evidence::log_event::What;
use crate::evidence::removal::{Removed, RemovedBy};
use crate::evidence::{Subject, Window};
use crate::synapse_log::fleet::agent;
use crate::synapse_log::fleet::needles::NEEDLES;
use crate::synapse_log::fleet::open::{End, Open, RejectedDevices};
use crate::synapse_log::fleet::seen::Seen;
use crate::synapse_log::log_events::LogEvents;
use crate::synapse_log::message::{self, Access, Message, Upload};
use crate::synapse_log::record::{self, Record};
use crate::synapse_log::record_view::RecordView;

/// Uploads under way at once, of all processes.
const OPEN: usize = 8192;
/// Devices held at once; then those with the fewest refusals go.
const DEVICES: usize = 4 * KEPT;
/// A device id may be of this length (Synapse, `rest/client/login.py`); longer ones are not kept.
const DEVICE: usize = 512;
/// One who watches gives an upload up that has not ended after this long: the slowest waits a minute for
/// the database.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(2);

/// A request that the log's end cuts off began this long before it.
const CUT: SignedDuration = SignedDuration::from_secs(30);
/// Uploads of which every line may be a client's, held back until a surer one says the same.
const BEHIND: usize = 512;
/// Removals kept, the newest.
const REMOVED: usize = 1000;

/// … and waits so long for a truer end than one that is where a client's text may reach: lines are up
/// to 5 s late.
const DOUBTED: SignedDuration = SignedDuration::from_secs(5);

/// Reads a log for everybody.
#[derive(Debug)]
pub struct FleetTally {
    window: Window,
    /// Whose claims are looked for: nobody's.
    nobody: Subject,
    open: HashMap<(usize, String), Open>,
    order: VecDeque<(usize, String)>,
    /// Those with an end that may be a client's, and when it was written.
    doubted: VecDeque<((usize, String), Timestamp)>,
    refused: RejectedDevices,
    /// Refusals that no line out of a client's reach confirms so far.
    behind: Vec<(Open, Access, Timestamp)>,
    /// The newest moment.
    newest: Option<Timestamp>,
    devices: HashMap<(OwnedUserId, OwnedDeviceId), Seen>,
    log: FleetLog,
    /// Every moment one by one, for those who watch storms; devices are not collected then, because there
    /// is no end at which they were asked for.
    log_events: Option<LogEvents>,
    /// Where the record begins that is looked at.
    here: u64,
}

impl FleetTally {
    /// Nothing yet.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            nobody: Subject::nobody(),
            open: HashMap::new(),
            order: VecDeque::new(),
            doubted: VecDeque::new(),
            refused: RejectedDevices::default(),
            behind: Vec::new(),
            newest: None,
            devices: HashMap::new(),
            log: FleetLog::default(),
            log_events: None,
            here: 0,
        }
    }

    /// Keeps what each moment came to as well.
    pub fn watching(self) -> Self {
        Self { log_events: Some(LogEvents::default()), ..self }
    }

    /// The moments since this was asked last, where they are kept.
    pub fn log_events(&mut self) -> Option<LogEvents> {
        self.log_events.as_mut().map(std::mem::take)
    }

    /// Whether the moments are kept.
    pub fn is_watching(&self) -> bool {
        self.log_events.is_some()
    }

    /// A record that no client can have written, whatever it says, and its moment.
    pub fn passed(&mut self, at: Timestamp) {
        self.newest = self.newest.max(Some(at));
    }

    /// The next record begins at this byte.
    pub fn here(&mut self, byte: u64) {
        self.here = byte;
    }

    /// Where the oldest upload began whose end is waited for.
    pub fn oldest(&self) -> Option<u64> {
        self.open.get(self.order.front()?).map(|open| open.byte)
    }

    /// One record.
    pub fn see(&mut self, view: &RecordView) {
        if let Some(log_events) = &mut self.log_events {
            log_events.see(view);
        }
        if !NEEDLES.is_match(view.line) {
            return;
        }
        let text = record::text(view.line);
        let Some(record) = Record::parse(&text) else { return };
        let message = message::read(&record, &self.nobody);
        if let Message::Removed(removed) = message {
            return self.removed(removed, view);
        }
        let id = record.request.as_deref().unwrap_or_default();
        if id.is_empty() || id == "sentinel" || view.forged {
            let counts = matches!(message, Message::Refused(_) | Message::TooLarge);
            self.log.doubtful += u64::from(counts);
            return;
        }
        let key = (view.process, id.to_owned());
        let reach = view.reach;
        match message {
            Message::Adding(upload) => {
                if self.is_watching() && !reach {
                    self.tire(view.at);
                }
                self.begin(key, upload, view.at, reach);
            }
            Message::Refused(refusal) => self.said(&key, End::Refused(refusal), reach),
            Message::TooLarge => self.said(&key, End::TooLarge, reach),
            Message::Access(access) if access.is_key_upload() => {
                self.end(&key, access, view.at, reach);
            }
            _ => {}
        }
    }

    /// The process's request ids start again.
    pub fn restart(&mut self, process: usize) {
        self.open.retain(|(of, _), _| *of != process);
        self.order.retain(|(of, _)| *of != process);
    }

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> FleetLog {
        while let Some(oldest) = self.order.pop_front() {
            self.cut_off(&oldest);
            self.give_up(&oldest);
        }
        for (open, access, at) in std::mem::take(&mut self.behind) {
            if self.is_confirmed(&open) {
                self.judge(open, &access, at)
            } else {
                self.log.doubtful += 1
            }
        }
        self.prune(KEPT);
        self.log.coverage = coverage;
        let in_trouble = self.devices.into_iter().filter(|(_, seen)| seen.is_in_trouble());
        self.log.devices = in_trouble.map(|(of, seen)| seen.uploader(of)).collect();
        // Of equal counts in a stable order: the map has none.
        self.log.devices.sort_by(|a, b| (&a.user, &a.device).cmp(&(&b.user, &b.device)));
        self.log.clip();
        self.log
    }

    /// The log's time is this far: gives up what has been under way for long.
    pub fn tire(&mut self, now: Timestamp) {
        while let Some((key, at)) = self.doubted.front() {
            if now.duration_since(*at) < DOUBTED && self.doubted.len() <= OPEN {
                break;
            }
            let key = key.clone();
            self.doubted.pop_front();
            if self.open.contains_key(&key) {
                self.unqueue(&key);
                self.give_up(&key);
            }
        }
        while let Some(oldest) = self.order.front() {
            let since = self.open.get(oldest).map(|open| now.duration_since(open.at));
            if since.is_some_and(|since| since < GIVEN_UP) {
                break;
            }
            let Some(oldest) = self.order.pop_front() else { break };
            self.give_up(&oldest);
        }
    }

    fn begin(&mut self, key: (usize, String), upload: Upload, at: Timestamp, reach: bool) {
        if upload.device.as_str().len() > DEVICE {
            return;
        }
        let known = self.open.get(&key);
        if known.is_some() {
            // One of two lines under one id is not Synapse's: that behind a client's text.
            self.log.doubtful += 1;
        }
        if known.is_some_and(|known| !known.reach || reach) {
            return;
        }
        if known.is_none() {
            while self.order.len() >= OPEN {
                let Some(oldest) = self.order.pop_front() else { break };
                self.give_up(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let end = End::default();
        let byte = self.here;
        let open = Open { upload, end, end_reach: false, reach, doubted: None, byte, at };
        self.open.insert(key, open);
    }

    fn said(&mut self, key: &(usize, String), end: End, reach: bool) {
        let Some(open) = self.open.get_mut(key) else {
            self.log.doubtful += 1;
            return;
        };
        // Of two reasons the one that is surely Synapse's counts.
        let first = matches!(open.end, End::Unsaid);
        self.log.doubtful += u64::from(!first);
        if first || open.end_reach && !reach {
            (open.end, open.end_reach) = (end, reach);
            open.reach &= reach;
        }
    }

    fn end(&mut self, key: &(usize, String), access: Access, at: Timestamp, reach: bool) {
        if reach {
            if let Some(open) = self.open.get_mut(key).filter(|open| open.doubted.is_none()) {
                open.doubted = Some((access, at));
                if self.log_events.is_some() {
                    self.doubted.push_back((key.clone(), at));
                }
            }
            return;
        }
        let Some(open) = self.open.remove(key) else { return };
        self.unqueue(key);
        self.judge(open, &access, at);
    }

    fn unqueue(&mut self, key: &(usize, String)) {
        // Most uploads end soon, where the queue ends.
        if let Some(at) = self.order.iter().rposition(|known| known == key) {
            self.order.remove(at);
        }
    }

    /// No further line is waited for: an end that a client may have written will do, where other lines of
    /// the upload are Synapse's.
    fn give_up(&mut self, key: &(usize, String)) {
        let Some(mut open) = self.open.remove(key) else { return };
        match open.doubted.take() {
            // An upload that was taken accuses nobody, and one more refusal accuses nobody anew.
            Some((access, at))
                if !open.reach || matches!(open.end, End::Unsaid) || self.refused.knows(&open) =>
            {
                self.judge(open, &access, at);
            }
            Some((access, at)) if !self.is_watching() && self.behind.len() < BEHIND => {
                self.behind.push((open, access, at));
            }
            _ => self.log.doubtful += u64::from(!matches!(open.end, End::Unsaid)),
        }
    }

    /// Whether a line out of a client's reach reports the same conflict.
    fn is_confirmed(&self, open: &Open) -> bool {
        let device = (open.upload.user.clone(), open.upload.device.clone());
        let End::Refused(refusal) = &open.end else { return false };
        self.devices.get(&device).is_some_and(|seen| seen.knows(refusal))
    }

    /// A refusal whose end the log does not have, because it ends there.
    fn cut_off(&mut self, key: &(usize, String)) {
        let recent = |at: Timestamp| self.newest.is_some_and(|now| now.duration_since(at) <= CUT);
        let cut = |open: &&Open| {
            let said = !matches!(open.end, End::Unsaid);
            said && !open.reach && open.doubted.is_none() && recent(open.at)
        };
        if self.is_watching() || self.open.get(key).filter(cut).is_none() {
            return;
        }
        let Some(open) = self.open.remove(key) else { return };
        if self.window.holds(open.at) {
            let at = open.at;
            let device = (open.upload.user, open.upload.device);
            self.devices.entry(device).or_default().ended(open.end, at);
        }
    }

    /// Devices were removed: what was refused before is history.
    fn removed(&mut self, removed: Removed, view: &RecordView) {
        if removed.by == RemovedBy::Sync || !self.window.holds(view.at) || view.forged {
            return;
        }
        for device in removed.devices.into_iter().filter(|device| device.as_str().len() <= DEVICE) {
            if self.log.removed.len() >= REMOVED {
                self.log.removed.remove(0);
            }
            let user = removed.user.clone();
            let at = view.at;
            // The task that empties the inbox ends some time after the removal.
            let task = removed.by == RemovedBy::Task;
            let sure = !view.reach && !task;
            let mut all = self.log.removed.iter();
            if task && all.any(|one| one.user == user && one.device == device) {
                continue;
            }
            let known = (removed.user.clone(), device.clone());
            if let Some(seen) = self.devices.get_mut(&known).filter(|_| sure) {
                seen.removed(at);
            }
            self.log.removed.push(RemovedDevice { user, device, at, sure });
        }
    }

    fn judge(&mut self, open: Open, access: &Access, at: Timestamp) {
        let own = access.user.as_deref() == Some(open.upload.user.as_str());
        if own && access.status == 400 && self.is_watching() {
            self.refused.learn(&open);
        }
        let Open { upload, end, .. } = open;
        if !access.is_replicated() && access.user.as_deref() != Some(upload.user.as_str()) {
            self.log.doubtful += 1;
            return;
        }
        if !self.window.holds(at) {
            return;
        }
        let ended_so = match &end {
            End::Unsaid => access.status == 200,
            End::Refused(_) => access.status == 400,
            End::TooLarge => (400..500).contains(&access.status),
        };
        if !ended_so {
            // An upload that failed for another reason is no trouble of keys.
            self.log.doubtful += u64::from(!matches!(end, End::Unsaid));
            return;
        }
        self.log.accepted += u64::from(matches!(end, End::Unsaid));
        if let Some(log_events) = &mut self.log_events {
            let user = upload.user.clone();
            let device = upload.device.clone();
            let (count, what) = match &end {
                End::Unsaid => (upload.batch.count, What::Accepted { user, device }),
                End::Refused(refusal) => {
                    (1, What::Refused { user, device, key: refusal.key.0.clone() })
                }
                End::TooLarge => (1, What::TooLarge { user, device }),
            };
            log_events.note(at, count, what);
            return;
        }
        if self.devices.len() >= DEVICES {
            self.prune(DEVICES / 2);
        }
        let seen = self.devices.entry((upload.user, upload.device)).or_default();
        seen.agent = agent::client(&access.agent).or_else(|| seen.agent.take());
        seen.ended(end, at);
    }

    /// Keeps so many devices: those with the most refusals, then those that upload most.
    fn prune(&mut self, keep: usize) {
        if self.devices.len() <= keep {
            return;
        }
        let mut all: Vec<_> = self.devices.drain().collect();
        all.sort_by_key(|(_, seen)| std::cmp::Reverse((seen.refusals(), seen.accepted)));
        self.log.beyond += all.split_off(keep).iter().map(|(_, seen)| seen.refusals()).sum::<u64>();
        self.devices = all.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::evidence::fleet::Uploader;
    use crate::evidence::key_log::Format;
    use crate::evidence::key_log::Span;
    use crate::evidence::{About, Fact, Need, ServerSubject};
    use crate::synapse_log::attribution::Attribution;
    use crate::synapse_log::readers::Readers;
    use crate::synapse_log::zone::Clock;

    const STORM: &str = include_str!("../../../../tests/fixtures/log/ke1-eviction-storm.log");
    const TABS: &str = include_str!("../../../../tests/fixtures/log/ke1-two-clients.log");
    const HEALS: &str =
        include_str!("../../../../tests/fixtures/log/ke1-eviction-heals-after-claims.log");
    const ROLLBACK: &str = include_str!("../../../../tests/fixtures/log/ke1-rollback.log");
    const REUSED: &str = include_str!("../../../../tests/fixtures/log/ke1-claimed-then-reused.log");
    const SILENT: &str = include_str!("../../../../tests/fixtures/log/ke1-eviction-silent.log");
    const HEALTHY: &str = include_str!("../../../../tests/fixtures/log/healthy.log");
    const INJECTION: &str = include_str!("../../../../tests/fixtures/log/injection.log");

    fn window() -> Window {
        Window {
            from: "2026-11-22T00:00:00Z".parse().unwrap(),
            to: "2026-11-23T00:00:00Z".parse().unwrap(),
        }
    }

    /// Through the reader that every log goes through.
    fn read(text: &str) -> FleetLog {
        let about = About::Server(ServerSubject { server: None });
        let readers = Readers::new(&[Need::FleetLog], &about, window());
        let clock = Clock::new(None);
        let mut reading =
            Attribution::new(Subject::nobody(), window(), clock).with_readers(readers);
        text.trim_end_matches('\n').split('\n').for_each(|line| reading.line(line.as_bytes()));
        let (_, end) = reading.finish(false);
        let coverage = Coverage {
            source: "main".into(),
            span: None,
            whole: true,
            lines: 0,
            format: Format::Text,
            zone: String::new(),
            notes: Vec::new(),
            visible: None,
        };
        match end.readers.finish(&coverage).remove(0).fact {
            Fact::FleetLog(log) => *log,
            other => panic!("{other:?}"),
        }
    }

    fn told(log: &FleetLog) -> String {
        let one = |of: &Uploader| format!("{}×{} of {}", of.device, of.refusals(), of.keys);
        log.devices.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_device_of_the_lab_s_logs_is_found() {
        assert_eq!(told(&read(STORM)), "DEVS1STORM×30 of 1");
        assert_eq!(told(&read(TABS)), "DEVS2TABS×10 of 1");
        assert_eq!(told(&read(HEALTHY)), "");
        let both = read(&format!("{STORM}{TABS}"));
        assert_eq!(told(&both), "DEVS1STORM×30 of 1 DEVS2TABS×10 of 1");
        assert_eq!(both.devices[0].agent.as_deref(), Some("node"));
        assert!(both.devices[0].conflict.is_some());
        assert!(read(HEALTHY).accepted >= 4);
    }

    #[test]
    fn no_attempt_of_the_lab_reaches_a_victim() {
        let log = read(INJECTION);
        assert!(log.devices.iter().all(|of| of.device != "VICTIMDEV"), "{}", told(&log));
        assert!(log.doubtful > 0);
    }

    fn tally(lines: impl IntoIterator<Item = String>) -> FleetLog {
        let mut tally = FleetTally::new(window());
        lines.into_iter().for_each(|line| see(&mut tally, &line, false));
        tally.finish(Vec::new())
    }

    fn see(tally: &mut FleetTally, line: &str, reach: bool) {
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        let line = format!("2026-11-22 12:00:00,000 - {line}");
        let process = 0;
        let format = Format::Text;
        tally.see(&RecordView { line: line.as_bytes(), at, process, reach, forged: false, format });
    }

    fn upload(id: u32, user: &str, requester: &str, status: u16) -> Vec<String> {
        let mut lines = vec![format!(
            "synapse.handlers.e2e_keys - 955 - INFO - POST-{id} - Adding one_time_keys \
             dict_keys(['signed_curve25519:AAAAAAAAAA0']) for device 'DEV' for user '{user}' at 1"
        )];
        if status == 400 {
            lines.push(format!(
                "synapse.http.server - 131 - INFO - POST-{id} - <XForwardedForRequest method='POST' \
                 uri='/_matrix/client/v3/keys/upload' site='1'> SynapseError: 400 - One time key \
                 signed_curve25519:AAAAAAAAAA0 already exists. Old key: {{\"key\":\"a\"}}; new key: \
                 {{'key': 'b'}}"
            ));
        }
        lines.push(format!(
            "synapse.access.http.1 - 643 - INFO - POST-{id} - 1.1.1.1 - 1 - {{{requester}}} Processed \
             request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) db=(0.0sec/0.0sec/0) 1B {status} \"POST \
             /_matrix/client/v3/keys/upload HTTP/1.1\" \"Element/1.0\" [0 dbevts]"
        ));
        lines
    }

    /// Everybody who uploads in a log.
    fn uploaders(text: &str) -> BTreeSet<(OwnedUserId, OwnedDeviceId)> {
        let records = text.lines().filter_map(Record::parse);
        let uploads =
            records.filter_map(|record| match message::read(&record, &Subject::nobody()) {
                Message::Adding(upload) => Some((upload.user, upload.device)),
                _ => None,
            });
        uploads.collect()
    }

    /// A storm among claims, each of which may reach over the lines after it; the log ends in an upload.
    fn among_claims() -> String {
        const BEGIN: i64 = 1_795_348_800_000;
        let mut at = BEGIN;
        let mut text = String::new();
        let mut write = |line: &str| {
            at += 40;
            let wall = Timestamp::from_millisecond(at).unwrap().strftime("%Y-%m-%d %H:%M:%S,%3f");
            let line = line.replace("at 1", &format!("at {at}"));
            text.push_str(&format!("{wall} - {line}\n"));
        };
        let traffic = |id: u32| {
            let line = upload(id, "@o:s", "@o:s", 200).pop().unwrap().replace("POST", "GET");
            line.replace("v3/keys/upload", "v3/sync?since=s1")
        };
        (1..12).for_each(|id| write(&traffic(id)));
        upload(12, "@a:s", "@a:s", 400).iter().for_each(|line| write(line));
        for id in (20..320).step_by(2) {
            let claim = "Claimed one-time-keys: a:b for @o:s:X";
            write(&format!("synapse.handlers.e2e_keys - 831 - INFO - POST-{id} - {claim}"));
            let (id, status) = (id + 1, if id % 3 == 0 { 400 } else { 200 });
            upload(id, "@a:s", "@a:s", status).iter().for_each(|line| write(line));
        }
        (330..350).for_each(|id| write(&traffic(id)));
        upload(350, "@a:s", "@a:s", 400)[..2].iter().for_each(|line| write(line));
        text
    }

    #[test]
    fn the_survey_counts_what_the_question_about_one_device_counts() {
        let mut compared = 0;
        let among_claims = among_claims();
        let recorded = [STORM, HEALS, TABS, ROLLBACK, REUSED, SILENT, HEALTHY, INJECTION];
        for text in recorded.into_iter().chain([among_claims.as_str()]) {
            let fleet = read(text);
            let mut accepted = 0;
            for (user, device) in uploaders(text) {
                let subject = Subject { user, device };
                let mut reading = Attribution::new(subject.clone(), window(), Clock::new(None));
                text.trim_end_matches('\n')
                    .split('\n')
                    .for_each(|line| reading.line(line.as_bytes()));
                let (own, _) = reading.finish(false);
                accepted += own.accepted.uploads.map_or(0, |span| span.count);
                let of = fleet.devices.iter().find(|of| of.subject() == subject);
                let count = |span: Option<Span>| span.map_or(0, |span| span.count);
                let counted = of.map_or((0, 0), |of| (count(of.refused), count(of.too_large)));
                let expected = (own.refusals(), count(own.too_large));
                assert_eq!(counted, expected, "{subject:?}");
                compared += counted.0;
            }
            assert_eq!(fleet.accepted, accepted, "uploads taken");
        }
        let (own, told) =
            (read(&among_claims), |log: &FleetLog| (log.devices[0].refusals(), log.accepted));
        assert_eq!(told(&own), (52, 100));
        assert!(compared > 150, "{compared}");
    }

    #[test]
    fn what_was_refused_before_a_removal_is_kept_apart() {
        let removed =
            "synapse.handlers.device - 312 - INFO - POST-5 - Deleting devices ['DEV'] for '@a:s'";
        let lines = |reach| {
            let mut tally = FleetTally::new(window());
            (1..4)
                .flat_map(|id| upload(id, "@a:s", "@a:s", 400))
                .for_each(|line| see(&mut tally, &line, false));
            see(&mut tally, removed, reach);
            upload(9, "@a:s", "@a:s", 200).iter().for_each(|line| see(&mut tally, line, false));
            tally.finish(Vec::new())
        };
        let log = lines(false);
        let of = &log.devices[0];
        assert_eq!((of.refusals(), of.before.map(|span| span.count), of.accepted), (0, Some(3), 1));
        assert_eq!((log.removed.len(), log.removed[0].sure), (1, true));
        // A client may have written it: the refusals stay, and the database decides.
        let log = lines(true);
        assert_eq!((log.devices[0].refusals(), log.removed[0].sure), (3, false));
    }

    #[test]
    fn ever_new_ids_are_repetition() {
        let nio = |id: u32| {
            let key = format!("signed_curve25519:AAAAAAAA{id:03}");
            let lines = upload(id, "@a:s", "@a:s", 400).into_iter();
            lines
                .map(move |line| line.replace("signed_curve25519:AAAAAAAAAA0", &key))
                .collect::<Vec<_>>()
        };
        let log = tally((1..35).flat_map(nio));
        assert_eq!((log.devices[0].keys, log.devices[0].repeated), (34, true));
        assert!(!tally((1..3).flat_map(nio)).devices[0].repeated);
    }

    #[test]
    fn the_requester_must_be_the_uploader() {
        let log = tally(upload(1, "@a:s", "@b:s", 400));
        assert_eq!((log.devices.len(), log.doubtful), (0, 1));
        assert_eq!(told(&tally(upload(1, "@a:s", "@a:s", 400))), "DEV×1 of 1");
        assert_eq!(tally(upload(1, "@a:s", "@a:s", 200)).accepted, 1);
    }

    #[test]
    fn lines_in_a_client_s_reach_are_only_counted() {
        let mut tally = FleetTally::new(window());
        upload(1, "@a:s", "@a:s", 400).iter().for_each(|line| see(&mut tally, line, true));
        let log = tally.finish(Vec::new());
        assert_eq!((log.devices.len(), log.doubtful), (0, 1));
        // One line that no client can have written is enough: the others are by chance behind a claim.
        for sure in 0..3 {
            let mut tally = FleetTally::new(window());
            for (number, line) in upload(1, "@a:s", "@a:s", 400).iter().enumerate() {
                see(&mut tally, line, number != sure);
            }
            assert_eq!(tally.finish(Vec::new()).devices.len(), 1, "{sure}");
        }
    }

    #[test]
    fn a_forged_end_never_hides_a_refusal() {
        let mut tally = FleetTally::new(window());
        let lines = upload(1, "@a:s", "@a:s", 400);
        see(&mut tally, &lines[0], false);
        see(&mut tally, &upload(1, "@a:s", "@a:s", 200)[1], true);
        lines[1..].iter().for_each(|line| see(&mut tally, line, false));
        assert_eq!(told(&tally.finish(Vec::new())), "DEV×1 of 1");
    }

    #[test]
    fn a_forged_reason_never_hides_the_true_one() {
        let mut tally = FleetTally::new(window());
        let lines = upload(1, "@a:s", "@a:s", 400);
        let (before, _) = lines[1].split_once("One time key").unwrap();
        let forged = format!("{before}Adding would leave the device holding 5000 keys");
        see(&mut tally, &lines[0], false);
        see(&mut tally, &forged, true);
        lines[1..].iter().for_each(|line| see(&mut tally, line, false));
        let log = tally.finish(Vec::new());
        assert!(log.devices[0].refused.is_some() && log.devices[0].too_large.is_none());
    }

    #[test]
    fn a_restart_clears_what_is_open() {
        let mut tally = FleetTally::new(window());
        let lines = upload(1, "@a:s", "@a:s", 400);
        see(&mut tally, &lines[0], false);
        tally.restart(0);
        lines[1..].iter().for_each(|line| see(&mut tally, line, false));
        assert_eq!(tally.finish(Vec::new()).devices.len(), 0);
    }

    #[test]
    fn invented_users_never_push_a_real_one_out() {
        let storm = (0..9).flat_map(|id| upload(id, "@real:s", "@real:s", 400));
        let many = (10..10_000).flat_map(|id| {
            let user = format!("@bot{id}:s");
            upload(id, &user, &user, 400)
        });
        let unended = (20_000..40_000).map(|id| upload(id, "@u:s", "@u:s", 200).remove(0));
        let log = tally(storm.chain(many).chain(unended));
        assert_eq!(log.devices.len(), KEPT);
        assert_eq!(log.devices[0].user, "@real:s");
        assert_eq!(log.devices[0].refusals(), 9);
        assert_eq!(log.beyond, 9990 - (KEPT as u64 - 1));
        assert!(log.summary().contains("limited to 1000 devices"), "{}", log.summary());
    }

    #[test]
    fn hostile_lines_never_panic() {
        let mut tally = FleetTally::new(window());
        for line in INJECTION.lines().filter(|line| line.len() < 4000) {
            for cut in (0..line.len()).step_by(7).filter(|at| line.is_char_boundary(*at)) {
                let at = window().from;
                let line = &line.as_bytes()[..cut];
                tally.see(&RecordView {
                    line,
                    at,
                    process: 0,
                    reach: false,
                    forged: false,
                    format: Format::Text,
                });
            }
        }
        tally.finish(Vec::new());
    }
}
