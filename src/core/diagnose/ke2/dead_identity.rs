//! KE-2 asks whether what is sent to the device is encrypted to another identity than its own.

use super::client_signs::Signs;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::inbox_contents::InboxContents;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::client::Sign;
use crate::evidence::{Known, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "dead-identity",
    asked: "Are messages to the device encrypted for an identity other than its own?",
    rules: &[VerdictId::MediaDeadIdentity],
    ask: dead_identity,
};

fn dead_identity(walk: &mut Walk) -> Option<Ruling> {
    let inbox = walk.evidence.inbox();
    let mail = &walk.known.inbox;
    if mail.dead.is_empty() {
        return dead_by_client(walk, mail);
    }
    let dead = mail.dead.len() as u64;
    let right = mail.right.len();
    let mut because = vec![format!(
        "{} for {}, but the device's identity is {}",
        counted(dead, "message"),
        mail.dead_keys(),
        mail.own_key()
    )];
    if right > 0 {
        because.push(format!("{right} of the messages are for its own identity"));
    }
    if mail.caught_up() {
        let why = "each of these senders has used the current identity since then; what they sent before is lost";
        walk.findings.push(why.into());
    }
    let ke1 = &walk.known.ke1;
    let recreated = ke1.id == VerdictId::OtkRecreated;
    if recreated {
        because.push(
            "KE-1 found that the client created a new account under the same device ID".into(),
        );
    }
    // For which key a message is, its sender chooses: one sender may have made the key up, however often
    // it writes. KE-1 is another witness; so is a sender of another account. Where somebody knows the
    // device's own identity, only a proven KE-1 outweighs that.
    let server = walk.evidence.device().map(|subject| subject.user.server_name());
    let agreed = server.is_some_and(|server| mail.agreed(server));
    let proven = match right {
        0 => recreated || agreed,
        _ => recreated && ke1.certainty == Certainty::Proven,
    };
    if !proven && right > 0 && walk.evidence.subject.sender().is_none() {
        let how = "check one sender with `!ke2 @user:server DEVICE @sender:server`";
        walk.missing("a check of one sender", how.into());
    } else if !proven {
        let how = "a single sender may have invented the key. Run `!ke1` for this device, or check what another \
                   sender's messages are encrypted for";
        walk.missing("a second source", how.into());
    }
    walk.decided(Answer::Yes, because, &inbox);
    let certainty = if proven { Certainty::Proven } else { Certainty::Consistent };
    Some((VerdictId::MediaDeadIdentity, certainty))
}

/// Nothing that waits is for another identity: the client may have met such messages.
fn dead_by_client(walk: &mut Walk, mail: &InboxContents) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let count = signs.count(Sign::NoCiphertextForUs);
    let recreated = walk.known.ke1.id == VerdictId::OtkRecreated;
    if count > 0 && recreated {
        let because = vec![
            format!(
                "its client received {} with nothing encrypted for its key",
                counted(count, "message")
            ),
            "KE-1 found that the client created a new account under the same device ID".to_owned(),
        ];
        walk.decided(Answer::Yes, because, &signs.known);
        return Some((VerdictId::MediaDeadIdentity, Certainty::Consistent));
    }
    if count > 0 {
        let many = counted(count, "message");
        let ke1 = match walk.known.keys.unknown() {
            Some(_) => "KE-1 could not test whether its account is new",
            None => "KE-1 does not show a new account",
        };
        let why =
            format!("its client received {many} with nothing encrypted for its key, and {ke1}");
        walk.findings.push(why);
        if walk.known.keys.unknown().is_some() {
            let how = "give Kestrel the database: the signature test shows whether the client created a new account. If it did, \
                       the messages that its client could not decrypt were for the old one";
            walk.missing("KE-1's signature test", how.into());
        }
    }
    let inbox = walk.evidence.inbox();
    let (answer, because) = match &inbox {
        Known::Unknown(why, _) => (Answer::Unknown, why.clone()),
        Known::None(_) => (Answer::Unknown, "no message is waiting at the moment".to_owned()),
        Known::Is(inbox, _) if inbox.unread => {
            (Answer::Unknown, "which identity they are for could not be read".to_owned())
        }
        Known::Is(..) if mail.right.is_empty() => {
            (Answer::Unknown, "nothing that was read shows which identity they are for".to_owned())
        }
        Known::Is(..) => {
            let right = counted(mail.right.len() as u64, "message");
            (Answer::No, format!("Kestrel saw {right} for its own identity {}", mail.own_key()))
        }
    };
    walk.step(answer, because, &inbox);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_recipient_s_key_tells_for_which_identity_it_is() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-dead-identity--evicted"),
            (Answer::Yes, Some(VerdictId::MediaDeadIdentity))
        );
        assert_eq!(
            answer("ke2--media-dead-identity--no-part"),
            (Answer::Yes, Some(VerdictId::MediaDeadIdentity))
        );
        assert_eq!(answer("ke2--media-not-drained--away"), (Answer::No, None));
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Unknown, None));
    }
}
