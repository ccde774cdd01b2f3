//! KE-2: media keys that do not arrive or do not decrypt. What waits in the inbox and for whose identity it
//! is encrypted decides most of it; the rest hangs on KE-1 or is the client's to say.
//!
//! Media keys travel encrypted: neither a row nor a line tells them from other Olm messages. An empty inbox
//! never means "not sent", because an online device's messages wait for milliseconds, and silence never
//! means "healthy".
//!
//! A device that the server does not know is `unknown-device`, unless 9533_debug shows messages to it being
//! dropped: then `media-stale-device` says the more useful truth, that senders still aim at it.

use super::capture_advice::captured;
use super::client_signs::{Signs, media_link, no_targets, silent_sfu, validation};
use crate::diagnose::auth_outage::AUTH_REACHABLE;
use crate::diagnose::device_removal::gone;
use crate::diagnose::inbox_contents::Mail;
use crate::diagnose::ke1;
use crate::diagnose::known_device::{device_row, identity_published, unknown_device};
use crate::diagnose::tree_walk::{self, Question, Ruling, Walk, database_how};
use crate::diagnose::verdict::{Answer, Certainty, Figure, Verdict, VerdictId};
use crate::evidence::client::Sign;
use crate::evidence::to_device::{Inbox, ToDeviceLog};
use crate::evidence::{Known, Need, counted, utc};

/// What the branch reads: KE-1's evidence, and the device's to-device messages.
pub(in crate::diagnose) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::ToDeviceLog,
    Need::AuthLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
    Need::Inbox,
    Need::Dehydrated,
];

/// The trunk: in the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[Question] = &[
    Question {
        name: "device-known",
        asked: "Does the server know this device?",
        rules: &[VerdictId::UnknownDevice, VerdictId::MediaStaleDevice],
        ask: device_known,
    },
    Question {
        name: "identity-published",
        asked: "Has the device published identity keys?",
        rules: &[VerdictId::KeylessDevice, VerdictId::AuthUnreachable],
        ask: identity_published,
    },
    Question {
        name: "messages-dropped",
        asked: "Did the server drop messages to it, as to a device that it does not know?",
        rules: &[VerdictId::MediaStaleDevice],
        ask: messages_dropped,
    },
    Question {
        name: "dead-identity",
        asked: "Is what is sent to it encrypted to another identity than its own?",
        rules: &[VerdictId::MediaDeadIdentity],
        ask: dead_identity,
    },
    Question {
        name: "ke1-link",
        asked: "Are its keys in conflict (KE-1), and does its client fail to open messages?",
        rules: &[VerdictId::MediaLinkKe1],
        ask: media_link,
    },
    Question {
        name: "keys-in-order",
        asked: "Has it run out of one-time keys, or far too many?",
        rules: &[VerdictId::MediaOtkExhausted],
        ask: keys_in_order,
    },
    Question {
        name: "sender-validated",
        asked: "Does its client refuse what reaches the right identity?",
        rules: &[VerdictId::MediaValidation],
        ask: validation,
    },
    AUTH_REACHABLE,
    Question {
        name: "inbox-drained",
        asked: "Does the device fetch what waits for it?",
        rules: &[VerdictId::MediaNotDrained],
        ask: inbox_drained,
    },
    Question {
        name: "media-silent",
        asked: "Did its client decrypt the media keys, and is still silent?",
        rules: &[VerdictId::MediaSfu],
        ask: silent_sfu,
    },
    Question {
        name: "sender-targets",
        asked: "Does the sender's client send its keys to nobody?",
        rules: &[VerdictId::MediaSender],
        ask: no_targets,
    },
    Question {
        name: "captured",
        asked: "Was a call watched, with the log and the client telling their sides?",
        rules: &[],
        ask: captured,
    },
];

/// What KE-1 says of the same evidence.
pub(super) fn ke1(walk: &Walk) -> Verdict {
    tree_walk::walk(walk.evidence, ke1::QUESTIONS)
}

/// The inbox, sorted.
pub(super) fn mail<'a>(walk: &Walk<'a>) -> Mail<'a> {
    let inbox = walk.evidence.inbox().value().copied();
    let keys = walk.known.keys.value().copied();
    Mail::sort(inbox, keys, walk.evidence.subject.sender())
}

fn device_known(walk: &mut Walk) -> Option<Ruling> {
    beside(walk);
    let others = unknown_device(walk)?;
    let log = walk.evidence.to_device_log();
    if let Some((dropped, certainty)) = log.value().and_then(dropped) {
        walk.decided(Answer::No, vec![dropped, others], &log);
        return Some((VerdictId::MediaStaleDevice, certainty));
    }
    walk.decided(Answer::No, vec![others], &walk.evidence.devices());
    walk.because.extend(gone(walk));
    if !log.value().is_some_and(|log| log.debug) {
        let why = "whether senders still aim at it, only 9533_debug tells; it does not write here";
        walk.findings.push(why.into());
    }
    Some((VerdictId::UnknownDevice, crate::diagnose::database_lag::no_device(walk)))
}

/// What the answer shows whatever the verdict.
fn beside(walk: &mut Walk) {
    let mail = mail(walk);
    if let Some((label, text)) = mail.figure() {
        walk.figures.push(Figure { label, text });
    }
    if mail.others > 0 {
        let others = counted(mail.others, "message");
        walk.findings.push(format!("{others} in the inbox from others are left out"));
    }
    let log = walk.evidence.to_device_log();
    let Some(log) = log.value() else { return };
    if let Some(span) = log.too_large {
        walk.findings.push(format!(
            "{} to it refused as too large (64 KiB), last {}",
            counted(span.count, "message"),
            utc(span.last)
        ));
    }
    if log.doubtful > 0 {
        let lines = counted(log.doubtful, "line");
        walk.findings.push(format!("{lines} left out: a client may have written them"));
    }
}

/// How many were dropped, and how far that can be believed.
fn dropped(log: &ToDeviceLog) -> Option<(String, Certainty)> {
    let span = log.dropped?;
    let many = counted(span.count, "message");
    let (first, last) = (utc(span.first), utc(span.last));
    let why = format!("9533_debug shows {many} to it dropped, {first} to {last}");
    Some(match log.dropped_in_text {
        true => (format!("{why}; the log is text, and that can be forged"), Certainty::Consistent),
        false => (format!("{why}; the log is JSON and cannot be forged"), Certainty::Proven),
    })
}

/// Of a device that is known, drops are past: it was logged out and came back under its id. They explain
/// what failed then, as long as nothing has been stored or waits since.
fn messages_dropped(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.evidence.to_device_log();
    let log = match &known {
        Known::Is(log, _) if log.debug => log,
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &known);
            return None;
        }
        _ => {
            walk.step(Answer::Unknown, "9533_debug does not write in this log", &known);
            return None;
        }
    };
    let (Some((why, certainty)), Some(span)) = (dropped(log), log.dropped) else {
        walk.step(Answer::No, "9533_debug shows none", &known);
        return None;
    };
    let stored = log.stored.is_some_and(|stored| stored.last > span.last);
    let Some(keys) = walk.known.keys.value() else {
        let uploads = walk.known.log.value().and_then(|log| log.accepted.uploads);
        if stored || uploads.is_some_and(|uploads| uploads.last > span.last) {
            walk.step(Answer::No, "but not any more", &known);
            walk.findings.push(format!("{why}; the log shows the device there again since"));
            return None;
        }
        // Nobody could say whether the device is there: the log alone speaks.
        walk.decided(Answer::Yes, vec![why], &known);
        return Some((VerdictId::MediaStaleDevice, certainty));
    };
    let read = walk.evidence.devices().value().is_some();
    if read && walk.evidence.database_behind().is_none() && device_row(walk).is_none() {
        // Keys without a row in devices, as no Synapse leaves them: it drops what is sent there.
        walk.decided(Answer::Yes, vec![why, "it has no row in devices".into()], &known);
        return Some((VerdictId::MediaStaleDevice, certainty));
    }
    let waits = walk.evidence.inbox().value().is_some_and(|inbox| !inbox.rows.is_empty());
    let since = format!("the device is there again since {}", utc(keys.added));
    if keys.added <= span.last || stored || waits {
        walk.step(Answer::No, "but not any more", &known);
        walk.findings.push(format!("{why}; {since}"));
        return None;
    }
    walk.decided(Answer::Yes, vec![why, since], &known);
    Some((VerdictId::MediaStaleDevice, Certainty::Consistent))
}

fn dead_identity(walk: &mut Walk) -> Option<Ruling> {
    let inbox = walk.evidence.inbox();
    let mail = mail(walk);
    if mail.dead.is_empty() {
        return dead_by_client(walk, &mail);
    }
    let (dead, right) = (mail.dead.len() as u64, mail.right.len());
    let mut because = vec![format!(
        "{} for {}, and the device's identity is {}",
        counted(dead, "message"),
        mail.dead_keys(),
        mail.own_key()
    )];
    if right > 0 {
        because.push(format!("{right} for its own identity"));
    }
    if mail.caught_up() {
        let why = "each of these senders has used the present identity since: what was sent before is lost";
        walk.findings.push(why.into());
    }
    let ke1 = ke1(walk);
    let recreated = ke1.id == VerdictId::OtkRecreated;
    if recreated {
        because.push("KE-1: its account was made anew under the same device id".into());
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
        let how = "ask about one sender: `!ke2 @user:server DEVICE @sender:server`";
        walk.missing("whether that sender is wrong or the identity changed", how.into());
    } else if !proven {
        let how = "one sender alone may have made the key up: `!ke1` on this device, or what another \
                   sender's messages are encrypted for";
        walk.missing("a second witness", how.into());
    }
    walk.decided(Answer::Yes, because, &inbox);
    let certainty = if proven { Certainty::Proven } else { Certainty::Consistent };
    Some((VerdictId::MediaDeadIdentity, certainty))
}

/// Nothing that waits is for another identity: the client may have met such messages.
fn dead_by_client(walk: &mut Walk, mail: &Mail) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let count = signs.count(Sign::NoCiphertextForUs);
    let recreated = ke1(walk).id == VerdictId::OtkRecreated;
    if count > 0 && recreated {
        let because = vec![
            format!("its client met {} without a part for its key", counted(count, "message")),
            "KE-1: its account was made anew under the same device id".to_owned(),
        ];
        walk.decided(Answer::Yes, because, &signs.known);
        return Some((VerdictId::MediaDeadIdentity, Certainty::Consistent));
    }
    if count > 0 {
        let many = counted(count, "message");
        let ke1 = match walk.known.keys.unknown() {
            Some(_) => "whether its account is new could not be tested (KE-1)",
            None => "KE-1 does not show a new account",
        };
        let why = format!("its client met {many} without a part for its key, and {ke1}");
        walk.findings.push(why);
        if walk.known.keys.unknown().is_some() {
            let how = "the database: with the device's identity the signature test tells whether its account was \
                       made anew; then these messages were for the dead one";
            walk.missing("KE-1's signature test", how.into());
        }
    }
    let inbox = walk.evidence.inbox();
    let (answer, because) = match &inbox {
        Known::Unknown(why, _) => (Answer::Unknown, why.clone()),
        Known::None(_) => (Answer::Unknown, "nothing waits at this moment".to_owned()),
        Known::Is(inbox, _) if inbox.unread => {
            (Answer::Unknown, "whom it is for could not be read".to_owned())
        }
        Known::Is(..) if mail.right.is_empty() => {
            (Answer::Unknown, "nothing seen tells whom it is for".to_owned())
        }
        Known::Is(..) => {
            let right = counted(mail.right.len() as u64, "message");
            (Answer::No, format!("{right} for its own identity {}", mail.own_key()))
        }
    };
    walk.step(answer, because, &inbox);
    None
}

fn keys_in_order(walk: &mut Walk) -> Option<Ruling> {
    let verdict = ke1(walk);
    let stored = &walk.known.stored;
    if !matches!(verdict.id, VerdictId::OtkExhausted | VerdictId::OtkFlood) {
        let answer =
            if verdict.id == VerdictId::Inconclusive { Answer::Unknown } else { Answer::No };
        walk.step(answer, format!("KE-1 says {}", verdict.id.name()), stored);
        return None;
    }
    let (name, sure) = (verdict.id.name(), verdict.certainty.words());
    let mut because = vec![format!("KE-1: {name} ({sure})")];
    because.extend(verdict.because);
    walk.decided(Answer::Yes, because, stored);
    Some((VerdictId::MediaOtkExhausted, Certainty::Consistent))
}

fn inbox_drained(walk: &mut Walk) -> Option<Ruling> {
    let inbox = walk.evidence.inbox();
    let mail = mail(walk);
    if mail.right.is_empty() {
        let answer = if inbox.unknown().is_some() { Answer::Unknown } else { Answer::Yes };
        walk.step(answer, "nothing for its own identity waits", &inbox);
        return None;
    }
    match walk.evidence.dehydrated() {
        Known::Is(false, _) => {}
        Known::Is(true, _) | Known::None(_) => {
            let why = "a dehydrated device: what is sent to it waits until somebody rehydrates it";
            walk.step(Answer::Unknown, why, &inbox);
            walk.because.push(why.into());
            return None;
        }
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &inbox);
            walk.missing("the database", database_how(&why));
            return None;
        }
    }
    let fetched = |inbox: &Inbox| inbox.again.is_some_and(|again| !again.stands);
    if inbox.value().copied().is_some_and(fetched) {
        walk.step(Answer::Yes, "what waited was fetched meanwhile", &inbox);
        return None;
    }
    if !crate::diagnose::database_lag::current(walk) {
        // A replica that stands still shows every message as waiting.
        let why = "the database is behind: what it shows as waiting may be fetched";
        walk.step(Answer::Unknown, why, &inbox);
        return None;
    }
    let Some(because) = undrained(walk) else {
        let why = "it was not seen to grow while the device is away";
        walk.step(Answer::Unknown, why, &inbox);
        return None;
    };
    walk.decided(Answer::No, because, &inbox);
    Some((VerdictId::MediaNotDrained, Certainty::Consistent))
}

/// Why the device is taken not to fetch what waits for it.
pub(super) fn undrained(walk: &Walk) -> Option<Vec<String>> {
    walk.evidence.dehydrated().value().filter(|dehydrated| !**dehydrated)?;
    let log = walk.evidence.to_device_log();
    mail(walk).undrained(device_row(walk), log.value(), walk.evidence.now)
}
