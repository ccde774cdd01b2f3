//! Saved cases, bent: one fact of a real case is changed, and the verdict has to follow it.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use kestrel_core::diagnose::{Verdict, diagnose};
use serde_json::{Value, json};

/// A case's evidence; keys of the answers are in the order log, devices, identity, stored, fallback.
struct Bent(Value);

const LOG: usize = 0;
const IDENTITY: usize = 2;
const STORED: usize = 3;
const FALLBACK: usize = 4;

impl Bent {
    fn of(case: &str) -> Self {
        let file = crate::tree().join("tests/cases").join(case).join("evidence.json");
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{case}: {e}"));
        Self(serde_json::from_str(&text).expect("evidence"))
    }

    fn answer(&mut self, at: usize) -> &mut Value {
        &mut self.0["gathered"][at]
    }

    fn log(&mut self) -> &mut Value {
        &mut self.answer(LOG)["fact"]["key-log"]
    }

    fn stored(&mut self) -> &mut Vec<Value> {
        let keys = &mut self.answer(STORED)["fact"]["one-time-keys"]["keys"];
        keys.as_array_mut().expect("stored keys")
    }

    fn empty(&mut self, at: usize) {
        self.answer(at)["state"] = json!("empty");
        self.answer(at)["fact"] = Value::Null;
    }

    fn judge(&self) -> Verdict {
        diagnose(&serde_json::from_value(self.0.clone()).expect("evidence"))
    }

    fn verdict(&self) -> (&'static str, &'static str) {
        let verdict = self.judge();
        (verdict.id.name(), verdict.certainty.name())
    }
}

#[test]
fn fresh_keys_of_an_old_client_are_no_upload_loop() {
    let mut case = Bent::of("ke1--otk-healthy--healthy");
    let batch = &mut case.log()["accepted"]["batches"][2];
    // One key for each that was claimed, and IDs that are no counters.
    batch["batch"] = json!({ "range": null, "count": 1 });
    batch["span"]["count"] = json!(7);
    assert_eq!(case.verdict(), ("otk-healthy", "consistent"));
}

#[test]
fn an_unread_fallback_key_is_not_an_unused_one() {
    let mut case = Bent::of("ke1--otk-exhausted--exhaust");
    case.answer(FALLBACK)["state"] = json!("failed");
    case.answer(FALLBACK)["why"] = json!("the role may not read e2e_fallback_keys_json");
    case.answer(FALLBACK)["fact"] = Value::Null;
    assert_eq!(case.verdict(), ("inconclusive", "not-enough-evidence"));
    assert!(!case.judge().findings.iter().any(|finding| finding.contains("unused")));
}

#[test]
fn one_batch_refused_again_under_the_next_id_is_no_race() {
    let mut case = Bent::of("ke1--otk-race--race");
    assert_eq!(case.verdict(), ("otk-race", "consistent"));
    let groups = case.log()["refused"].as_array_mut().expect("groups");
    groups[0]["batch"] = json!({ "range": [0, 49], "count": 50 });
    let mut next = groups[0].clone();
    next["key"] = json!("signed_curve25519:AAAAAAAAAAE");
    next["old"]["digest"] = json!("1");
    groups.push(next);
    assert_ne!(case.verdict().0, "otk-race");
}

#[test]
fn more_refusals_than_were_kept_are_no_race() {
    let mut case = Bent::of("ke1--otk-race--race");
    let span = case.log()["refused"][0]["span"].clone();
    case.log()["refused_beyond"] = span;
    assert_ne!(case.verdict().0, "otk-race");
}

#[test]
fn a_refusal_that_a_second_process_logged_too_is_one() {
    let mut case = Bent::of("ke1--otk-race--race");
    let mut again = case.log()["refused"][0].clone();
    again["batch"] = json!({ "range": null, "count": 0 });
    case.log()["doubtful"] = json!([again]);
    case.log()["unattributed"] = json!(1);
    let verdict = case.judge();
    assert_eq!(verdict.id.name(), "otk-race");
    assert_eq!(verdict.storm.expect("a storm").span.count, 1);
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
}

#[test]
fn what_a_new_login_has_ended_is_past() {
    for format in ["text", "json"] {
        let mut case = Bent::of("ke1--otk-recreated--evict");
        // Logged out and in under the same id: new keys, and a new identity that verifies none of before.
        case.answer(IDENTITY)["fact"]["device-keys"]["added"] = json!("2027-01-01T00:00:00Z");
        for key in case.stored() {
            key["added"] = json!("2027-01-01T00:00:01Z");
            key["value"]["check"] = json!("verifies");
            key["value"]["digest"] = json!("new");
        }
        let groups = case.log()["refused"].as_array_mut().expect("groups");
        for group in groups {
            group["format"] = json!(format);
            group["old"]["check"] = json!("fails");
            group["new"]["check"] = json!("fails");
        }
        assert_eq!(case.verdict(), ("otk-healthy", "consistent"), "{format}");
        let findings = case.judge().findings;
        assert!(findings.iter().any(|finding| finding.contains("history: ")), "{findings:?}");
    }
}

#[test]
fn keys_newer_than_the_identity_are_no_dead_account_s() {
    let mut case = Bent::of("ke1--otk-recreated--silent");
    assert_eq!(case.verdict(), ("otk-recreated", "proven"));
    for key in case.stored().iter_mut().filter(|key| key["value"]["check"] == "fails") {
        key["added"] = json!("2027-01-01T00:00:00Z");
    }
    assert_eq!(case.verdict(), ("otk-foreign-identity", "proven"));
}

#[test]
fn an_empty_stock_was_read_too() {
    let mut case = Bent::of("ke1--otk-recreated--evict");
    case.empty(STORED);
    assert_eq!(case.verdict(), ("otk-recreated", "consistent"));
    assert_eq!(case.judge().storm.expect("a storm").row_stands, Some(false));
}

#[test]
fn a_log_that_has_stopped_says_nothing_of_the_rest() {
    let mut case = Bent::of("ke1--otk-healthy--healthy");
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let end = moment(&case.0["window"]["to"]).expect("the window's end");
    let later = end + SignedDuration::from_hours(2);
    case.0["now"] = json!(later);
    case.0["window"]["to"] = json!(later);
    assert_eq!(case.verdict(), ("inconclusive", "not-enough-evidence"));
    let last = moment(&case.log()["coverage"][0]["span"][1]).expect("the log's last line");
    let last = last.strftime("%Y-%m-%d %H:%M:%S").to_string();
    assert!(case.judge().missing[0].how.contains(&last), "{last} is not named");
}

#[test]
fn keys_that_nothing_can_test_are_not_healthy() {
    let mut case = Bent::of("ke1--otk-healthy--healthy");
    case.answer(IDENTITY)["fact"]["device-keys"]["ed25519"] = Value::Null;
    for key in case.stored() {
        key["value"]["check"] = json!("unknown");
    }
    assert_eq!(case.verdict(), ("inconclusive", "not-enough-evidence"));
}

#[test]
fn no_stock_and_no_fallback_key_is_exhausted() {
    let mut case = Bent::of("ke1--otk-exhausted--exhaust");
    case.empty(FALLBACK);
    assert_eq!(case.verdict(), ("otk-exhausted", "proven"));
}
