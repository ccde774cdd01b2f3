//! A user's report → what is asked of the server for it, and one verdict on both.
//!
//! A report is only what its sender says, so it counts for the sender only: one that names another user is shown and
//! not evaluated. Its times are by the client's clock. If that clock can be measured, they are converted to the
//! server's, and a note says so.

use jiff::{SignedDuration, Timestamp};
use ruma::{EventId, OwnedUserId, UserId};

use super::answer::{Answer, Flow};
use kestrel_core::diagnose::advice::{Safe, safe};
use kestrel_core::diagnose::device_list::has_keys;
use kestrel_core::diagnose::{Certainty, Judgement, Verdict, VerdictId};
use kestrel_core::evidence::client::{ClientFacts, Sign, Skew};
use kestrel_core::evidence::client_file::Parcel;
use kestrel_core::evidence::{
    About, EventSubject, Evidence, Gathered, SCHEMA, ServerSubject, Symptom, UserSubject, counted,
};
use kestrel_core::plan;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::{self, Reply};

/// How much of the log is read before and after the times of a report.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// The most days that a report may ask about. Its sender chooses its times, so one wrong or invented time must not make
/// Kestrel read a month of logs. Anything older is another incident, and an admin can still ask about it.
const DAYS: i64 = 3;
const LONGEST: SignedDuration = SignedDuration::from_hours(DAYS * 24);
/// A clock that is off by less is not mentioned.
const TOLD: i64 = 2000;
/// The server's log must have no rejection for this long before its first one, to take it for the very first.
const SILENT: SignedDuration = SignedDuration::from_mins(1);

/// What a report came to.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The user whom it is about, as far as that is accepted.
    pub user: Option<OwnedUserId>,
    /// The device that it names.
    pub device: Option<String>,
    /// A different user that it names.
    pub names: Option<String>,
    /// None if nothing could be asked.
    pub judgement: Option<Judgement>,
    /// The verdict's page, or why there is none.
    pub page: Reply,
    pub evidence: Evidence,
    /// Notes for a person about its times.
    pub notes: Vec<String>,
    /// What the sender should do.
    pub advice: Option<Safe>,
}

/// Whose report it is, by its files and by who sent it.
struct Reporter {
    user: Option<OwnedUserId>,
    device: Option<String>,
    names: Option<String>,
    notes: Vec<String>,
}

impl Flow {
    /// Evaluates a report for the user and device that it names. `sender` has to be that user; `None` if an admin
    /// vouches for it.
    pub async fn report(
        &self,
        parcel: &Parcel,
        sender: Option<&UserId>,
        now: Timestamp,
    ) -> Reported {
        let facts: Vec<_> = parcel.artefacts.iter().map(|artefact| &artefact.facts).collect();
        let mut reporter = reporter(&facts, sender);
        let skew = facts.iter().filter_map(|facts| facts.skew).max_by_key(|skew| skew.pairs);
        let (span, about_times) = span(&facts, skew, now);
        reporter.notes.extend(about_times);
        let (None, Some(user)) = (&reporter.names, &reporter.user) else {
            return self.unasked(reporter, sender, span, now);
        };
        let own = |name: &str, facts: &ClientFacts| {
            let facts = on_our_clock(facts, facts.skew.or(skew));
            Gathered::client(name, ClientFacts { user: Some(user.to_string()), ..facts })
        };
        let client: Vec<_> =
            parcel.artefacts.iter().map(|one| own(&one.name, &one.facts)).collect();
        let device = reporter.device.as_deref().map(Into::into);
        let event = undecrypted(&facts);
        let topic = Topic::All { user: user.clone(), device, event };
        match self.answer_with(&Question { topic, span }, &client, now).await {
            Answer::Case(case) => {
                if let (None, Some(millis)) = (skew, measured(&facts, &case.evidence)) {
                    reporter
                        .notes
                        .push(clock(millis, "if its first rejected upload was the server's first"));
                }
                reporter.notes.extend(chosen(&case.evidence));
                // If it names no device, it is not known which one the sender would log out.
                let advice = case.verdict().and_then(safe);
                Reported {
                    advice: advice.filter(|_| reporter.device.is_some()),
                    user: reporter.user,
                    device: reporter.device,
                    names: None,
                    judgement: Some(case.judgement),
                    page: case.reply,
                    evidence: case.evidence,
                    notes: reporter.notes,
                }
            }
            Answer::Words(page) => Reported { page, ..self.unasked(reporter, sender, span, now) },
            Answer::Survey(_) => self.unasked(reporter, sender, span, now),
        }
    }

    /// A report for which nothing is asked: it names a different user, or none.
    fn unasked(
        &self,
        reporter: Reporter,
        sender: Option<&UserId>,
        span: Span,
        now: Timestamp,
    ) -> Reported {
        let own = sender.map(ToOwned::to_owned).or(reporter.user);
        let about = match own.clone() {
            Some(user) => About::User(UserSubject { user }),
            None => About::Server(ServerSubject { server: self.config.server.name.clone() }),
        };
        let evidence = Evidence {
            schema: SCHEMA,
            symptom: Symptom::All,
            subject: about,
            window: plan::window(span, self.config.limits.window, now),
            now,
            gathered: Vec::new(),
        };
        let page = render::report::unasked(
            own.as_deref(),
            reporter.names.as_deref(),
            reporter.device.as_deref(),
        );
        Reported {
            user: own,
            device: reporter.device,
            names: reporter.names,
            judgement: None,
            page: page.reply(),
            evidence,
            notes: reporter.notes,
            advice: None,
        }
    }
}

/// Which device was evaluated, if the report names none.
fn chosen(evidence: &Evidence) -> Option<String> {
    let judged = &evidence.device()?.device;
    let list = evidence.device_list();
    let with_keys = list.value()?.iter().filter(|row| has_keys(row)).count() as u64;
    Some(match with_keys {
        0 => format!(
            "The report names no device. Kestrel evaluated {judged}. None of the user's sessions has encryption keys."
        ),
        count => format!(
            "The report names no device. Kestrel evaluated {judged}, one of {} with encryption keys.",
            counted(count, "device")
        ),
    })
}

/// The event that the client reported by itself, because it could not decrypt it.
fn undecrypted(facts: &[&ClientFacts]) -> Option<EventSubject> {
    let reported = facts.iter().filter(|facts| facts.app.is_some());
    let mut events = reported.flat_map(|facts| &facts.events);
    let event = events.find_map(|seen| EventId::parse(&seen.event).ok())?;
    Some(EventSubject { event, room: None, column: None })
}

impl Reported {
    /// The verdict; none if nothing could be asked.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.judgement.as_ref()?.verdict()
    }

    /// The verdict's name and its certainty, under which the case is stored.
    pub fn kept_as(&self) -> (&'static str, &'static str) {
        let certainty = Certainty::NotEnoughEvidence;
        let unasked = (VerdictId::Inconclusive.name(), certainty.name());
        self.judgement.as_ref().map_or(unasked, |of| (of.name(), of.certainty().name()))
    }
}

/// The headline of a case, for its first line.
pub fn headline(reported: &Reported) -> &'static str {
    match (reported.verdict(), &reported.names) {
        (Some(verdict), _) => verdict.id.headline(),
        (None, Some(_)) => "the report names a different user, so it was not evaluated",
        (None, None) => "the report was not evaluated",
    }
}

fn reporter(facts: &[&ClientFacts], sender: Option<&UserId>) -> Reporter {
    let mut notes = Vec::new();
    let named: Vec<&str> = facts.iter().filter_map(|facts| facts.user.as_deref()).collect();
    let user = match sender {
        Some(sender) => Some(sender.to_owned()),
        None => named.iter().find_map(|named| UserId::parse(named).ok()),
    };
    let is_other = |named: &&&str| user.as_deref().is_none_or(|user| !is(user, named));
    let names = named.iter().find(is_other).map(|named| (**named).to_owned());
    let mut devices: Vec<_> = facts.iter().filter_map(|facts| facts.device.clone()).collect();
    devices.dedup();
    if devices.len() > 1 {
        let many = counted(devices.len() as u64, "device");
        notes.push(format!("The report is about {many}. Only the first one is evaluated."));
    }
    Reporter { user, device: devices.into_iter().next(), names, notes }
}

/// Whether a file that names a user so means this one; some clients leave the server's name out.
fn is(user: &UserId, named: &str) -> bool {
    named == user.as_str() || named == user.localpart()
}

/// The window of a report by the server's clock, and notes about it.
fn span(facts: &[&ClientFacts], skew: Option<Skew>, now: Timestamp) -> (Span, Vec<String>) {
    let mut notes = Vec::new();
    if let Some(skew) = skew.filter(|skew| skew.millis.abs() >= TOLD) {
        let by = format!("by {}", counted(skew.pairs, "request"));
        notes.push(clock(skew.millis, &by));
    }
    let of = |facts: &&ClientFacts| on_our_clock(facts, facts.skew.or(skew)).span;
    let spans: Vec<_> = facts.iter().filter_map(of).collect();
    let first = spans.iter().map(|(first, _)| *first).min();
    let (Some(first), Some(last)) = (first, spans.iter().map(|(_, last)| *last).max()) else {
        let local = facts.iter().find_map(|facts| facts.local.as_ref());
        notes.push(match local {
            Some((first, last)) => format!(
                "The report's times ({first} to {last}) have no time zone. Using the default window, up to now."
            ),
            None => "The report has no times. Using the default window, up to now.".into(),
        });
        return (Span::Unsaid, notes);
    };
    if first > after(now, MARGIN) {
        notes.push(
            "The report's times are in the future. Using the default window, up to now.".into(),
        );
        return (Span::Unsaid, notes);
    }
    let to = after(last, MARGIN).min(now);
    let from = before(first, MARGIN);
    if to.duration_since(from) > LONGEST {
        notes.push(format!(
            "The report covers more than {DAYS} days. Only the last {DAYS} are evaluated."
        ));
    }
    (Span::Between(from.max(before(to, LONGEST)).min(to), to), notes)
}

fn clock(millis: i64, how: &str) -> String {
    let side = if millis > 0 { "ahead of" } else { "behind" };
    let seconds = millis.unsigned_abs().div_ceil(500) / 2;
    format!("The client's clock is about {seconds} s {side} the server's ({how}).")
}

/// The facts with their times on the server's clock.
fn on_our_clock(facts: &ClientFacts, skew: Option<Skew>) -> ClientFacts {
    let mut facts = facts.clone();
    let ahead = SignedDuration::from_millis(skew.map_or(0, |skew| skew.millis));
    let moved = |at: Timestamp| at.checked_sub(ahead).unwrap_or(at);
    let both = |(first, last): (Timestamp, Timestamp)| (moved(first), moved(last));
    facts.span = facts.span.map(both);
    facts.signs.iter_mut().for_each(|noted| noted.span = noted.span.map(both));
    facts.refused.iter_mut().for_each(|refusal| refusal.at = refusal.at.map(moved));
    facts.sent.iter_mut().for_each(|sent| sent.at = sent.at.map(moved));
    facts.minutes.iter_mut().for_each(|minute| minute.at = moved(minute.at));
    facts
}

/// How far the client is ahead of the server, if both saw the first rejection: neither has one before it.
fn measured(facts: &[&ClientFacts], evidence: &Evidence) -> Option<i64> {
    let refusals = facts.iter().flat_map(|facts| {
        let noted = facts.signs.iter().filter(|noted| noted.sign == Sign::AlreadyExists);
        noted.filter_map(|noted| Some((noted.span?.0, facts.span?.0)))
    });
    let (theirs, began) = refusals.min()?;
    let log = evidence.key_log();
    let ours = log.value()?.refused.iter().map(|group| group.span.first).min()?;
    let both_silent = began < theirs && before(ours, SILENT) > evidence.window.from;
    let millis = i64::try_from(theirs.duration_since(ours).as_millis()).ok()?;
    (both_silent && millis.abs() >= TOLD).then_some(millis)
}

fn before(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_sub(length).unwrap_or(Timestamp::MIN)
}

fn after(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kestrel_core::evidence::client::Noted;
    use ruma::user_id;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn facts(span: Option<(i64, i64)>) -> ClientFacts {
        let span = span.map(|(first, last)| (at(first), at(last)));
        let noted = Noted { sign: Sign::AlreadyExists, count: 2, span, key: None };
        ClientFacts { span, signs: vec![noted], ..ClientFacts::default() }
    }

    fn ahead(seconds: i64) -> Option<Skew> {
        Some(Skew { millis: seconds * 1000, pairs: 12, spread: 3 })
    }

    #[test]
    fn the_window_is_the_reports_own_on_the_servers_clock() {
        let now = at(100_000);
        for (own, skew, wanted, says) in [
            (Some((10_000, 11_000)), None, Span::Between(at(9_700), at(11_300)), ""),
            (Some((10_000, 11_000)), ahead(1), Span::Between(at(9_699), at(11_299)), ""),
            (
                Some((10_000, 11_000)),
                ahead(100),
                Span::Between(at(9_600), at(11_200)),
                "about 100 s ahead of the server's (by 12 requests)",
            ),
            (
                Some((10_000, 11_000)),
                ahead(-100),
                Span::Between(at(9_800), at(11_400)),
                "behind the server's",
            ),
            (Some((99_000, 100_200)), None, Span::Between(at(98_700), now), ""),
            (Some((200_000, 200_100)), None, Span::Unsaid, "in the future"),
            (None, None, Span::Unsaid, "no times"),
        ] {
            let facts = ClientFacts { skew, ..facts(own) };
            let (span, notes) = span(&[&facts], skew, now);
            assert_eq!(span, wanted);
            assert_eq!(notes.is_empty(), says.is_empty(), "{notes:?}");
            assert!(notes.concat().contains(says), "{notes:?}");
        }
    }

    #[test]
    fn a_report_of_years_is_cut_to_its_last_days() {
        let day = 24 * 60 * 60;
        let long = facts(Some((0, 400 * day)));
        let (span, notes) = span(&[&long], None, at(400 * day));
        assert_eq!(span, Span::Between(at(397 * day), at(400 * day)));
        assert!(notes[0].contains("more than 3 days"), "{notes:?}");
        let torn = ClientFacts { span: Some((Timestamp::MIN, Timestamp::MAX)), ..facts(None) };
        super::span(&[&torn], ahead(i64::MAX / 1000), at(0));
        super::span(&[&torn], ahead(i64::MIN / 1000), at(0));
    }

    #[test]
    fn a_report_is_believed_of_its_sender_only() {
        let alice = user_id!("@alice:example.org");
        let of = |user: Option<&str>| ClientFacts {
            user: user.map(str::to_owned),
            device: Some("DEV".into()),
            ..ClientFacts::default()
        };
        let names = |users: &[Option<&str>], sender| {
            let facts: Vec<_> = users.iter().map(|user| of(*user)).collect();
            let found = reporter(&facts.iter().collect::<Vec<_>>(), sender);
            (found.user.map(|user| user.to_string()), found.names)
        };
        let own = Some("@alice:example.org".to_owned());
        for said in [&[None][..], &[Some("@alice:example.org")], &[Some("alice"), None]] {
            assert_eq!(names(said, Some(alice)), (own.clone(), None), "{said:?}");
        }
        // One file of several is enough.
        let mixed = [Some("@alice:example.org"), Some("@bob:example.org")];
        let bob = Some("@bob:example.org".to_owned());
        assert_eq!(names(&mixed, Some(alice)), (own.clone(), bob.clone()));
        assert_eq!(
            names(&[Some("@Alice:example.org")], Some(alice)).1.unwrap(),
            "@Alice:example.org"
        );
        // Forwarded by an admin: the first named counts.
        assert_eq!(names(&mixed, None), (own, bob));
        assert_eq!(names(&[None], None), (None, None));
    }
}
