//! KE-4: delayed events whose restarts fail, so that a call's membership ends. The log tells what the
//! homeserver answered and how fast; the client is asked last.

use super::client_side::{client_timeouts, restarts_missing};
use super::delayed_events::{Delays, How};
use super::restart_figures::{disagreement, endpoints, figures};
use super::slow_restarts;
use super::timeout_minutes::{Meanwhile, Timeouts};
use crate::diagnose::auth_outage::{AUTH_REACHABLE, restarts_failed};
use crate::diagnose::tree_walk::{Question, Ruling, Walk, database_how};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::delay::Made;
use crate::evidence::key_log::Format;
use crate::evidence::{Need, counted, utc};

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] =
    &[Need::DelayLog, Need::AuthLog, Need::DelayedEvents, Need::SentDelays, Need::Metrics];

/// The trunk: in the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[Question] = &[
    Question {
        name: "restarts-known",
        asked: "Which restarts of delayed events are the user's?",
        rules: &[],
        ask: restarts_known,
    },
    Question {
        name: "restarts-limited",
        asked: "Were they turned away as too many?",
        rules: &[VerdictId::DelayRateLimited],
        ask: restarts_limited,
    },
    Question {
        name: "restarts-failed",
        asked: "Were they refused with another status, as 401 or 503?",
        rules: &[VerdictId::AuthUnreachable],
        ask: restarts_failed,
    },
    Question {
        name: "restarts-slow",
        asked: "Were they answered later than a client waits (2 s)?",
        rules: &[VerdictId::DelayHomeserverSlow],
        ask: restarts_slow,
    },
    Question {
        name: "restarts-gone",
        asked: "Were the delayed events gone?",
        rules: &[VerdictId::DelayGone],
        ask: restarts_gone,
    },
    Question {
        name: "delays-off",
        asked: "Are delayed events off on this homeserver?",
        rules: &[VerdictId::DelayOff],
        ask: delays_off,
    },
    AUTH_REACHABLE,
    Question {
        name: "restarts-missing",
        asked: "Is a delayed event left without any restart, while the client is there?",
        rules: &[VerdictId::DelayNotArriving],
        ask: restarts_missing,
    },
    Question {
        name: "client-timeouts",
        asked: "Does the client report timeouts all the same?",
        rules: &[VerdictId::DelayClient, VerdictId::DelayHealthy],
        ask: client_timeouts,
    },
];

/// The user's delayed events, put together.
pub(in crate::diagnose) fn delays<'a>(walk: &Walk<'a>) -> Delays<'a> {
    Delays::of(walk.evidence, &walk.known.delays)
}

fn restarts_known(walk: &mut Walk) -> Option<Ruling> {
    let delays = delays(walk);
    let metrics = walk.evidence.metrics();
    walk.figures.extend(figures(&delays, metrics.value().copied()));
    walk.more_figures.extend(delays.log.into_iter().flat_map(endpoints));
    if let Some((log, metrics)) = delays.log.zip(metrics.value()) {
        walk.findings.extend(disagreement(log, metrics));
    }
    let known = walk.known;
    if let Some(why) = known.delays.unknown() {
        walk.step(Answer::Unknown, why, &known.delays);
        let how = "give Kestrel the log of the process that serves /delayed_events";
        let timeouts = Timeouts::of(walk);
        let wanted = timeouts.wanted().map_or_else(String::new, |wanted| format!("{wanted}: "));
        if !wanted.is_empty() {
            let many = counted(timeouts.count, "timeout");
            walk.findings.push(format!(
                "the client reports {many}: its own network or the homeserver, only the server's log of \
                 these minutes can tell"
            ));
        }
        walk.missing("the log", format!("{wanted}{how} ({why})"));
        return None;
    }
    if let Some(why) = walk.evidence.delayed_events().unknown() {
        walk.missing("the database", database_how(why));
    }
    let ways = [How::Pending, How::Sent, How::Authenticated, How::Address];
    let told: Vec<_> = (ways.into_iter())
        .filter_map(|way| {
            let count = delays.own.iter().filter(|(_, how)| *how == way).count();
            (count > 0)
                .then(|| format!("{} {}", counted(count as u64, "delayed event"), way.words()))
        })
        .collect();
    let others = delays.log.map_or(0, |log| log.handled.len()) - delays.own.len();
    match told.is_empty() {
        false => walk.step(Answer::Yes, told.join(", "), &known.delays),
        true => {
            let why = match others {
                0 => "the log has no request on any delayed event".to_owned(),
                _ => format!(
                    "{} in the log, and none can be told to be the user's",
                    counted(others as u64, "delayed event")
                ),
            };
            walk.step(Answer::No, why, &known.delays);
        }
    }
    fates(walk, &delays);
    None
}

/// What became of the user's leaves, and what is true of others.
fn fates(walk: &mut Walk, delays: &Delays) {
    let fired = delays.fired();
    if let Some(last) = fired.iter().filter_map(|sent| sent.sent).max() {
        walk.findings.push(format!(
            "{} fired, the last {}: the user left the call for everybody else",
            counted(fired.len() as u64, "delayed leave"),
            utc(last)
        ));
    }
    if delays.restarted_elsewhere() > 0 {
        walk.missing(
            "another process's log",
            "the database has a delayed event restarted that no log here shows: give Kestrel the log of \
             every worker that serves /delayed_events"
                .into(),
        );
    }
    let Some(log) = delays.log else { return };
    let own = delays.restarts();
    let (slow, limited) = (log.restarts.slow.count(), log.restarts.limited);
    for (all, own, what) in [
        (slow, own.slow.count(), "took 2 s or longer"),
        (limited, own.limited, "were turned away as too many"),
    ] {
        if all > own && delays.widened().is_none() {
            walk.findings.push(format!(
                "restarts of others, or of nobody known: {} {what}, of {} in all",
                all - own,
                log.restarts.latency.count
            ));
        }
    }
    if log.doubtful > 0 {
        walk.findings.push(format!(
            "{} left out: each stands behind a client's text, which may have written it",
            counted(log.doubtful, "line")
        ));
    }
}

/// Proven where a log that cannot be forged shows it of an event that is surely the user's.
fn sure(proven: bool) -> Certainty {
    if proven { Certainty::Proven } else { Certainty::Consistent }
}

/// Whether there is a log to ask; without one the question stays open.
pub(in crate::diagnose) fn is_read(walk: &mut Walk) -> bool {
    let known = walk.known;
    if let Some(why) = known.delays.unknown() {
        walk.step(Answer::Unknown, why, &known.delays);
    }
    known.delays.unknown().is_none()
}

fn restarts_limited(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let restarts = delays.restarts();
    let known = walk.known;
    if let Some((address, limited)) = delays.limited_address().and_then(|a| Some((a, a.limited?))) {
        let why = format!(
            "{} on delayed events from the user's address {} answered with 429 (rc_delayed_event_mgmt)",
            counted(limited.count, "request"),
            if limited.count == 1 { "was" } else { "were" },
        );
        let shared = format!(
            "none can be told to be the user's, but the allowance is the address's, and {} share it",
            counted(address.delays.len() as u64, "delayed event")
        );
        walk.decided(Answer::Yes, vec![why, shared], &known.delays);
        return Some((VerdictId::DelayRateLimited, Certainty::Consistent));
    }
    if restarts.limited == 0 {
        walk.step(Answer::No, "no 429 among them", &known.delays);
        return None;
    }
    let mut reasons = vec![format!(
        "{} of {} of the user's restarts were answered with 429 (rc_delayed_event_mgmt)",
        restarts.limited, restarts.latency.count
    )];
    reasons.extend(sharing(&delays));
    walk.decided(Answer::Yes, reasons, &known.delays);
    also_slow(walk, &delays);
    also_gone(walk, &delays);
    Some((VerdictId::DelayRateLimited, sure(delays.proves(|handled| handled.restarts.limited > 0))))
}

/// Who else restarts from the same address: before Synapse 1.156 they share one allowance.
fn sharing(delays: &Delays) -> Option<String> {
    let log = delays.log?;
    let from = |address: &String| delays.own.iter().any(|(own, _)| own.addresses.contains(address));
    let shared = (log.addresses.iter())
        .filter(|known| known.limited.is_some() && from(&known.address))
        .max_by_key(|known| known.delays.len())?;
    let own = delays.own.iter().filter(|(own, _)| shared.delays.contains(&own.id)).count();
    let more = shared.delays.len().saturating_sub(own);
    let authenticated = delays.own.iter().any(|(own, _)| !own.users.is_empty());
    Some(match (authenticated, more) {
        (true, _) => "the requests are authenticated, so the allowance is this user's own".into(),
        (false, 0) => {
            "nobody else restarts from that address: the client alone asks too often".into()
        }
        (false, more) => format!(
            "the allowance is the address's, and {} share it",
            counted(more as u64, "more delayed event")
        ),
    })
}

fn restarts_slow(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let delays = delays.widened().unwrap_or(delays);
    let known = walk.known;
    let mut reasons = slow_restarts::reasons(&delays);
    let meanwhile = delays.log.map(|log| Timeouts::of(walk).meanwhile(log));
    match meanwhile {
        Some(Meanwhile::Slow(why)) if !reasons.is_empty() => reasons.push(why),
        Some(Meanwhile::Slow(why)) if delays.own.is_empty() && was_there(&delays) => {
            // Two witnesses of one minute, though nothing ties the restarts to the user.
            let whose = "none can be told to be the user's, whose client timed out meanwhile";
            walk.decided(Answer::Yes, vec![why, whose.into()], &known.delays);
            return Some((VerdictId::DelayHomeserverSlow, Certainty::Consistent));
        }
        Some(Meanwhile::Fast(why)) if !reasons.is_empty() => {
            walk.findings.push(format!("but {why}"))
        }
        _ => {}
    }
    if reasons.is_empty() {
        let restarts = delays.restarts();
        let longest = super::restart_figures::seconds(restarts.latency.max());
        let why = match restarts.latency.count {
            0 => "none is known to be the user's".to_owned(),
            _ if delays.are_anyones() => format!("by anybody, the longest took {longest}"),
            _ => format!("the longest took {longest}"),
        };
        walk.step(Answer::No, why, &known.delays);
        return None;
    }
    walk.decided(Answer::Yes, reasons, &known.delays);
    also_gone(walk, &delays);
    let felt = |id: &String| delays.stalls().iter().any(|stall| stall.felt.contains(id));
    let proven = delays.proves(|own| own.restarts.slow.count() > 0 || felt(&own.id));
    Some((VerdictId::DelayHomeserverSlow, sure(proven)))
}

/// Whether the log has any other request of the user's.
fn was_there(delays: &Delays) -> bool {
    delays.log.is_some_and(|log| log.others.is_some())
}

fn restarts_gone(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let (gone, known) = (delays.gone(), walk.known);
    if delays.unexplained() > 0 {
        let why = "whether the event fired or was cancelled only the database can tell";
        walk.step(Answer::Unknown, why, &walk.evidence.sent_delays());
        walk.missing("the database", database_how("delayed events that were sent"));
        return None;
    }
    if gone.is_empty() {
        let all: u64 = delays.restarts().gone;
        let why = match all {
            0 => "no 404 among them".to_owned(),
            all => format!("{}: what the end of a call leaves behind", counted(all, "404")),
        };
        walk.step(Answer::No, why, &known.delays);
        return None;
    }
    let fired = delays.fired();
    let fired = gone.iter().filter(|(own, _)| fired.iter().any(|sent| sent.id == own.id)).count();
    let count: u64 = gone.iter().map(|(_, count)| count).sum();
    let mut reasons = vec![format!(
        "{} of {} answered with 404",
        counted(count, "restart"),
        counted(gone.len() as u64, "delayed event")
    )];
    reasons.push(match (fired, delays.sent.is_some()) {
        (0, true) => "none of them had fired: cancelled, sent by hand, or never known here".into(),
        (0, false) => "whether they fired the database could not say".into(),
        (fired, _) => format!("{fired} had fired: the leave was sent before its restart came"),
    });
    walk.decided(Answer::Yes, reasons, &known.delays);
    let proven = delays.proves(|own| gone.iter().any(|(other, _)| other.id == own.id));
    Some((VerdictId::DelayGone, sure(proven)))
}

fn also_slow(walk: &mut Walk, delays: &Delays) {
    walk.findings.splice(0..0, slow_restarts::reasons(delays));
}

fn also_gone(walk: &mut Walk, delays: &Delays) {
    let count: u64 = delays.gone().iter().map(|(_, count)| count).sum();
    if count > 0 {
        walk.findings
            .push(format!("{} answered with 404: the event was gone", counted(count, "restart")));
    }
}

fn delays_off(walk: &mut Walk) -> Option<Ruling> {
    let delays = delays(walk);
    let rows = walk.evidence.delayed_events();
    let made = delays.log.map_or(&[][..], |log| &log.made);
    let any_made = made.iter().any(|made| made.status == 200);
    if delays.absent && any_made {
        let why = "the database has no table delayed_events, and the log shows delayed events made: is it this \
                   server's database?";
        walk.findings.push(why.into());
    } else if delays.absent && crate::diagnose::database_lag::current(walk) {
        let why = "this Synapse has no table delayed_events: it is older than delayed events";
        walk.decided(Answer::Yes, vec![why.into()], &rows);
        return Some((VerdictId::DelayOff, Certainty::Proven));
    }
    let known = walk.known;
    let refused: Vec<&Made> = made.iter().filter(|made| made.unsupported).collect();
    let last_good = made.iter().filter(|made| made.status == 200).map(|made| made.at).max();
    // A server that took one later has them by now.
    let Some(last) = refused.last().filter(|last| last_good.is_none_or(|good| good < last.at))
    else {
        let answer = match (last_good, delays.rows.is_empty(), known.delays.unknown()) {
            (None, true, Some(why)) => (Answer::Unknown, why),
            (None, true, None) => (Answer::Unknown, "nobody tried to make one in the log"),
            _ => (Answer::No, "the user made one"),
        };
        walk.step(answer.0, answer.1, &known.delays);
        return None;
    };
    let why = format!(
        "{} to make one answered with 400 \"Delayed events are not supported on this server\", the last \
         {}: max_event_delay_duration is not set",
        counted(refused.len() as u64, "attempt"),
        utc(last.at)
    );
    walk.decided(Answer::Yes, vec![why], &known.delays);
    // Anyone can write such a line into a text log.
    Some((VerdictId::DelayOff, sure(refused.iter().any(|made| made.format == Format::Json))))
}
