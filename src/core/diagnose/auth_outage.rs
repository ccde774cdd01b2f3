//! Access tokens that Synapse could not check, and requests that never reached it.
//!
//! While the authentication service does not answer, Synapse refuses every request with a token before it
//! reads it. Such a log shows no refused key, and must never count as one that shows none.

use super::certainty::Certainty;
use super::quiet_period::QUIET;
use super::tree_walk::{Ruling, TreeQuestion, Walk};
use super::verdict::Answer;
use super::verdict_id::VerdictId;
use crate::evidence::auth::Outage;
use crate::evidence::client::Sign;
use crate::evidence::key_log::Format;
use crate::evidence::{Known, Need, counted, utc, utc_span};

/// Asked before every verdict that needs "none seen".
pub(super) const AUTH_REACHABLE: TreeQuestion = TreeQuestion {
    name: "auth-reachable",
    asked: "Could Synapse check access tokens?",
    rules: &[VerdictId::AuthUnreachable],
    ask: auth_reachable,
};

fn auth_reachable(walk: &mut Walk) -> Option<Ruling> {
    if !is_asked(walk) {
        return None;
    }
    let known = walk.known;
    let Some(outage) = outage(walk) else {
        match known.auth.unknown() {
            Some(why) => walk.step(Answer::Unknown, why, &known.auth),
            None => walk.step(Answer::Yes, "the log shows no failed check", &known.auth),
        }
        return None;
    };
    let reasons = outage_reasons(walk, &outage);
    walk.decided(Answer::No, reasons, &known.auth);
    Some((VerdictId::AuthUnreachable, outage_certainty(&outage)))
}

/// Whether this evidence has a word on sign-in at all; that of older versions has none.
pub(super) fn is_asked(walk: &Walk) -> bool {
    walk.evidence.answers(Need::AuthLog).next().is_some()
}

pub(super) fn outage(walk: &Walk) -> Option<Outage> {
    walk.known.auth.value()?.outage
}

/// One line that cannot be forged is enough.
pub(super) fn outage_certainty(outage: &Outage) -> Certainty {
    match outage.format {
        Format::Json => Certainty::Proven,
        Format::Text => Certainty::Consistent,
    }
}

pub(super) fn outage_reasons(walk: &Walk, outage: &Outage) -> Vec<String> {
    let Outage { span, uploads, delays, .. } = *outage;
    let mut reasons = vec![outage_sentence(outage)];
    let parts: Vec<_> = [(uploads, "key upload"), (delays, "delayed-event request")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    if !parts.is_empty() {
        reasons.push(format!("these include {}", parts.join(" and ")));
    }
    reasons.push(if is_ongoing(walk, outage) {
        "the failures were ongoing at the end of the log".into()
    } else {
        format!("the log shows no failure after {}", utc(span.last))
    });
    reasons.push(
        "Synapse rejected these requests before it read them, so they do not show a problem with any key"
            .into(),
    );
    reasons
}

fn outage_sentence(outage: &Outage) -> String {
    let Outage { span, .. } = outage;
    format!(
        "Synapse could not check the access tokens of {} and answered 503 ({})",
        counted(span.count, "request"),
        utc_span(span.first, span.last)
    )
}

/// Whether failures reach to the newest record of the logs: a token that was checked before is good for two
/// minutes, which is less than `QUIET`.
fn is_ongoing(walk: &Walk, outage: &Outage) -> bool {
    let end = walk.evidence.window.to.min(walk.evidence.now);
    let coverage = walk.known.auth.value().map(|log| log.coverage.as_slice()).unwrap_or_default();
    let newest = coverage.iter().filter_map(|log| log.span).map(|(_, last)| last).max();
    let end = newest.map_or(end, |newest| newest.min(end));
    end.duration_since(outage.span.last) <= QUIET
}

/// Whether the quiet behind the last refusal may be the authentication service's: no upload could pass. Where
/// it may, that is the answer.
pub(super) fn hides_quiet(walk: &mut Walk) -> bool {
    let outage = outage(walk);
    let refused = walk.refusals.span();
    let Some((outage, refused)) = outage.zip(refused) else { return false };
    let uploads = walk.known.log.value().and_then(|log| log.accepted.uploads);
    let passed = uploads.is_some_and(|uploads| uploads.last > refused.last);
    let hides = outage.span.last >= refused.last && !passed;
    if hides {
        let why = "it was quiet since then, but Synapse could not check access tokens in that time";
        walk.step(Answer::Unknown, why, &walk.known.auth);
    }
    hides
}

/// Of a device without keys: whether the server takes no uploads at the moment, so that it may still publish
/// them.
pub(super) fn uploads_blocked(walk: &mut Walk) -> Option<Ruling> {
    let outage = outage(walk).filter(|outage| outage.uploads > 0 && is_ongoing(walk, outage))?;
    let reasons = outage_reasons(walk, &outage);
    walk.because.splice(0..0, reasons);
    Some((VerdictId::AuthUnreachable, outage_certainty(&outage)))
}

/// What every other verdict says about an outage.
pub(super) fn outage_finding(walk: &Walk) -> Option<String> {
    let outage = outage(walk)?;
    let ongoing = if is_ongoing(walk, &outage) { "; this is ongoing" } else { "" };
    Some(outage_sentence(&outage) + ongoing)
}

/// Whether the user's client was answered by a proxy in place of Synapse: how often, and the evidence.
pub(super) fn proxied(walk: &Walk) -> (u64, Known<()>) {
    let user = walk.evidence.subject.user();
    let window = walk.evidence.window;
    let mut count = 0u64;
    let mut ids = Vec::new();
    for (id, client) in walk.evidence.clients() {
        let named = client.user.as_deref();
        let own = named.is_none_or(|named| user.is_some_and(|user| user.as_str() == named));
        if !own {
            continue;
        }
        let noted = client.signs.iter().filter(|noted| {
            noted.sign == Sign::Unreachable
                && noted.span.is_none_or(|(first, last)| {
                    client.by_server(first) <= window.to && window.from <= client.by_server(last)
                })
        });
        let here: u64 = noted.map(|noted| noted.count).sum();
        if here > 0 {
            count = count.saturating_add(here);
            ids.push(id.to_owned());
        }
    }
    (count, Known::Is((), ids))
}

/// The same as a finding.
pub(super) fn proxied_sentence(count: u64) -> String {
    format!(
        "the client's report shows {} answered with 429 by a proxy, not by Synapse (no M_LIMIT_EXCEEDED): this is no \
         rate limit; the proxy of Element Server Suite answers so while Synapse is unreachable",
        counted(count, "request")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn failed_checks_hide_what_a_log_would_show() {
        let answer = |case| answer_of(case, &AUTH_REACHABLE);
        assert_eq!(
            answer("ke1--auth-unreachable--mas-down"),
            (Answer::No, Some(VerdictId::AuthUnreachable))
        );
        assert_eq!(
            answer("ke2--auth-unreachable--mas-down"),
            (Answer::No, Some(VerdictId::AuthUnreachable))
        );
        assert_eq!(answer("ke1--otk-healthy--mas-up"), (Answer::Yes, None));
    }
}
