//! A verdict → its remedies, best first, each judged as the branch judges it.

use super::remedy::Judgement::{Dangerous, Possible, Recommended, WillNotHelp};
use super::remedy::Remedy::{
    BringOnline, CheckAuthService, CloseSecondClient, LoopPrompt, OtkSurgery, PersistStorage,
    RaiseDelayLimit, Relogin, SdkPin, StoreReset, TabGuard,
};
use super::remedy::{Advice, Judgement, Remedy};
use super::verdict::{Certainty, Verdict, VerdictId};

/// A remedy, what the branch thinks of it, and why where that needs a word.
type Row = (Remedy, Judgement, Option<&'static str>);

const PIN: Option<&str> = Some("no version heals a device that has diverged");
const SURGERY: Option<&str> =
    Some("the new account stays refused by everyone who remembers the old one");
const LOGOUT_FIRST: Option<&str> = Some("only after a real logout");
const PREVENTS: Option<&str> = Some("afterwards, so that it does not come back");
const AFTER: Option<&str> = Some("once only one client is left");

/// The remedies of a verdict, best first.
pub fn advise(verdict: VerdictId) -> Vec<Advice> {
    let rows = match of_keys(verdict) {
        [] => of_calls(verdict),
        rows => rows,
    };
    (1..)
        .zip(rows)
        .map(|(rank, &(id, advice, why))| Advice {
            id,
            rank,
            advice,
            why,
            blast_radius: id.blast_radius(),
        })
        .collect()
}

/// KE-1: one-time keys.
fn of_keys(verdict: VerdictId) -> &'static [Row] {
    match verdict {
        VerdictId::OtkRecreated => &[
            (Relogin, Recommended, None),
            (StoreReset, Possible, LOGOUT_FIRST),
            (PersistStorage, Possible, PREVENTS),
            (LoopPrompt, Possible, PREVENTS),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, WillNotHelp, SURGERY),
        ],
        VerdictId::OtkConcurrent => &[
            (CloseSecondClient, Recommended, None),
            (Relogin, Recommended, AFTER),
            (TabGuard, Possible, PREVENTS),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkRolledBack | VerdictId::OtkSameAccount => &[
            (Relogin, Recommended, None),
            (StoreReset, Possible, LOGOUT_FIRST),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkForeignIdentity | VerdictId::OtkDiverged => &[
            (Relogin, Recommended, None),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkFlood => &[
            (
                SdkPin,
                Recommended,
                Some(
                    "js-sdk with #5503: crypto-wasm 18.5.0 and later without it uploads at every sync",
                ),
            ),
            (Relogin, Recommended, Some("after the fix")),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::OtkExhausted => &[
            (BringOnline, Recommended, None),
            (Relogin, Possible, Some("if it is online and still does not refill")),
            (OtkSurgery, WillNotHelp, Some("there is no row to edit")),
        ],
        VerdictId::OtkUploadLoop => &[(Relogin, Possible, None), (OtkSurgery, Dangerous, None)],
        VerdictId::AuthUnreachable => &[
            (CheckAuthService, Recommended, None),
            (Relogin, WillNotHelp, Some("nobody can log in while the service is down")),
        ],
        VerdictId::KeylessDevice => {
            &[(Relogin, Possible, Some("with a client that does encryption"))]
        }
        _ => &[],
    }
}

/// KE-2 and KE-4: calls. What is missing here has nothing to run for it.
fn of_calls(verdict: VerdictId) -> &'static [Row] {
    match verdict {
        VerdictId::MediaDeadIdentity => &[
            (Relogin, Recommended, None),
            (StoreReset, Possible, LOGOUT_FIRST),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, WillNotHelp, SURGERY),
        ],
        VerdictId::MediaLinkKe1 => &[
            (Relogin, Recommended, Some("it heals KE-1, and KE-2 with it")),
            (SdkPin, WillNotHelp, PIN),
            (OtkSurgery, Dangerous, None),
        ],
        VerdictId::MediaOtkExhausted => &[
            (BringOnline, Recommended, None),
            (Relogin, Possible, Some("if it is online and still does not refill")),
        ],
        VerdictId::MediaStaleDevice => {
            &[(Relogin, Possible, Some("of the sender's client: it fetches the devices anew"))]
        }
        VerdictId::MediaNotDrained => {
            &[(BringOnline, Recommended, Some("it then fetches what waits"))]
        }
        VerdictId::MediaValidation => {
            &[(SdkPin, Possible, Some("once the client's log names the validation"))]
        }
        VerdictId::DelayRateLimited => &[(RaiseDelayLimit, Recommended, None)],
        _ => &[],
    }
}

/// What a user may be told to do without an admin: it touches their own session, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safe {
    Relogin,
    CloseSecondClient,
}

/// The safe advice of a verdict: only of a proven one, and only where it is the first thing to do.
pub fn safe(verdict: &Verdict) -> Option<Safe> {
    let first = advise(verdict.id).into_iter().next()?;
    match (verdict.certainty, first.advice, first.id) {
        (Certainty::Proven, Recommended, Relogin) => Some(Safe::Relogin),
        (Certainty::Proven, Recommended, CloseSecondClient) => Some(Safe::CloseSecondClient),
        _ => None,
    }
}
