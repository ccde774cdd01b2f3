//! Each kind of message, whole, as people read it: a change of words is one diff.
//!
//! A page of a theme is one snapshot. A line with a name stands above each message.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ruma::{server_name, user_id};

use super::case::{CaseLine, cases, changes, kept, numbered};
use super::report::{Receipt, Root, receipt, root, unasked};
use super::*;
use crate::capture::{CaptureRequest, End, Input, Reminder, Said, Session, Step};
use crate::command::{COMMANDS, Context, Line, parse};
use crate::diagnose::advice::Safe;
use crate::diagnose::fleet::{Affected, Cause, Standing, Trouble};
use crate::diagnose::{AlsoId, Fleet, Judgement, VerdictId, advise, judge};
use crate::evidence::client::{Noted, Sign};
use crate::evidence::otk::Check;
use crate::evidence::redaction::Removed;
use crate::evidence::{About, ClientFacts, DeviceRow, Evidence, ServerSubject, Symptom, Window};
use crate::storm::{Curve, Timeline};

/// The messages of one theme, one below the other.
#[derive(Default)]
pub(super) struct Sheet(String);

impl Sheet {
    /// A message as a room shows it without markup.
    pub(super) fn plain(&mut self, name: &str, page: &Page) {
        self.text(name, &page.reply().plain);
    }

    /// The same message's markup.
    fn html(&mut self, name: &str, page: &Page) {
        self.text(&format!("{name}, HTML"), &page.reply().html);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("=== {name} ===\n{text}\n\n"));
    }

    pub(super) fn all(self) -> String {
        self.0
    }
}

pub(super) fn utc() -> View {
    View::in_zone(TimeZone::UTC)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_348_000 + second).unwrap()
}

fn saved(case: &str) -> (Evidence, Judgement) {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
    let text = std::fs::read_to_string(format!("{cases}/{case}/evidence.json")).unwrap();
    let evidence: Evidence = serde_json::from_str(&text).unwrap();
    let judgement = judge(&evidence);
    (evidence, judgement)
}

#[test]
fn answers() {
    let mut sheet = Sheet::default();
    for (name, case) in [
        ("trouble, proven", "ke1--otk-recreated--evict"),
        ("trouble, consistent", "ke1--otk-same-account--twice"),
        ("healthy", "ke1--otk-healthy--healthy"),
        ("not enough evidence", "ke1--inconclusive--blind"),
        ("no such device", "ke1--unknown-device--nobody"),
        ("media keys of an old identity", "ke2--media-dead-identity--evicted"),
        ("nothing to repair: an event that was redacted", "ke3--event-redacted--redacted"),
        ("delayed events, rate-limited", "ke4--delay-rate-limited--crowd"),
        ("chain, one root", "all--otk-recreated--evicted"),
        ("chain, healthy", "all--otk-healthy--healthy"),
    ] {
        let (evidence, judgement) = saved(case);
        let page = numbered(judged::page(&evidence, &judgement, &utc()), 7);
        sheet.plain(name, &page);
        sheet.html(name, &page);
    }
    insta::assert_snapshot!("answers", sheet.all());
}

fn affected(device: &str, cause: Cause, goes_on: bool, standing: Standing) -> Affected {
    Affected {
        user: user_id!("@a:example.org").to_owned(),
        device: device.into(),
        troubles: vec![Trouble { cause, count: 90, rate: Some(1.5), goes_on }],
        since: Some(at(0)),
        or_before: goes_on,
        last_seen: Some(at(3600)),
        agent: Some("Element X".into()),
        standing,
    }
}

#[test]
fn surveys() {
    let window = Window { from: at(0), to: at(86_400) };
    let evidence = Evidence {
        schema: 1,
        symptom: Symptom::Fleet,
        subject: About::Server(ServerSubject { server: None }),
        window,
        now: at(86_400),
        gathered: Vec::new(),
    };
    let calm = Fleet {
        window,
        affected: Vec::new(),
        causes: Vec::new(),
        agents: Vec::new(),
        together: None,
        findings: Vec::new(),
        read: vec!["log, 24 h".into(), "database".into()],
        unread: Vec::new(),
        cut: Vec::new(),
        also: Vec::new(),
    };
    let mut ill = calm.clone();
    ill.affected = vec![
        affected("ONE", Cause::Conflict, true, Standing::Proven),
        affected("TWO", Cause::DeadIdentity, false, Standing::Exists),
        affected("THREE", Cause::Conflict, false, Standing::Unasked),
        affected("FOUR", Cause::Flood, false, Standing::Exists),
        affected("FIVE", Cause::Exhausted, false, Standing::Exists),
        affected("SIX", Cause::Keyless, false, Standing::Exists),
        affected("SEVEN", Cause::Conflict, false, Standing::Absent),
    ];
    ill.causes = vec![(Cause::Conflict, 3), (Cause::DeadIdentity, 1), (Cause::Flood, 1)];
    ill.agents = vec![("Element X".into(), 6)];
    ill.unread = vec!["Prometheus: not configured".into()];
    ill.cut = vec!["log: more than 100000 lines".into()];
    let unread =
        Fleet { read: Vec::new(), unread: vec!["log: no such file".into()], ..calm.clone() };
    let mut sheet = Sheet::default();
    for (name, survey) in [("calm", calm), ("affected devices", ill), ("nothing was read", unread)]
    {
        sheet.plain(name, &fleet(&evidence, &survey, &utc()));
        sheet.html(name, &fleet(&evidence, &survey, &utc()));
        sheet.plain(&format!("!why, {name}"), &fleet_why(&evidence, &survey, &utc()));
    }
    insta::assert_snapshot!("surveys", sheet.all());
}

#[test]
fn everything_behind_an_answer() {
    let mut sheet = Sheet::default();
    for case in ["ke1--otk-recreated--evict", "all--otk-recreated--evicted"] {
        let (evidence, judgement) = saved(case);
        sheet.plain(&format!("!why, {case}"), &judged::why(&evidence, &judgement, &utc()));
        if let Judgement::Chain(branches) = &judgement {
            sheet.plain("a chain in the first message of a storm", &brief(branches));
        }
    }
    insta::assert_snapshot!("why", sheet.all());
}

#[test]
fn trees_and_remedies() {
    let mut sheet = Sheet::default();
    sheet.plain("!tree", &trees(None));
    sheet.text(
        "a tree as a chart",
        &mermaid(Symptom::Ke1, crate::diagnose::questions(Symptom::Ke1)),
    );
    sheet.plain("!remedies", &remedies_named(None));
    for verdict in VerdictId::ALL {
        sheet.plain(&format!("!remedies {}", verdict.name()), &remedies(verdict, &advise(verdict)));
    }
    for also in AlsoId::ALL {
        sheet.plain(&format!("!remedies {}", also.name()), &what_to_do(also));
    }
    insta::assert_snapshot!("trees_and_remedies", sheet.all());
}

#[test]
fn help_of_every_command() {
    let mut sheet = Sheet::default();
    sheet.plain("!help", &help(&crate::command::help(None)));
    for row in &COMMANDS {
        let page = help(&crate::command::help(Some(row.name)));
        sheet.plain(&format!("!help {}", row.word), &page);
    }
    insta::assert_snapshot!("help", sheet.all());
}

#[test]
fn usage_errors() {
    let zone = TimeZone::UTC;
    let context =
        Context { server_name: Some(server_name!("example.org")), zone: &zone, now: at(0) };
    let mut sheet = Sheet::default();
    for typed in [
        "!ke9 @a:example.org",
        "!xyzzy",
        "!ke1",
        "!ke1 @a:example.org DEV last",
        "!ke1 @a:example.org DEV last 30x",
        "!ke1 @a:example.org DEV last 999d",
        "!ke1 @a:example.org DEV since yesterdayish",
        "!ke1 @a:example.org DEV since 2199-01-01 00:00",
        "!ke1 @a:example.org DEV between 12:00",
        "!ke1 @a:example.org DEV between 12:00 and 11:00",
        "!ke1 @a:example.org DEV and more words",
        "!ke1 @a:example.org \"DEV",
        "!ke3",
        "!ke3 nothing",
        "!mute",
        "!mute 7 soon",
        "!case",
        "!case x",
        "!case 7 explode",
        "!help xyzzy",
        "!tree ke9",
        "!remedies xyzzy extra",
        "!capture explode",
        "!capture start",
        "!capture start @a:example.org DEV for 9d",
        "!fleet now",
        "!storms now",
        "!devices",
    ] {
        match parse(&Line { body: typed, formatted: None }, &context) {
            Err(error) => sheet.plain(typed, &usage_error(&error)),
            Ok(_) => panic!("{typed} is accepted"),
        }
    }
    insta::assert_snapshot!("usage_errors", sheet.all());
}

#[test]
fn plain_replies() {
    let row = |device: &str, keys: bool, next_key: Option<Check>| DeviceRow {
        device: device.into(),
        display_name: Some("Element on a phone".into()),
        last_seen: Some(at(0)),
        hidden: false,
        has_keys: Some(keys),
        one_time_keys: Some(50),
        next_key,
    };
    let user = "@a:example.org";
    let rows = [
        row("WELL", true, Some(Check::Verifies)),
        row("ILL", true, Some(Check::Fails)),
        row("BARE", false, None),
    ];
    let mut sheet = Sheet::default();
    sheet.plain("devices, none", &devices(user, &[], None, &utc()));
    sheet.plain(
        "devices, none in a copy",
        &devices(user, &[], Some("The replica is 3 min behind"), &utc()),
    );
    sheet.plain("devices, one", &devices(user, &rows[..1], None, &utc()));
    sheet.plain("devices, several", &devices(user, &rows, None, &utc()));
    sheet.html("devices, several", &devices(user, &rows, None, &utc()));
    let (bob, ours) = (user_id!("@bob:other.org"), server_name!("example.org"));
    sheet.plain("a user of another server", &foreign_user(bob, ours));
    sheet.text("a late answer", &late(at(0), at(11_000), true, &utc()));
    sheet.text("a late answer without a window", &late(at(0), at(300), false, &utc()));
    let day = SignedDuration::from_hours(24);
    let one = (at(0), "!ke1 @a:example.org DEV".to_owned());
    sheet.plain("one answer dropped", &dropped(std::slice::from_ref(&one), day, &utc()));
    sheet.plain("answers dropped", &dropped(&vec![one; 17], day, &utc()));
    sheet.plain("tasks restarted", &restarted(&[("outbox", 1), ("storm watch", 3)]));
    insta::assert_snapshot!("plain_replies", sheet.all());
}

#[test]
fn kept_cases() {
    let (evidence, judgement) = saved("ke1--otk-recreated--evict");
    let line = CaseLine {
        number: 12,
        at: at(0),
        symptom: Symptom::Ke1,
        about: &evidence.subject,
        verdict: judgement.name(),
        certainty: judgement.certainty().name(),
        asker: Some("@admin:example.org"),
        link: Some("https://matrix.to/#/!r%3Ax/%24e"),
    };
    let mut sheet = Sheet::default();
    sheet.plain("!cases, none", &cases(&[], None, &utc()));
    sheet.plain("!cases of a user, none", &cases(&[], Some("@a:example.org"), &utc()));
    sheet.plain(
        "!cases",
        &cases(&[line, CaseLine { link: None, asker: None, ..line }], None, &utc()),
    );
    let answer = judged::page(&evidence, &judgement, &utc());
    sheet.plain("!case 12", &kept(&line, answer, &utc()));
    sheet.plain("!case 12 again, nothing new", &changes(&line, &[], &utc()));
    let changed: Vec<_> = (1..40).map(|n| format!("change {n}")).collect();
    sheet.plain("!case 12 again", &changes(&line, &changed[..2], &utc()));
    sheet.plain("!case 12 again, many changes", &changes(&line, &changed, &utc()));
    insta::assert_snapshot!("kept_cases", sheet.all());
}

#[test]
fn captures() {
    let user = user_id!("@a:example.org").to_owned();
    let length = SignedDuration::from_mins(30);
    let by = user_id!("@admin:example.org").to_owned();
    let device = Some("DEV".into());
    let (mut session, _) =
        Session::begin(CaptureRequest { user, device, by: by.clone(), length }, at(0));
    let mut sheet = Sheet::default();
    sheet.plain("checklist, new", &capture::checklist(&session, 3, &utc()));
    session.take(Input::Ticked { step: Step::RaiseLoggers, by: by.clone() }, at(60));
    session.take(Input::Clocks { source: "database".into(), millis: -1500 }, at(61));
    session.take(Input::Clocks { source: "Synapse".into(), millis: 0 }, at(62));
    session.take(Input::Place { source: "log".into(), position: "byte 4711".into() }, at(63));
    session.take(Input::Received { name: "report-1.json".into(), step: Step::Report }, at(64));
    session.take(Input::Marked { text: "no audio".into(), by: by.clone() }, at(90));
    sheet.plain("checklist, under way", &capture::checklist(&session, 3, &utc()));
    sheet.html("checklist, under way", &capture::checklist(&session, 3, &utc()));
    let reminders = [Reminder::RaiseLoggers, Reminder::RevertLoggers, Reminder::EndsSoon];
    for (name, reminder) in
        ["raise the loggers", "revert the loggers", "ends soon"].iter().zip(reminders)
    {
        match capture::reminder(reminder, &session, &utc()) {
            Some(page) => sheet.plain(&format!("reminder, {name}"), &page),
            None => sheet.text(&format!("reminder, {name}"), "(nothing)"),
        }
    }
    session.take(Input::Stopped { by }, at(900));
    for (name, said) in [
        ("marked", Said::Marked(1)),
        ("no more marks", Said::MarksFull),
        ("away", Said::WentOn(SignedDuration::from_secs(95))),
        ("a command after the end", Said::IsOver),
        ("stopped", Said::Ended(End::Stopped)),
        ("ended by its length", Said::Ended(End::Length)),
        ("abandoned", Said::Ended(End::Abandoned)),
    ] {
        sheet.plain(name, &capture::said(&said, &session, 3, &utc()).unwrap());
    }
    sheet.plain("checklist, ended", &capture::checklist(&session, 3, &utc()));
    let notes = ["file 2 was not read: the report is damaged".to_owned()];
    sheet.text("the bundle's page", &capture::marks(&session, 3, &notes, &utc()).markdown());
    insta::assert_snapshot!("captures", sheet.all());
}

#[test]
fn reports() {
    let span = Some((at(0), at(90)));
    let signs =
        Sign::ALL.into_iter().map(|sign| Noted { sign, count: 3, span, key: None }).collect();
    let facts = ClientFacts { device: Some("DEV".into()), span, signs, ..ClientFacts::default() };
    let facts = [&facts];
    let removed = Removed::default();
    let notes: Vec<_> =
        (1..=5).map(|n| format!("file {n} was not read: the report is damaged")).collect();
    let told = Receipt {
        case: Some(12),
        facts: &facts,
        notes: &[],
        removed: &removed,
        believed: true,
        advice: None,
    };
    let mut sheet = Sheet::default();
    sheet.plain("receipt, no advice", &receipt(&told, &utc()));
    sheet.plain("receipt, parts not read", &receipt(&Receipt { notes: &notes, ..told }, &utc()));
    let of = |advice, believed, case| Receipt {
        case,
        facts: &facts,
        notes: &[],
        removed: &removed,
        believed,
        advice,
    };
    sheet.plain("receipt, log out", &receipt(&of(Some(Safe::Relogin), true, Some(12)), &utc()));
    sheet.plain(
        "receipt, close the second client",
        &receipt(&of(Some(Safe::CloseSecondClient), true, Some(12)), &utc()),
    );
    sheet.plain("receipt, another user", &receipt(&of(None, false, None), &utc()));
    let empty = Receipt {
        case: None,
        facts: &[],
        notes: &[],
        removed: &removed,
        believed: true,
        advice: None,
    };
    sheet.plain("receipt, nothing understood", &receipt(&empty, &utc()));
    let (a, b) = (user_id!("@a:example.org"), user_id!("@b:example.org"));
    let (_, judgement) = saved("ke1--otk-recreated--evict");
    let Judgement::Branch(verdict) = &judgement else { panic!("one branch") };
    let mut first = Root {
        case: Some(12),
        by: a,
        forwarded: false,
        user: Some(a),
        device: Some("DEV"),
        judged: None,
        headline: verdict.id.headline(),
        verdict: Some(verdict),
        facts: &facts,
        removed: &removed,
    };
    sheet.plain("ops room", &root(&first, &utc()));
    sheet.html("ops room", &root(&first, &utc()));
    (first.forwarded, first.user, first.device) = (true, Some(b), None);
    first.judged = Some("CHOSEN".into());
    sheet.plain("ops room, forwarded, device chosen", &root(&first, &utc()));
    sheet.plain("names nobody", &unasked(Some(a), None, None));
    sheet.plain("names another user", &unasked(Some(a), Some("@b:example.org"), Some("MY PHONE")));
    sheet.plain("names no user ID", &unasked(None, Some("bob"), None));
    insta::assert_snapshot!("reports", sheet.all());
}

#[test]
fn the_words_of_a_picture() {
    let names = ["rejected uploads", "accepted uploads", "claims"];
    let counts = [vec![0, 0, 12, 40, 3, 0], vec![0, 1, 0, 0, 0, 0], vec![0, 0, 0, 2, 0, 1]];
    let curves =
        names.into_iter().zip(counts).map(|(name, counts)| Curve { name, counts }).collect();
    let timeline = Timeline { from: at(0), step: SignedDuration::from_secs(10), curves };
    let picture = picture(&timeline, "@a:example.org DEV", &utc()).unwrap();
    insta::assert_snapshot!("picture", picture.alt);
}
