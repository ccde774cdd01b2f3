//! Records of a log, one by one → what one user's delayed events and everybody's latency look like.
//!
//! Every table has a bound, whatever clients write: an address, a path and a user agent are their text.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use memchr::memmem::Finder;
use regex::bytes::Regex;
use ruma::OwnedUserId;

use crate::evidence::Window;
use crate::evidence::api_path::{Action, action, creation, endpoint};
use crate::evidence::delay::join::join;
use crate::evidence::delay::minutes::Minutes;
use crate::evidence::delay::{
    Address, DelayLog, Digest, Endpoint, GAP, Handled, KEPT, Latency, Made, PATIENCE,
};
use crate::evidence::key_log::{Coverage, Format, Span};
use crate::synapse_log::delays::requests::{DelayedEventRequest, USER};
use crate::synapse_log::delays::silence::Silence;
use crate::synapse_log::message::{Access, access};
use crate::synapse_log::record::{self, Record};
use crate::synapse_log::record_view::RecordView;

const ENDPOINTS: usize = 64;
const MADE: usize = 64;
const STALLS: usize = 32;
/// Requests that were closed or asked again behind a silence, from which on it is a stall.
const FELT: u64 = 2;
const STARTS: usize = 16;
const TRANSACTIONS: usize = 16;
/// Addresses watched, and those kept of them: the user's, and those of requests on delayed events.
const WATCHED: usize = 2048;
const ADDRESSES: usize = 64;
const USERS: usize = 8;
const DELAYS: usize = 32;
/// Requests of which something was said before their end.
const OPEN: usize = 256;
/// How long behind a silence the requests still belong to it.
const BEHIND: SignedDuration = SignedDuration::from_secs(1);
/// A client that is there sends something else within a minute, and restarts after 5 s (js-sdk).
const BESIDE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(5), SignedDuration::from_secs(60));

/// What is worth reading: the ends of requests, and three lines that explain them.
static NEEDLES: LazyLock<Regex> = LazyLock::new(|| {
    let words = "TXN OPERROR|STARTING SERVER|Delayed events are not supported";
    Regex::new(words).expect("a constant")
});
static PROCESSED: LazyLock<Finder> = LazyLock::new(|| Finder::new("Processed request: "));

/// Reads a log for one user.
#[derive(Debug)]
pub struct DelayTally {
    user: String,
    window: Window,
    log: DelayLog,
    handled: HashMap<Digest, usize>,
    /// When each delayed event's last restart ended.
    ended: HashMap<Digest, Timestamp>,
    endpoints: HashMap<String, (Latency, u64)>,
    addresses: HashMap<String, Address>,
    contention: BTreeMap<String, u64>,
    minutes: Minutes,
    /// What was said of a request before its end, by process and id.
    open: VecDeque<(usize, String, Remark)>,
    /// The newest record of each process.
    last: Vec<Option<Timestamp>>,
    /// The newest silence of each process, and the restarts after it.
    silence: Vec<Option<Silence>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remark {
    Contended,
    Unsupported,
}

impl DelayTally {
    /// Nothing yet.
    pub fn new(user: OwnedUserId, window: Window) -> Self {
        Self {
            user: user.to_string(),
            window,
            log: DelayLog::default(),
            handled: HashMap::new(),
            ended: HashMap::new(),
            endpoints: HashMap::new(),
            addresses: HashMap::new(),
            contention: BTreeMap::new(),
            minutes: Minutes::default(),
            open: VecDeque::new(),
            last: Vec::new(),
            silence: Vec::new(),
        }
    }

    /// One record.
    pub fn see(&mut self, view: &RecordView) {
        if !self.window.holds(view.at) {
            return;
        }
        if !view.reach {
            self.tick(view);
        }
        if PROCESSED.find(view.line).is_none() && !NEEDLES.is_match(view.line) {
            return;
        }
        let text = record::text(view.line);
        let Some(record) = Record::parse(&text) else { return };
        let message = &*record.message;
        let id = record.request.as_deref().unwrap_or_default();
        match &*record.logger {
            logger if logger.starts_with("synapse.access.") => {
                if let Some(access) = access(message) {
                    self.access(&access, view, id);
                }
            }
            _ if view.reach => {}
            "synapse.storage.txn" => self.contended(message, view.process, id),
            "synapse.http.server" if message.ends_with(UNSUPPORTED) => {
                self.remark(view.process, id, Remark::Unsupported);
            }
            "synapse.config.logger" | "root" if message == "***** STARTING SERVER *****" => {
                self.open.retain(|(process, ..)| *process != view.process);
                if self.log.starts.len() < STARTS {
                    self.log.starts.push(view.at);
                }
            }
            _ => {}
        }
    }

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> DelayLog {
        for process in 0..self.silence.len() {
            self.close_silence(process);
        }
        let mut log = self.log;
        log.coverage = coverage;
        log.endpoints = (self.endpoints.into_iter())
            .map(|(name, (latency, aborted))| Endpoint { name, latency, aborted })
            .collect();
        log.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        log.minutes = self.minutes.finish();
        log.contention = self.contention.into_iter().collect();
        let ours = |known: &Address| known.users.contains(&self.user) || !known.delays.is_empty();
        log.addresses = self.addresses.into_values().filter(ours).collect();
        log.addresses.sort_by(|a, b| {
            let weight = |known: &Address| {
                (!known.users.contains(&self.user), std::cmp::Reverse(known.delays.len()))
            };
            weight(a).cmp(&weight(b)).then_with(|| a.address.cmp(&b.address))
        });
        log.clipped |= log.addresses.len() > ADDRESSES;
        log.addresses.truncate(ADDRESSES);
        log
    }

    /// Notes that the process wrote something: a silence before it may be a stall.
    fn tick(&mut self, view: &RecordView) {
        let process = view.process;
        if self.last.len() <= process {
            self.last.resize(process + 1, None);
            self.silence.resize_with(process + 1, || None);
        }
        if let Some(last) = self.last[process].filter(|last| *last < view.at) {
            let gap = view.at.duration_since(last).as_secs_f64();
            if gap > GAP {
                self.close_silence(process);
                self.silence[process] = Some(Silence::new(last, view.at));
            }
        }
        self.last[process] = self.last[process].max(Some(view.at));
    }

    /// A silence that no client felt was a quiet hour, and no stall: one closed request is a closed tab.
    fn close_silence(&mut self, process: usize) {
        let Some(silence) = self.silence[process].take() else { return };
        let felt = silence.stall.left + silence.stall.bunched >= FELT;
        if felt && self.log.stalls.len() < STALLS {
            self.log.stalls.push(silence.stall);
        } else if felt {
            self.log.clipped = true;
        }
    }

    fn remark(&mut self, process: usize, id: &str, remark: Remark) {
        if self.open.len() >= OPEN {
            self.open.pop_front();
        }
        self.open.push_back((process, id.chars().take(64).collect(), remark));
    }

    /// Takes out what was said of a request before its end.
    fn remarks(&mut self, process: usize, id: &str) -> Vec<Remark> {
        let mut found = Vec::new();
        self.open.retain(|(of, request, remark)| {
            let ours = *of == process && request == id;
            if ours {
                found.push(*remark);
            }
            !ours
        });
        found
    }

    /// `[TXN OPERROR] {NAME-hex} could not serialize access due to concurrent update … 0/5`
    fn contended(&mut self, message: &str, process: usize, id: &str) {
        let Some(rest) = message.strip_prefix("[TXN OPERROR] {") else { return };
        let Some((name, error)) = rest.split_once("} ") else { return };
        if !error.contains("could not serialize access") {
            return;
        }
        let name: String = name
            .split('-')
            .next()
            .unwrap_or_default()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(64)
            .collect();
        if self.contention.len() < TRANSACTIONS || self.contention.contains_key(&name) {
            *self.contention.entry(name).or_default() += 1;
        }
        self.remark(process, id, Remark::Contended);
    }

    fn access(&mut self, access: &Access, view: &RecordView, id: &str) {
        let path = access.path();
        let action = action(&access.method, path);
        if view.reach {
            let of_user = access.user.as_deref() == Some(self.user.as_str());
            self.log.doubtful += u64::from(action.is_some() || of_user);
            return;
        }
        let remarks = self.remarks(view.process, id);
        let name = endpoint(&access.method, path);
        self.latency(&name, access, action.is_some());
        let known = self.seen_at(access, action.as_ref().map(|(id, _)| id), view.at);
        if let Some((id, action)) = action {
            let request = DelayedEventRequest {
                id,
                action,
                access,
                address: known.then_some(access.address.as_str()),
                contended: remarks.contains(&Remark::Contended),
            };
            self.handled(request, view);
        } else if access.user.as_deref() == Some(self.user.as_str()) {
            self.own(access, view, &remarks);
        }
        let left = access.aborted && access.took.0 < PATIENCE;
        if let Some(silence) = self.silence_before(view) {
            silence.stall.left += u64::from(left);
        }
    }

    fn latency(&mut self, name: &str, access: &Access, delayed: bool) {
        if self.endpoints.len() >= ENDPOINTS && !self.endpoints.contains_key(name) {
            self.log.clipped = true;
            return;
        }
        if !self.endpoints.contains_key(name) {
            self.endpoints.insert(name.to_owned(), Default::default());
        }
        if let Some((latency, aborted)) = self.endpoints.get_mut(name) {
            latency.note(access.took.0);
            *aborted += u64::from(access.aborted);
        }
        // A sync waits for news, and a restart is what is asked about.
        let slow = access.took.0 >= PATIENCE && !delayed && !name.ends_with("/sync");
        self.log.slow_elsewhere += u64::from(slow);
    }

    /// Notes who and what was seen at the address; `false` where there is no more room to watch it.
    fn seen_at(&mut self, access: &Access, delay: Option<&Digest>, at: Timestamp) -> bool {
        let address = &access.address;
        if !self.addresses.contains_key(address) {
            if self.addresses.len() >= WATCHED {
                self.log.clipped = true;
                return false;
            }
            let users = Vec::new();
            let delays = Vec::new();
            let new = Address {
                address: address.clone(),
                users,
                more_users: false,
                delays,
                limited: None,
            };
            self.addresses.insert(address.clone(), new);
        }
        let Some(known) = self.addresses.get_mut(address) else { return false };
        if let Some(user) = access.user.as_ref().filter(|user| user.len() <= USER)
            && !known.users.contains(user)
        {
            if known.users.len() < USERS {
                known.users.push(user.clone())
            } else {
                known.more_users = true
            }
        }
        if let Some(delay) = delay {
            if known.delays.len() < DELAYS && !known.delays.contains(delay) {
                known.delays.push(delay.clone());
            }
            if access.status == 429 {
                join(&mut known.limited, Some(Span::once(at)));
            }
        }
        true
    }

    /// A request on a delayed event, whosever it is.
    fn handled(&mut self, request: DelayedEventRequest<'_>, view: &RecordView) {
        let DelayedEventRequest { id, action, access, address, contended } = request;
        let at = view.at;
        // What took long itself waited elsewhere: behind a stall of the process all is quick.
        if action != Action::End
            && access.took.0 < PATIENCE
            && let Some(silence) = self.silence_before(view)
        {
            silence.restarted(&id, access.aborted);
        }
        let taken = SignedDuration::try_from_secs_f64(access.took.0).unwrap_or_default();
        let began = at.checked_sub(taken).unwrap_or(at);
        let before = self.ended.get(&id).copied();
        let overlaps = action != Action::End && before.is_some_and(|before| began < before);
        if action != Action::End {
            self.log.restarts.note(access, at, (action, overlaps, contended));
            self.minutes.note(began, access.took.0);
        }
        let at_end = self.log.handled.len();
        let index = match self.handled.get(&id) {
            Some(index) => *index,
            None if at_end >= KEPT => {
                self.log.clipped = true;
                return;
            }
            None => {
                self.handled.insert(id.clone(), at_end);
                self.log.handled.push(Handled::new(id.clone(), view.format));
                at_end
            }
        };
        self.ended.insert(id, at);
        let handled = &mut self.log.handled[index];
        if action != Action::End {
            handled.restarts.note(access, at, (action, overlaps, contended));
        }
        handled.see(access, at, action);
        if view.format != handled.format {
            handled.format = Format::Text;
        }
        if let Some(address) = address
            && handled.addresses.len() < USERS
            && !handled.addresses.iter().any(|known| known == address)
        {
            handled.addresses.push(address.to_owned());
        }
    }

    /// A request of the user's own.
    fn own(&mut self, access: &Access, view: &RecordView, remarks: &[Remark]) {
        let at = view.at;
        let Some((room, delay)) = creation(&access.method, &access.uri) else {
            join(&mut self.log.others, Some(Span::once(at)));
            for made in &mut self.log.made {
                let after = at.duration_since(made.at);
                made.beside += u64::from(BESIDE.0 <= after && after <= BESIDE.1);
            }
            return;
        };
        if self.log.made.len() >= MADE {
            self.log.clipped = true;
            return;
        }
        let unsupported = access.status == 400 && remarks.contains(&Remark::Unsupported);
        let status = access.status;
        let format = view.format;
        self.log.made.push(Made { at, room, delay, status, unsupported, beside: 0, format });
    }

    /// The silence that ended just before this record.
    fn silence_before(&mut self, view: &RecordView) -> Option<&mut Silence> {
        let silence = self.silence.get_mut(view.process)?.as_mut()?;
        (view.at.duration_since(silence.stall.to) <= BEHIND && silence.restarted.len() < DELAYS)
            .then_some(silence)
    }
}

/// Synapse's words where `max_event_delay_duration` is not set (`rest/client/room.py`).
const UNSUPPORTED: &str = "SynapseError: 400 - Delayed events are not supported on this server";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::api_path::digest;
    use crate::evidence::delay::{Requests, Slow};
    use crate::synapse_log::record::Stamp;

    const CALM: &str = include_str!("../../../../tests/fixtures/log/ke4.log");
    const REAL: &str = include_str!("../../../../tests/fixtures/log/ke4-real.log");
    const SLOW: &str = include_str!("../../../../tests/fixtures/log/ke4-slow.log");

    fn read(lines: &[&str], user: &str, reach: bool) -> DelayLog {
        let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
        let mut tally = DelayTally::new(user.try_into().unwrap(), window);
        for line in lines {
            let Some(record) = Record::parse(line) else { continue };
            let (Stamp::Local(at) | Stamp::Utc(at)) = record.stamp else { continue };
            let at = Timestamp::from_millisecond(at).unwrap();
            let format = record.format;
            tally.see(&RecordView {
                line: line.as_bytes(),
                at,
                process: 0,
                reach,
                forged: false,
                format,
            });
        }
        tally.finish(Vec::new())
    }

    fn log(text: &str, user: &str) -> DelayLog {
        read(&text.lines().collect::<Vec<_>>(), user, false)
    }

    #[test]
    fn a_calm_call_is_counted_as_it_was() {
        let log = log(CALM, "@s9a:lab.local");
        let of = |id: &str| log.handled.iter().find(|handled| handled.id == digest(id)).unwrap();
        let first = of("syd_ZUzETGjSDlsgEDjfvzHe");
        // Three by the body, one by the path; then a cancel, a 404 after it, and a 400.
        assert_eq!(first.restarts.answered, 4);
        assert_eq!(first.restarts.in_body, 5);
        assert!(first.ended.is_some());
        assert_eq!((first.gone.unwrap().count, first.gone_after_end), (1, 1));
        assert_eq!(first.restarts.refused, 1);
        let fired = of("syd_IpXcIxPIUsInteDypoEi");
        assert_eq!((fired.gone.unwrap().count, fired.gone_after_end), (1, 0));
        // The burst: five rejected in half a second each, then slow ones under a row lock.
        let burst = of("syd_ltrULkhiezyWbLLZTJcg");
        assert_eq!(burst.restarts.limited, 5);
        assert_eq!(burst.restarts.slow, Slow { database: 2, ..Slow::default() });
        assert_eq!(burst.restarts.aborted, 1);
        assert_eq!(burst.restarts.latency.max(), 6.002);
        assert_eq!(burst.addresses.len(), 8);
        let limited = log.address("127.0.0.1").unwrap();
        assert_eq!(limited.limited.unwrap().count, 5);
        assert!(limited.users.contains(&"@s9ab:lab.local".to_owned()));
        assert!(!limited.is_only("@s9a:lab.local"));
        let statuses: Vec<_> = log.made.iter().map(|made| made.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), log.made.len() - 1);
        assert!(log.made.iter().all(|made| made.room == "!oKAtTbUpSYFWSkckhP:lab.local"));
        assert!(log.made.iter().all(|made| !made.unsupported));
        assert_eq!(log.made[0].delay, Some(8000));
    }

    /// `samples/ke4-latency-from-log.txt`.
    #[test]
    fn a_slow_server_is_measured() {
        let log = log(SLOW, "@nobody:lab.local");
        let of = |name: &str| log.endpoints.iter().find(|known| known.name == name).unwrap();
        let near = |told: Option<f64>, exact: f64| {
            let told = told.unwrap();
            assert!(told >= exact - 0.001 && told <= exact * 1.03, "{told} {exact}");
        };
        let sync = of("GET /sync");
        near(sync.latency.within(0.5), 0.460);
        near(sync.latency.within(0.99), 6.351);
        let sends = of("PUT /rooms/{room}/send/m.room.message");
        near(sends.latency.within(0.99), 6.057);
        assert_eq!(sends.latency.max(), 6.126);
        let restarts = of("POST /org.matrix.msc4140/delayed_events/{id}/restart");
        assert_eq!((restarts.latency.count, restarts.aborted), (99, 12));
        near(restarts.latency.within(0.99), 5.993);
        assert_eq!(restarts.latency.max(), 5.996);
        assert_eq!(log.restarts.slow, Slow { database: 3, contended: 0, pool: 3, process: 0 });
        // Only the silences in which clients left or asked again are stalls.
        let lengths: Vec<_> = (log.stalls.iter())
            .map(|stall| stall.to.duration_since(stall.from).as_secs())
            .collect();
        assert!(lengths.contains(&6), "{:?}", log.stalls);
        let text = serde_json::to_string(&log).unwrap();
        assert!(!text.contains("syd_"), "a delay id was kept");
        assert_eq!(serde_json::from_str::<DelayLog>(&text).unwrap().handled.len(), 3);
    }

    /// matrix-js-sdk 41.7.0 under a row lock: it gives up after 2 s and asks again, and closes nothing.
    #[test]
    fn a_real_client_is_seen_to_give_up() {
        let log = log(REAL, "@s9rtc:lab.local");
        let [call] = log.handled.as_slice() else { panic!("{:?}", log.handled) };
        assert_eq!((call.restarts.latency.count, call.restarts.aborted), (7, 0));
        assert_eq!(call.restarts.slow, Slow { database: 2, contended: 1, ..Slow::default() });
        assert_eq!(call.restarts.overlapping, 2);
        assert!(call.ended.is_some(), "it ends a call by sending the leave");
        let names: Vec<_> = log.contention.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["process_timeout_delayed_events", "restart_delayed_event"]);
        assert_eq!(log.made.len(), 1);
        assert!(log.others.is_some() && log.made[0].beside > 0);
        assert!(log.address("127.0.0.1").unwrap().is_only("@s9rtc:lab.local"));
    }

    /// On a quiet server the log is silent between any two restarts.
    #[test]
    fn a_quiet_server_is_not_stalled() {
        let real = CALM.lines().find(|line| line.contains("/restart HTTP")).unwrap();
        let line = |time: &str, took: &str, status: &str, id: usize| {
            let line = real.replace("11:46:11,475", time).replace("0.003sec/0.000sec", took);
            line.replace(" 2B 200 ", &format!(" 2B {status} ")).replace("1602", &format!("16{id}"))
        };
        let stalls = |behind: &[(&str, &str)]| {
            let mut lines = vec![line("11:46:11,475", "0.003sec/0.000sec", "200", 10)];
            let at = |n: usize| format!("11:46:18,{}", 475 + n);
            let behind = behind.iter().enumerate();
            lines.extend(behind.map(|(n, (took, status))| line(&at(n), took, status, 11 + n)));
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            read(&lines, "@s9a:lab.local", false).stalls.len()
        };
        let quick = "0.020sec/-0.010sec";
        let long = "6.002sec/0.000sec";
        assert_eq!(stalls(&[(quick, "200!")]), 0, "a closed tab");
        assert_eq!(stalls(&[(long, "200"), (long, "200"), (long, "200")]), 0, "a held row let go");
        assert_eq!(stalls(&[(quick, "200!"), (quick, "200!"), (quick, "200")]), 1);
    }

    #[test]
    fn a_client_cannot_write_itself_into_the_figures() {
        let real = CALM.lines().find(|line| line.contains("/restart HTTP")).unwrap();
        // Behind a client's text a line is only counted as doubtful.
        let doubtful = read(&[real], "@s9a:lab.local", true);
        assert_eq!((doubtful.doubtful, doubtful.handled.len()), (1, 0));
        assert_eq!(doubtful.restarts, Requests::default());
        // An access line inside a user agent, or in another logger's message, is none.
        let agent = real.replace("\"lab/1.0\"", &format!("\"{}\"", &real[120..].replace('"', "")));
        let log = read(&[&agent], "@s9a:lab.local", false);
        assert_eq!(log.handled.len(), 1);
        let other = real.replace("synapse.access.http.8118", "synapse.handlers.auth");
        assert!(read(&[&other], "@s9a:lab.local", false).handled.is_empty());
        // However many addresses, users, ids and paths: the tables stay small.
        let many: Vec<String> = (0..6000)
            .map(|n| {
                let line = real.replace("127.0.0.1", &format!("10.{}.{}.1", n / 250, n % 250));
                line.replace("syd_", &format!("syd_{n}")).replace("{None}", &format!("{{@u{n}:x}}"))
            })
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let log = read(&many, "@s9a:lab.local", false);
        assert_eq!((log.restarts.latency.count, log.handled.len()), (6000, KEPT));
        assert!(
            log.clipped && log.addresses.len() <= ADDRESSES && log.endpoints.len() <= ENDPOINTS
        );
    }

    #[test]
    fn a_server_without_delayed_events_says_so() {
        let uri =
            "/_matrix/client/v3/rooms/%21r%3Ax/state/m.call.member/k?org.matrix.msc4140.delay=8000";
        let head = "2026-11-22 11:46:28,269 - synapse.http.server - 131 - INFO - PUT-1 - <XForwardedForRequest";
        let refused = format!("{head} uri='{uri}'> {UNSUPPORTED}");
        let ended = format!(
            "2026-11-22 11:46:28,270 - synapse.access.http.8118 - 643 - INFO - PUT-1 - 127.0.0.1 - 8118 - \
             {{@a:x}} Processed request: 0.001sec/0.000sec (0.002sec, 0.000sec) \
             (0.000sec/0.000sec/0) 174B 400 \"PUT {uri} HTTP/1.1\" \"lab/1.0\" [0 dbevts]"
        );
        let log = read(&[&refused, &ended], "@a:x", false);
        assert!(log.made[0].unsupported && log.made[0].room == "!r:x");
        let log = read(&[&ended], "@a:x", false);
        assert!(!log.made[0].unsupported);
    }
}
