//! Recorded cases, as they would be had Synapse not been able to check access tokens meanwhile, or had a proxy
//! answered the client in its place: no "none seen" over either, and what was seen stays.

use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use kestrel_core::client_files;
use kestrel_core::diagnose::remedy::Remedy;
use kestrel_core::diagnose::{Certainty, Verdict, diagnose};
use kestrel_core::evidence::auth::{AuthLog, By, DeviceRemoval, Outage, Synced};
use kestrel_core::evidence::client::Sign;
use kestrel_core::evidence::client_file::Limits;
use kestrel_core::evidence::key_log::{Format, Span};
use kestrel_core::evidence::{Evidence, Fact, Gathered, Need, Shown, State};

fn case(name: &str) -> Evidence {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = fs::read_to_string(file.join("evidence.json")).expect("the case is recorded");
    serde_json::from_str(&text).expect("evidence")
}

/// The same evidence, with another word on sign-in.
fn with(evidence: &Evidence, log: AuthLog) -> Evidence {
    let mut evidence = evidence.clone();
    evidence.gathered.retain(|answer| answer.need != Need::AuthLog);
    let fact = Some(Fact::AuthLog(Box::new(log)));
    let query = String::new();
    let mut answer = Gathered::answered(
        Need::AuthLog,
        "log:main",
        State::Found,
        Shown { what: String::new(), query },
        fact,
    );
    answer.id = "E99".into();
    evidence.gathered.push(answer);
    evidence
}

/// Tokens could not be checked, up to the end of the window.
fn outage(evidence: &Evidence, format: Format) -> AuthLog {
    let last = evidence.window.to;
    let first = last.checked_sub(SignedDuration::from_secs(5)).expect("in range");
    let span = Span { first, last, count: 12 };
    let outage = Outage { span, uploads: 3, delays: 2, format };
    AuthLog { outage: Some(outage), ..AuthLog::default() }
}

fn says(verdict: &Verdict) -> (&'static str, Certainty) {
    (verdict.id.name(), verdict.certainty)
}

#[test]
fn none_seen_is_not_said_while_tokens_cannot_be_checked() {
    for name in [
        "ke1--otk-healthy--healthy",
        "ke2--media-not-drained--away",
        "ke2--media-sfu--silent",
        "ke2--inconclusive--still",
        "ke4--delay-healthy--calm",
        "ke4--delay-client--report",
        "ke4--delay-not-arriving--silent",
        "all--otk-healthy--healthy",
    ] {
        let evidence = case(name);
        let verdict = diagnose(&with(&evidence, outage(&evidence, Format::Text)));
        assert_eq!(says(&verdict), ("auth-unreachable", Certainty::Consistent), "{name}");
        assert!(verdict.because.iter().any(|why| why.contains("ongoing")), "{:?}", verdict.because);
        assert_eq!(verdict.remedies[0].id, Remedy::CheckAuthService, "{name}");
        let verdict = diagnose(&with(&evidence, outage(&evidence, Format::Json)));
        assert_eq!(says(&verdict), ("auth-unreachable", Certainty::Proven), "{name}");
        // A log that was read and shows nothing of the kind changes no verdict.
        let verdict = diagnose(&with(&evidence, AuthLog::default()));
        assert!(name.contains(verdict.id.name()), "{name}: {}", verdict.id.name());
    }
}

#[test]
fn what_was_seen_stays_and_names_the_outage_beside() {
    for name in [
        "ke1--otk-recreated--evict",
        "ke1--otk-flood--flood",
        "ke1--otk-exhausted--exhaust",
        "ke1--unknown-device--nobody",
        "ke2--media-dead-identity--evicted",
        "ke4--delay-rate-limited--crowd",
        "ke4--delay-homeserver-slow--row-lock",
    ] {
        let evidence = case(name);
        let before = diagnose(&evidence);
        let verdict = diagnose(&with(&evidence, outage(&evidence, Format::Json)));
        assert_eq!(says(&verdict), says(&before), "{name}");
        let told = |finding: &String| finding.contains("could not check the access token");
        assert!(verdict.findings.iter().any(told), "{name}: {:?}", verdict.findings);
    }
}

#[test]
fn quiet_while_no_upload_could_pass_is_no_race() {
    let mut evidence = case("ke1--otk-race--race");
    for answer in &mut evidence.gathered {
        if let Some(Fact::KeyLog(log)) = &mut answer.fact {
            log.accepted.uploads = None;
        }
    }
    let verdict = diagnose(&with(&evidence, outage(&evidence, Format::Text)));
    assert_ne!(verdict.id.name(), "otk-race");
}

#[test]
fn a_relogin_names_the_account_page_where_mas_is_in_use() {
    let evidence = case("ke1--otk-recreated--evict");
    let at = evidence.window.to;
    let log = AuthLog { mas: Some(Span::once(at)), ..AuthLog::default() };
    let verdict = diagnose(&with(&evidence, log));
    let relogin = verdict.remedies.iter().find(|advice| advice.id == Remedy::Relogin).unwrap();
    assert!(relogin.why.is_some_and(|why| why.contains("MAS account page")), "{relogin:?}");
    let page = |finding: &String| finding.contains("org.matrix.device_delete");
    assert!(verdict.findings.iter().any(page), "{:?}", verdict.findings);
}

#[test]
fn a_device_without_keys_is_told_by_what_is_known_of_it() {
    let evidence = case("ke1--keyless-device--keyless");
    let at = evidence.window.from.checked_add(SignedDuration::from_secs(60)).unwrap();
    let back = at.checked_add(SignedDuration::from_secs(2)).unwrap();
    let by = By::Admin("@root:lab.local".into());
    let log = AuthLog {
        removed: vec![DeviceRemoval { at, by, format: Format::Text }],
        synced: vec![Synced { at: back, added: 1, deleted: 0 }],
        ..AuthLog::default()
    };
    let verdict = diagnose(&with(&evidence, log));
    assert_eq!(says(&verdict), ("keyless-device", Certainty::Proven));
    let because = verdict.because.join("; ");
    assert!(because.contains("by @root:lab.local through Synapse's admin API"), "{because}");
    assert!(because.contains("MAS still had its session"), "{because}");
    // Without the log, one-time keys alone tell that it had device keys once.
    let keys = case("ke1--otk-healthy--healthy");
    let stored = keys.gathered.into_iter().find(|one| one.need == Need::OneTimeKeys).unwrap();
    let mut evidence = with(&evidence, AuthLog::default());
    evidence.gathered.retain(|one| one.need != Need::OneTimeKeys);
    evidence.gathered.push(stored);
    let verdict = diagnose(&evidence);
    assert_eq!(says(&verdict), ("keyless-device", Certainty::Proven));
    let because = verdict.because.join("; ");
    assert!(because.contains("does not publish them again"), "{because}");
    assert_eq!(verdict.remedies[0].id, Remedy::Relogin);
}

#[test]
fn a_proxy_that_answers_in_place_of_synapse_is_no_healthy_server() {
    let line = "2026-11-22T11:51:41Z WARN [MembershipManager] M_UNKNOWN: MatrixError: [429] Server is \
                unavailable (https://lab.local/_matrix/client/v3/keys/upload)\n";
    let ordinary = "2026-11-22T11:51:42Z DEBUG [MembershipManager] sent update_delayed_event (restart)\n\
                    2026-11-22T11:51:43Z DEBUG FetchHttpApi: <-- POST https://lab.local/_matrix/client/\
                    unstable/org.matrix.msc4140/delayed_events/syd_planted/restart [82ms 404]\n";
    let read = |text: &str| {
        let taken = client_files::take_in("console.txt", text.as_bytes(), &Limits::default());
        taken.expect("a log").artefacts.remove(0)
    };
    let read_ordinary = read(ordinary);
    assert!(read_ordinary.text.contains("update_delayed_event"), "{}", read_ordinary.text);
    assert!(!read_ordinary.text.contains("planted"), "{}", read_ordinary.text);
    assert_eq!(read_ordinary.facts.count(Sign::DelayTimedOut), 0);
    let delays = read_ordinary.facts.delays.clone().expect("the request is counted");
    assert_eq!((delays.count, delays.gone, delays.timed_out), (1, 1, 0));
    assert!((delays.slowest - 0.082).abs() < 1e-9);
    let evidence = case("ke4--delay-healthy--calm");
    let beside = |mut facts: kestrel_core::evidence::ClientFacts| {
        facts.user = evidence.subject.user().map(|user| user.to_string());
        // By the server's clock, inside the window.
        facts.signs.iter_mut().for_each(|noted| noted.span = None);
        let mut evidence = evidence.clone();
        evidence.gathered.push(Gathered::client("console", facts));
        diagnose(&evidence)
    };
    assert_eq!(beside(read_ordinary.facts).id.name(), "delay-healthy");
    let verdict = beside(read(line).facts);
    assert_eq!(says(&verdict), ("inconclusive", Certainty::NotEnoughEvidence));
    let told = |finding: &String| finding.contains("by a proxy, not by Synapse");
    assert!(verdict.findings.iter().any(told), "{:?}", verdict.findings);
}
