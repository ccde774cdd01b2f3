//! KE-1 asks whether one account made both keys: two clients on one store, or a store put back.

use super::corroboration::{confirmation, once_by_report, order_wanted, source};
use super::crossed_uploads::crossed;
use super::refused_groups::strongest_group;
use super::upload_order::{UploadOrder, upload_order};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::refusals::Pattern;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "same-account",
    asked: "Do the stored and the rejected key come from the same account?",
    rules: &[VerdictId::OtkConcurrent, VerdictId::OtkRolledBack, VerdictId::OtkSameAccount],
    ask: same_account,
};

fn same_account(walk: &mut Walk) -> Option<Ruling> {
    let none = "no rejected upload in which both keys pass the signature test";
    let group = strongest_group(walk, Pattern::SameAccount, none)?;
    let known = walk.known;
    let log = &known.reported;
    if once_by_report(walk) {
        return None;
    }
    if crossed(walk, log) {
        walk.step(Answer::Yes, "the rejection was not repeated", &walk.known.log);
        return None;
    }
    let order = upload_order(&walk.refusals, log);
    let mut because = vec![
        "the stored and the rejected key were both signed by the device's current account"
            .to_owned(),
    ];
    because.extend(confirmation(walk, &group));
    match known.log.value() {
        Some(_) => because.push(order.words(&walk.refusals, log)),
        None => order_wanted(walk),
    }
    walk.decided(Answer::Yes, because, &source(walk, &group));
    let once = !walk.refusals.repeated() || group.refused.reported;
    Some(match order {
        UploadOrder::TwoClients { .. } => (VerdictId::OtkConcurrent, Certainty::Consistent),
        UploadOrder::Rollback => (VerdictId::OtkRolledBack, Certainty::Consistent),
        UploadOrder::Unclear if group.proves() && !once => {
            (VerdictId::OtkSameAccount, Certainty::Proven)
        }
        UploadOrder::Unclear => (VerdictId::OtkSameAccount, Certainty::Consistent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_order_of_uploads_parts_the_causes() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-concurrent--two-clients"),
            (Answer::Yes, Some(VerdictId::OtkConcurrent))
        );
        assert_eq!(
            answer("ke1--otk-rolled-back--rollback"),
            (Answer::Yes, Some(VerdictId::OtkRolledBack))
        );
        assert_eq!(
            answer("ke1--otk-same-account--twice"),
            (Answer::Yes, Some(VerdictId::OtkSameAccount))
        );
        assert_eq!(answer("ke1--otk-race--race"), (Answer::Yes, None));
        assert_eq!(answer("ke1--otk-diverged--unsigned"), (Answer::No, None));
    }
}
