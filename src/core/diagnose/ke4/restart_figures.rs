//! What KE-4 measured, as lines for a phone: the user's restarts, what was rejected, the slowest
//! endpoints, and what Prometheus says beside it.

use std::cmp::Reverse;

use super::delayed_events::Delays;
use crate::diagnose::verdict::Figure;
use crate::evidence::counted;
use crate::evidence::delay::{DelayLog, Endpoint, Metrics, Requests};

/// Prometheus and the log are taken to disagree from here on: twice as much, and a quarter of a second.
const APART: (f64, f64) = (2.0, 0.25);
/// Longer endpoints are cut on a phone.
const SLOWEST: usize = 2;

/// The figures that an answer always shows.
pub(super) fn figures(delays: &Delays, metrics: Option<&Metrics>) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(log) = delays.log {
        let own = delays.restarts();
        let (whose, restarts) = match own.latency.count {
            0 => (" by anyone", &log.restarts),
            _ => ("", &own),
        };
        if restarts.latency.count > 0 {
            let text = restart_summary(restarts, whose);
            figures.push(Figure { label: "Restarts", text });
        }
        figures.extend(limited(log).map(|text| Figure { label: "Rate-limited", text }));
        figures.extend(slowest(log).map(|text| Figure { label: "Slowest", text }));
    }
    if let Some(metrics) = metrics.filter(|metrics| metrics.says_anything()) {
        figures.push(Figure { label: "Prometheus", text: beside(metrics) });
    }
    figures
}

fn restart_summary(restarts: &Requests, whose: &str) -> String {
    let latency = &restarts.latency;
    let mut text = format!(
        "{}{whose}: p50 {}, p99 {}, longest {}; {} took 2 s or longer, {} closed by the client first",
        latency.count,
        seconds(latency.within(0.5).unwrap_or_default()),
        seconds(latency.within(0.99).unwrap_or_default()),
        seconds(latency.max()),
        restarts.slow.count(),
        restarts.aborted
    );
    if restarts.in_body > 0 {
        text.push_str(&format!("; {} with the action in the body", restarts.in_body));
    }
    text
}

/// The addresses that were rejected most, and how many share each.
fn limited(log: &DelayLog) -> Option<String> {
    let count = |span: &crate::evidence::key_log::Span| span.count;
    let mut limited: Vec<_> =
        log.addresses.iter().filter_map(|known| Some((known, count(&known.limited?)))).collect();
    limited.sort_by_key(|(known, count)| (Reverse(*count), known.address.clone()));
    let one = |(known, count): &(&crate::evidence::delay::Address, u64)| {
        let more = if known.more_users { "more than " } else { "" };
        format!(
            "{} from {} ({} of {more}{} there)",
            counted(*count, "request"),
            known.address,
            counted(known.delays.len() as u64, "delayed event"),
            counted(known.users.len() as u64, "user")
        )
    };
    (!limited.is_empty()).then(|| limited.iter().take(3).map(one).collect::<Vec<_>>().join(", "))
}

/// The endpoints with the highest p99; a sync waits for news and is none of them.
fn slowest(log: &DelayLog) -> Option<String> {
    let p99 = |endpoint: &Endpoint| endpoint.latency.within(0.99).unwrap_or_default();
    let mut slowest: Vec<_> =
        log.endpoints.iter().filter(|endpoint| !endpoint.name.ends_with("/sync")).collect();
    slowest.sort_by(|a, b| p99(b).total_cmp(&p99(a)).then_with(|| a.name.cmp(&b.name)));
    let one = |endpoint: &&Endpoint| {
        format!(
            "{} p99 {} ({})",
            endpoint.name,
            seconds(p99(endpoint)),
            counted(endpoint.latency.count, "request")
        )
    };
    let told: Vec<_> = slowest.iter().take(SLOWEST).map(one).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Every endpoint's latency by the log, the slowest first.
pub(super) fn endpoints(log: &DelayLog) -> Vec<Figure> {
    let mut all: Vec<_> = log.endpoints.iter().collect();
    all.sort_by(|a, b| {
        b.latency.max().total_cmp(&a.latency.max()).then_with(|| a.name.cmp(&b.name))
    });
    let one = |endpoint: &Endpoint| {
        let within = |share| seconds(endpoint.latency.within(share).unwrap_or_default());
        let text = format!(
            "{}: p50 {}, p99 {}, longest {} ({})",
            endpoint.name,
            within(0.5),
            within(0.99),
            seconds(endpoint.latency.max()),
            counted(endpoint.latency.count, "request")
        );
        Figure { label: "Latency", text }
    };
    all.into_iter().map(one).collect()
}

fn beside(metrics: &Metrics) -> String {
    let mut said = Vec::new();
    for servlet in metrics.restarts().filter(|servlet| servlet.p99.is_some()) {
        said.push(format!(
            "{} p50 {}, p99 {} ({:.0} requests)",
            servlet.name.trim_end_matches("Servlet"),
            seconds(servlet.p50.unwrap_or_default()),
            seconds(servlet.p99.unwrap_or_default()),
            servlet.count
        ));
    }
    if said.is_empty() {
        said.push("no restart".into());
    }
    for (what, value) in
        [("database connection wait", metrics.pool), ("reactor tick", metrics.reactor)]
    {
        said.extend(value.map(|value| format!("{what} p99 {}", seconds(value))));
    }
    said.extend(metrics.lag.map(|lag| format!("event lag {}", seconds(lag / 1000.0))));
    said.join("; ")
}

/// Why Prometheus and the log do not say the same, where they do not.
pub(super) fn disagreement(log: &DelayLog, metrics: &Metrics) -> Option<String> {
    let ours = log.restarts.latency.within(0.99)?;
    let count: f64 = metrics.restarts().map(|servlet| servlet.count).sum();
    let theirs = metrics.restarts().filter_map(|servlet| servlet.p99).reduce(f64::max)?;
    let low = ours.min(theirs);
    let high = ours.max(theirs);
    if high - low < APART.1 || high < low * APART.0 {
        return None;
    }
    let seen = log.restarts.latency.count as f64;
    let why = if log.restarts.aborted > 0 && theirs < ours {
        "it books a request that the client closed at the client's patience, the log at what the server took"
    } else if (count - seen).abs() > (seen * 0.1).max(2.0) {
        "it counts every worker, but nothing from before a series was first scraped; the log only the \
         configured processes"
    } else {
        "its buckets end at fixed edges, and a scrape's interval blurs a short window"
    };
    Some(format!(
        "Prometheus says p99 {} of {count:.0} restarts and the log {} of {seen:.0}: {why}",
        seconds(theirs),
        seconds(ours)
    ))
}

/// `6 ms`, `5.99 s`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 1.0 => format!("{:.0} ms", short * 1000.0),
        long => format!("{long:.2} s"),
    }
}
