//! A capture session → what is measured while it continues, and at its end its verdict and the bundle's files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, UserId};
use tokio::time::timeout;

use super::answer::{Answer, Case, Flow};
use super::devices::worst_device;
use crate::collect::logs::slice::{Moment, Slice, Wanted, slice};
use crate::collect::{self, logs};
use kestrel_core::capture::Session;
use kestrel_core::evidence::delay::Metrics;
use kestrel_core::evidence::to_device::{Again, Inbox, InboxRow};
use kestrel_core::evidence::{Evidence, Fact, Gathered, Need, State, Subject, Window};
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::judged::{page, why};
use kestrel_core::render::{self, Picture};
use kestrel_core::storm::{Curve, Timeline};

use crate::collect::postgres;

/// How long the logs of a capture may be read.
const SLICING: Duration = Duration::from_secs(60);
/// Columns of the picture.
const STEPS: i64 = 96;
/// Over how much a sample of the latency looks back.
const SAMPLED: Duration = Duration::from_secs(15);

/// How much earlier than the capture a report may begin and be asked about.
const BEFORE: SignedDuration = SignedDuration::from_hours(3);

/// Everything that a bundle is made of.
#[derive(Debug)]
pub struct Captured<'a> {
    pub session: &'a Session,
    pub number: u64,
    pub case: Option<&'a Case>,
    pub slices: &'a [Slice],
    pub inbox: Option<&'a Inbox>,
    pub samples: &'a [(Timestamp, Metrics)],
    /// Redacted.
    pub reports: Vec<(String, Vec<u8>)>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

/// Polls one device's inbox over a call.
#[derive(Debug)]
pub struct InboxWatch(postgres::InboxWatch);

impl InboxWatch {
    /// Polls once; whether there is anything new. The error is a sentence for people.
    pub async fn look(&mut self, now: Timestamp) -> Result<bool, String> {
        self.0.look(now).await
    }

    /// Everything that was seen.
    pub fn seen(&self) -> &Inbox {
        self.0.seen()
    }
}

impl Flow {
    /// Where each log stands.
    pub fn log_places(&self) -> Vec<(String, String)> {
        logs::log_positions(&self.config.logs)
    }

    /// The database server's clock minus ours, in milliseconds; none without a database.
    pub async fn database_skew(&self, now: Timestamp) -> Option<Result<i64, String>> {
        let database = self.config.database.as_ref()?;
        Some(collect::postgres::clock_skew::skew(database, now, self.config.limits.deadline).await)
    }

    /// The latency of this moment; none without a Prometheus that answers.
    pub async fn latency(&self, user: &UserId, now: Timestamp) -> Option<Metrics> {
        let prometheus = self.config.prometheus.as_ref()?;
        let topic = Topic::Ke4 { user: user.to_owned() };
        let plan = self.plan(&Question { topic, span: Span::Last(SAMPLED) }, now).ok()?;
        let asked =
            collect::prometheus::ask(&plan, Some(prometheus), self.config.limits.deadline).await;
        asked.into_iter().find_map(|answer| match answer.fact {
            Some(Fact::Metrics(metrics)) => Some(metrics),
            _ => None,
        })
    }

    /// A watch of the device's inbox; none without a database.
    pub async fn watch_inbox(
        &self,
        subject: Subject,
        seen: Option<Inbox>,
        now: Timestamp,
    ) -> Option<Result<InboxWatch, String>> {
        let database = self.config.database.as_ref()?;
        let deadline = self.config.limits.deadline;
        let opened = postgres::InboxWatch::open(database, subject, seen, deadline, now).await;
        Some(opened.map(InboxWatch))
    }

    /// The device that a capture of a user is about where none was named.
    pub async fn likely_device(&self, user: &UserId) -> Option<OwnedDeviceId> {
        worst_device(user, &self.config).await.ok().map(|(device, _)| device)
    }

    /// Every question over the capture's window, and the times that its reports cover. None where the user has
    /// no device that could be chosen.
    pub async fn judge_capture(
        &self,
        session: &Session,
        client: &[Gathered],
        inbox: Option<&Inbox>,
        now: Timestamp,
    ) -> Option<Box<Case>> {
        let window = reaching(session.window(), client);
        let question = Question {
            topic: Topic::All {
                user: session.asked.user.clone(),
                device: session.asked.device.clone(),
                event: None,
            },
            span: Span::Between(window.from, window.to),
        };
        // An inbox in which nothing was seen says nothing: most messages come and go between two looks.
        let seen = inbox.filter(|inbox| !inbox.rows.is_empty());
        let amend = |evidence: &mut Evidence| {
            if let Some(seen) = seen {
                watched(evidence, seen);
            }
        };
        match self.answer_amended(&question, client, now, amend).await {
            Answer::Case(case) => Some(case),
            Answer::Survey(_) | Answer::Words(_) => None,
        }
    }

    /// What the logs hold about the capture's subject, and a sentence for each that cannot be read.
    pub async fn slices(
        &self,
        session: &Session,
        evidence: Option<&Evidence>,
    ) -> (Vec<Slice>, Vec<String>) {
        let device = evidence.and_then(|evidence| evidence.subject.device());
        let wanted = Wanted {
            user: session.asked.user.clone(),
            device: session.asked.device.clone().or(device.map(|of| of.device.clone())),
            events: events(session, evidence),
            window: session.window(),
            addresses: self.config.limits.show_addresses,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut slices = Vec::new();
        let mut notes = Vec::new();
        let sources = logs::distinct(&self.config.logs);
        for source in &sources {
            let siblings = logs::same_host::others_in_folder(source, &sources);
            let source = (*source).clone();
            let wanted = wanted.clone();
            let flag = Arc::clone(&stop);
            let name = source.name.clone();
            let mut reading =
                tokio::task::spawn_blocking(move || slice((&source, &siblings), &wanted, &flag));
            let ended = match timeout(SLICING, &mut reading).await {
                Ok(ended) => ended,
                Err(_) => {
                    stop.store(true, Ordering::Relaxed);
                    reading.await
                }
            };
            match ended {
                Ok(Ok(slice)) => {
                    notes.extend(slice.notes.iter().map(|note| format!("log {name}: {note}")));
                    slices.push(slice);
                }
                Ok(Err(why)) => notes.push(format!("log {name}: {why}")),
                Err(_) => notes.push(format!("log {name}: it could not be read")),
            }
        }
        (slices, notes)
    }

    /// The bundle's files but for the manifest, the smallest matters first.
    pub fn bundle_files(&self, mut captured: Captured<'_>) -> Vec<(String, Vec<u8>)> {
        let view = self.view();
        let session = captured.session;
        let mut notes = std::mem::take(&mut captured.notes);
        let mut files = Vec::new();
        if let Some(Case { evidence, judgement, .. }) = captured.case {
            files.push(("evidence.json".to_owned(), self.evidence_json(evidence).into_bytes()));
            let mut verdict = page(evidence, judgement, &view).markdown();
            verdict.push_str("\n---\n\n");
            verdict.push_str(&why(evidence, judgement, &view).markdown());
            files.push(("verdict.md".to_owned(), verdict.into_bytes()));
            files.extend(evidence.gathered.iter().filter_map(statement));
        } else {
            notes.push("no verdict: the user has no device that could be chosen".into());
        }
        if let Some(inbox) = captured.inbox {
            notes.push(format!(
                "inbox, read every second: {}. An online device fetches its messages sooner than that",
                inbox.summary()
            ));
            let text = serde_json::to_vec_pretty(inbox).unwrap_or_default();
            files.push(("inbox.json".to_owned(), text));
        }
        let metrics = metrics(&captured);
        files.push(("metrics.json".to_owned(), metrics));
        for slice in captured.slices {
            let name: String = slice.source.chars().map(plain).collect();
            files.push((format!("log/{name}.log"), slice.text.clone().into_bytes()));
            if slice.removed.total() > 0 {
                notes.push(format!("removed from log {name}: {}", slice.removed.summary()));
            }
        }
        let title = session.asked.user.to_string();
        if let Some(picture) = self.capture_picture(session, captured.slices, &title) {
            files.push(("timeline.png".to_owned(), picture.png));
        }
        let marks = render::capture::marks(session, captured.number, &notes, &view).markdown();
        files.push(("marks.md".to_owned(), marks.into_bytes()));
        let named = |(name, content): (String, Vec<u8>)| (format!("reports/{name}"), content);
        files.extend(captured.reports.into_iter().map(named));
        files
    }

    fn capture_picture(&self, session: &Session, slices: &[Slice], title: &str) -> Option<Picture> {
        render::picture(&timeline(session, slices)?, title, &self.view())
    }
}

/// Puts what the slow watch saw in the place of the last look, which still says what waits at the end.
fn watched(evidence: &mut Evidence, seen: &Inbox) {
    let answers = evidence.gathered.iter_mut();
    let read = |answer: &&mut Gathered| {
        answer.need == Need::Inbox && matches!(answer.state, State::Found | State::Empty)
    };
    let (Some(live), Some(answer)) = (seen.live, answers.into_iter().find(read)) else { return };
    let last = match &answer.fact {
        Some(Fact::Inbox(last)) => last.clone(),
        _ => Inbox::default(),
    };
    let waited = |row: &&InboxRow| row.seen == Some(live.from);
    let newest = seen.rows.iter().filter(waited).map(|row| row.stream).max();
    let came = last.rows.iter().filter(|row| newest.is_none_or(|newest| row.stream > newest));
    let oldest = seen.rows.first().map(|row| row.stream);
    let length = live.to.duration_since(live.from).as_millis();
    let again = Again {
        after: u64::try_from(length).unwrap_or(0),
        came: came.count() as u64,
        stands: last.rows.iter().any(|row| Some(row.stream) == oldest),
    };
    let whole =
        Inbox { pending: last.pending, capped: last.capped, again: Some(again), ..seen.clone() };
    answer.state = State::Found;
    answer.what = whole.summary();
    answer.fact = Some(Fact::Inbox(whole));
}

/// Refusals, uploads and claims at even steps; none where nothing was refused.
fn timeline(session: &Session, slices: &[Slice]) -> Option<Timeline> {
    let window = session.window();
    let length = window.to.duration_since(window.from).as_secs().max(1);
    let step = (length / STEPS).max(1);
    let steps = usize::try_from(length / step + 1).ok()?;
    let count = |wanted: Moment, name: &'static str| {
        let mut counts = vec![0u32; steps];
        let moments = slices.iter().flat_map(|slice| &slice.moments);
        for (at, _) in moments.filter(|(_, what)| *what == wanted) {
            let place = at.duration_since(window.from).as_secs() / step;
            let slot = usize::try_from(place).ok().and_then(|place| counts.get_mut(place));
            if let Some(slot) = slot {
                *slot = slot.saturating_add(1);
            }
        }
        Curve { name, counts }
    };
    let refused = count(Moment::Refused, "rejected uploads");
    refused.counts.iter().any(|count| *count > 0).then(|| Timeline {
        from: window.from,
        step: SignedDuration::from_secs(step),
        curves: vec![
            refused,
            count(Moment::Uploaded, "uploads tried"),
            count(Moment::Claimed, "claims"),
        ],
    })
}

/// A statement that was run and what it came to.
fn statement(answer: &Gathered) -> Option<(String, Vec<u8>)> {
    if answer.source != "database" || answer.query.is_empty() {
        return None;
    }
    let need = serde_json::to_value(answer.need).ok()?;
    let name = format!("sql/{}-{}.txt", answer.id, need.as_str()?);
    let one_line = |text: &str| text.replace(['\n', '\r'], " ");
    let mut text = format!("-- {}: {}\n", answer.state.name(), one_line(&answer.what));
    text.push_str(&answer.query);
    text.push('\n');
    if let Some(fact) = &answer.fact {
        text.push_str("\n-- what was read, as Kestrel keeps it:\n");
        text.push_str(&serde_json::to_string_pretty(fact).unwrap_or_default());
        text.push('\n');
    }
    Some((name, text.into_bytes()))
}

/// The samples, and what the verdict had of Prometheus.
fn metrics(captured: &Captured<'_>) -> Vec<u8> {
    let samples: Vec<_> = captured
        .samples
        .iter()
        .map(|(at, metrics)| serde_json::json!({ "at": at, "metrics": metrics }))
        .collect();
    let whole = captured
        .case
        .map(|case| &case.evidence)
        .into_iter()
        .flat_map(|evidence| &evidence.gathered)
        .find_map(|answer| match &answer.fact {
            Some(Fact::Metrics(metrics)) => Some(metrics),
            _ => None,
        });
    let all = serde_json::json!({ "samples": samples, "window": whole });
    serde_json::to_vec_pretty(&all).unwrap_or_default()
}

/// The events that marks and the question name.
fn events(session: &Session, evidence: Option<&Evidence>) -> Vec<String> {
    let words = session.marks.iter().flat_map(|mark| mark.text.split_whitespace());
    let marked = words
        .filter(|word| word.starts_with('$'))
        .map(|word| word.trim_end_matches([',', '.', ';', ')']).to_owned());
    let asked = evidence.and_then(|evidence| evidence.subject.event());
    let asked = asked.map(|subject| subject.event.to_string());
    marked.chain(asked).take(64).collect::<BTreeSet<_>>().into_iter().collect()
}

fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' }
}

/// The window, begun earlier where a client reports something earlier: it may have saved its file of a fault that was
/// over when the capture began.
fn reaching(window: Window, client: &[Gathered]) -> Window {
    let begins = |answer: &Gathered| match &answer.fact {
        Some(Fact::Client(facts)) => facts.span.map(|(from, _)| facts.by_server(from)),
        _ => None,
    };
    let least = window.from.checked_sub(BEFORE).unwrap_or(window.from);
    let earlier = client.iter().filter_map(begins).filter(|from| *from >= least).min();
    Window { from: earlier.map_or(window.from, |from| from.min(window.from)), ..window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kestrel_core::evidence::Shown;
    use kestrel_core::evidence::to_device::Live;
    use kestrel_core::evidence::{About, ClientFacts, SCHEMA, Symptom};

    fn row(stream: i64, seen: Option<Timestamp>) -> InboxRow {
        let row = serde_json::json!({
            "stream": stream, "sender": null, "kind": null, "algorithm": null, "recipients": [],
            "bytes": 1, "seen": seen,
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_report_of_earlier_is_asked_about_and_one_of_another_day_is_not() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let window = Window { from: at(100), to: at(101) };
        let told = |from: i64| {
            let facts = ClientFacts { span: Some((at(from), at(from))), ..ClientFacts::default() };
            Gathered::client("report.json", facts)
        };
        let begins = |client: &[Gathered]| reaching(window, client).from;
        assert_eq!(begins(&[]), at(100));
        assert_eq!(begins(&[told(100), told(98)]), at(98));
        assert_eq!(begins(&[told(50), told(99)]), at(99));
        assert_eq!(begins(&[told(150)]), at(100));
    }

    #[test]
    fn what_a_capture_saw_takes_the_place_of_the_last_look() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let from = at(0);
        let to = at(90);
        let live = Some(Live { from, to, polls: 90, clipped: false });
        let rows = vec![row(1, Some(from)), row(5, Some(at(30))), row(6, Some(at(40)))];
        let seen = Inbox { pending: 1, rows, live, ..Inbox::default() };
        let last = |rows: Vec<InboxRow>| {
            let inbox = Inbox { pending: rows.len() as u64, rows, ..Inbox::default() };
            let (state, fact) = match inbox.pending {
                0 => (State::Empty, None),
                _ => (State::Found, Some(Fact::Inbox(inbox))),
            };
            let answer = Gathered::answered(
                Need::Inbox,
                "database",
                state,
                Shown { what: String::new(), query: "SQL".into() },
                fact,
            );
            let user = "@a:example.org".try_into().unwrap();
            let mut evidence = Evidence {
                schema: SCHEMA,
                symptom: Symptom::All,
                subject: About::Device(Subject { user, device: "D".into() }),
                window: Window { from, to },
                now: to,
                gathered: vec![answer],
            };
            watched(&mut evidence, &seen);
            match evidence.gathered.remove(0).fact {
                Some(Fact::Inbox(inbox)) => inbox,
                other => panic!("{other:?}"),
            }
        };
        let stuck = last(vec![row(1, None), row(5, None), row(6, None)]);
        assert_eq!((stuck.pending, stuck.rows.len()), (3, 3));
        assert_eq!(stuck.again, Some(Again { after: 90_000, came: 2, stands: true }));
        let fetched = last(Vec::new());
        assert_eq!((fetched.pending, fetched.rows.len()), (0, 3));
        assert_eq!(fetched.again, Some(Again { after: 90_000, came: 0, stands: false }));
    }
}
