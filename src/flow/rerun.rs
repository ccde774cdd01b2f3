//! A kept case → the question that asks the same now, and what changed between the two.

use std::time::Duration;

use kestrel_core::diagnose::{Judgement, changed, judge};
use kestrel_core::evidence::{About, Evidence, Gathered, Need, Symptom};
use kestrel_core::question::{LONGEST_WINDOW, Question, Span, Topic};

/// The same question now: about the same subject, over a window of the same length. `None` where the case
/// does not say whom it was about. A live watch is not repeated: it would need a call.
pub fn rerun(before: &Evidence) -> Option<Question> {
    let length = before.window.to.duration_since(before.window.from);
    let length = Duration::try_from(length).unwrap_or_default().min(LONGEST_WINDOW);
    let span = if length.is_zero() { Span::Unsaid } else { Span::Last(length) };
    let (user, device, _) = before.subject.ids();
    let user = user.map(ToOwned::to_owned);
    let device = device.map(ToOwned::to_owned);
    let event = before.subject.event().cloned();
    let topic = match before.symptom {
        Symptom::Ke1 => Topic::Ke1 { user: user?, device: Some(device?) },
        Symptom::Ke2 => {
            let sender = before.subject.sender().map(ToOwned::to_owned);
            Topic::Ke2 { user: user?, device: Some(device?), sender, live: None }
        }
        Symptom::Ke3 => Topic::Ke3(event?),
        Symptom::Ke4 => Topic::Ke4 { user: user? },
        Symptom::All => Topic::All { user: user?, device, event },
        Symptom::Fleet => match before.subject {
            About::Server(_) => Topic::Fleet,
            _ => return None,
        },
    };
    Some(Question { topic, span })
}

/// What clients had said of themselves: it goes into the question again.
pub fn client_said(before: &Evidence) -> Vec<Gathered> {
    before.answers(Need::Client).cloned().collect()
}

/// What is different now, in sentences for a person. A saved case has its evidence only.
pub fn what_changed(saved: &Evidence, now: (&Evidence, &Judgement)) -> Vec<String> {
    changed((saved, &judge(saved)), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_case_can_be_asked_again() {
        let mut asked = 0;
        for entry in std::fs::read_dir("tests/cases").unwrap() {
            let path = entry.unwrap().path().join("evidence.json");
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let evidence: Evidence = serde_json::from_str(&text).unwrap();
            let question = rerun(&evidence).unwrap_or_else(|| panic!("{}", path.display()));
            let (user, device, event) = evidence.subject.ids();
            assert_eq!(question.symptom(), evidence.symptom);
            assert_eq!(question.live(), None);
            match &question.topic {
                Topic::Ke3(subject) => assert_eq!(Some(&*subject.event), event),
                Topic::Ke2 { sender, .. } => {
                    assert_eq!((question.user(), question.device()), (user, device));
                    assert_eq!(sender.as_deref(), evidence.subject.sender());
                }
                Topic::Ke4 { .. } => assert_eq!(question.user(), user),
                Topic::Ke1 { .. } | Topic::All { .. } | Topic::Fleet => {
                    assert_eq!((question.user(), question.device()), (user, device));
                }
            }
            asked += 1;
        }
        assert!(asked > 30, "{asked}");
    }

    /// A case as 0.1.0 wrote it into its ledger.
    fn kept(symptom: &str, subject: &str) -> Evidence {
        let text = format!(
            r#"{{"schema":1,"symptom":"{symptom}","subject":{subject},
                "window":{{"from":"2026-11-22T12:00:00Z","to":"2026-11-22T12:30:00Z"}},
                "now":"2026-11-22T12:30:00Z","gathered":[]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_case_of_an_older_version_is_asked_again() {
        let user = || ruma::user_id!("@a:example.org").to_owned();
        let device = || Some("D \"1\"".into());
        let event = || kestrel_core::evidence::EventSubject {
            event: ruma::event_id!("$event").to_owned(),
            room: None,
            column: Some(138),
        };
        let of_device = r#"{"user":"@a:example.org","device":"D \"1\""}"#;
        for (symptom, subject, topic) in [
            ("ke1", of_device, Topic::Ke1 { user: user(), device: device() }),
            (
                "ke2",
                r#"{"user":"@a:example.org","device":"D \"1\"","sender":"@b:example.org"}"#,
                Topic::Ke2 {
                    user: user(),
                    device: device(),
                    sender: Some(ruma::user_id!("@b:example.org").to_owned()),
                    live: None,
                },
            ),
            ("ke3", r#"{"event":"$event","column":138}"#, Topic::Ke3(event())),
            ("ke4", r#"{"user":"@a:example.org"}"#, Topic::Ke4 { user: user() }),
            ("all", of_device, Topic::All { user: user(), device: device(), event: None }),
            (
                "all",
                r#"{"user":"@a:example.org","device":"D \"1\"",
                    "event":{"event":"$event","column":138}}"#,
                Topic::All { user: user(), device: device(), event: Some(event()) },
            ),
            ("fleet", r#"{"server":"example.org"}"#, Topic::Fleet),
        ] {
            let span = Span::Last(Duration::from_secs(30 * 60));
            assert_eq!(rerun(&kept(symptom, subject)), Some(Question { topic, span }), "{subject}");
        }
        assert_eq!(rerun(&kept("ke1", r#"{"user":"@a:example.org"}"#)), None);
    }
}
