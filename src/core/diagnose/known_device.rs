//! The first two questions of KE-1 and KE-2: whether the server knows the device, and its identity.

use super::auth_outage::uploads_blocked;
use super::certainty::Certainty;
use super::database_lag;
use super::device_removal::lost_its_keys;
use super::findings;
use super::tree_walk::{Ruling, TreeQuestion, Walk, database_how};
use super::verdict::Answer;
use super::verdict_id::VerdictId;
use crate::evidence::{DeviceRow, Known, utc};

/// Answers where the server knows the device, and where nobody could say. Where it knows none, that is left
/// to the caller to answer: here is what the user has instead.
pub(super) fn unknown_device(walk: &mut Walk) -> Option<String> {
    let devices = walk.evidence.devices();
    if device_row(walk).is_some() || walk.known.keys.value().is_some() {
        walk.step(
            Answer::Yes,
            "it has a row in the table `devices`, or it has identity keys",
            &devices,
        );
        return None;
    }
    if let Some(why) = devices.unknown().or(walk.known.keys.unknown()) {
        walk.step(Answer::Unknown, why, &devices);
        walk.missing("the database", database_how(why));
        return None;
    }
    if let Some(why) = database_lag::why_behind(walk) {
        walk.step(Answer::Unknown, why, &devices);
        return None;
    }
    Some(findings::others(devices.value().copied().unwrap_or_default()))
}

/// The device's row; cross-signing keys have rows too, and are none.
pub(super) fn device_row<'a>(walk: &Walk<'a>) -> Option<&'a DeviceRow> {
    let device = walk.evidence.device().map(|subject| &subject.device);
    let rows = walk.evidence.devices().value().copied().unwrap_or_default();
    rows.iter().find(|row| !row.hidden && Some(&row.device) == device)
}

/// Asked before all else that needs the device's keys.
pub(super) const IDENTITY_PUBLISHED: TreeQuestion = TreeQuestion {
    name: "identity-published",
    asked: "Has the device published identity keys?",
    rules: &[VerdictId::KeylessDevice, VerdictId::AuthUnreachable],
    ask: identity_published,
};

fn identity_published(walk: &mut Walk) -> Option<Ruling> {
    let keys = &walk.known.keys;
    match keys {
        Known::Is(row, _) => {
            let because = format!("this identity was published at {}", utc(row.added));
            walk.step(Answer::Yes, because, keys);
            None
        }
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), keys);
            walk.missing("the database", database_how(why));
            None
        }
        Known::None(_) => {
            if device_row(walk).is_none() {
                // Nobody could say whether the device is there, and that is noted already.
                walk.step(Answer::Unknown, "it is not known whether the device exists", keys);
                return None;
            }
            if let Some(why) = database_lag::why_no_identity_yet(walk) {
                walk.step(Answer::Unknown, why, keys);
                return None;
            }
            walk.step(Answer::No, "e2e_device_keys_json has no row", keys);
            let why = "the device has a row in devices and none in e2e_device_keys_json";
            walk.because.push(why.into());
            let lost = lost_its_keys(walk);
            if lost.is_empty()
                && let Some(ruling) = uploads_blocked(walk)
            {
                return Some(ruling);
            }
            walk.because.extend(lost);
            Some((VerdictId::KeylessDevice, Certainty::Proven))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_device_without_keys_may_be_one_that_cannot_upload() {
        let answer = |case| answer_of(case, &IDENTITY_PUBLISHED);
        assert_eq!(
            answer("ke1--keyless-device--keyless"),
            (Answer::No, Some(VerdictId::KeylessDevice))
        );
        assert_eq!(
            answer("ke1--auth-unreachable--mas-down-first-start"),
            (Answer::No, Some(VerdictId::AuthUnreachable))
        );
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::Yes, None));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::Unknown, None));
    }
}
