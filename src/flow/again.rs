//! A kept case → the command that asks the same question now, and what changed between the two.

use std::time::Duration;

use kestrel_core::command::{Command, Ke1, Ke2, Ke3, Ke4, LONGEST_DAYS, Span, Triage};
use kestrel_core::diagnose::{Judgement, changed, judge};
use kestrel_core::evidence::{About, EventSubject, Evidence, Gathered, Need, Symptom};

/// The same question now: about the same subject, over a window of the same length. `None` where the case
/// does not say whom it was about. A live watch is not repeated: it would need a call.
pub fn again(before: &Evidence) -> Option<Command> {
    let longest = Duration::from_secs(LONGEST_DAYS * 24 * 60 * 60);
    let length = before.window.to.duration_since(before.window.from);
    let length = Duration::try_from(length).unwrap_or_default().min(longest);
    let span = if length.is_zero() { Span::Unsaid } else { Span::Last(length) };
    let (user, device, _) = before.subject.ids();
    let (user, device) = (user.map(ToOwned::to_owned), device.map(ToOwned::to_owned));
    let sender = before.subject.sender().map(ToOwned::to_owned);
    let event = before.subject.event().map(asked);
    Some(match before.symptom {
        Symptom::Ke1 => Command::Ke1(Ke1 { user: user?, device: Some(device?), span }),
        Symptom::Ke2 => {
            Command::Ke2(Ke2 { user: user?, device: Some(device?), sender, span, live: None })
        }
        Symptom::Ke3 => Command::Ke3(event?),
        Symptom::Ke4 => Command::Ke4(Ke4 { user: user?, span }),
        Symptom::All => Command::Triage(Triage { user: user?, device, event, span }),
        Symptom::Fleet => match &before.subject {
            About::Server(_) => Command::Fleet(span),
            _ => return None,
        },
    })
}

/// What clients had said of themselves: it goes into the question again.
pub fn client_said(before: &Evidence) -> Vec<Gathered> {
    before.answers(Need::Client).cloned().collect()
}

/// What is different now, in sentences for a person. A kept case has its evidence only.
pub fn what_changed(kept: &Evidence, now: (&Evidence, &Judgement)) -> Vec<String> {
    changed((kept, &judge(kept)), now)
}

fn asked(subject: &EventSubject) -> Ke3 {
    Ke3 { event: subject.event.clone(), room: subject.room.clone(), column: subject.column }
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
            let command = again(&evidence).unwrap_or_else(|| panic!("{}", path.display()));
            let (user, device, event) = evidence.subject.ids();
            match command {
                Command::Ke1(typed) => {
                    assert_eq!((Some(&*typed.user), typed.device.as_deref()), (user, device));
                }
                Command::Ke2(typed) => {
                    assert_eq!((Some(&*typed.user), typed.device.as_deref()), (user, device));
                    assert_eq!(typed.sender.as_deref(), evidence.subject.sender());
                }
                Command::Ke3(typed) => assert_eq!(Some(&*typed.event), event),
                Command::Ke4(typed) => assert_eq!(Some(&*typed.user), user),
                Command::Triage(typed) => {
                    assert_eq!((Some(&*typed.user), typed.device.as_deref()), (user, device));
                }
                Command::Fleet(_) => assert_eq!(evidence.symptom, Symptom::Fleet),
                other => panic!("{other:?}"),
            }
            asked += 1;
        }
        assert!(asked > 30, "{asked}");
    }
}
