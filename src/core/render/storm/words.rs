//! The parts that messages about storms share: which storm, of what kind, whose, and how bad.

use jiff::Timestamp;

use crate::evidence::counted;
use crate::evidence::poll::COUNTED;
use crate::render::page::Page;
use crate::render::plain_replies::lasting;
use crate::render::view::View;
use crate::storm::{Event, StormKind, Trigger, Whose};

/// The state as a glyph, the storm's number, and what a locked phone should show right after it.
pub(super) fn head(page: &mut Page, glyph: &str, event: &Event, mark: Option<&str>) {
    page.line().text(format!("{glyph} ")).strong(format!("Storm {}", event.storm));
    if let Some(mark) = mark {
        page.text(" · ").strong(mark);
    }
}

/// Its number, as a link to its thread if there is one.
pub(super) fn name(page: &mut Page, event: &Event, root: Option<&str>) {
    let name = format!("Storm {}", event.storm);
    match root {
        Some(url) => page.link(name, url),
        None => page.strong(name),
    };
}

pub(super) fn kind(event: &Event) -> &'static str {
    match (event.kind, &event.trigger) {
        (StormKind::Fleet, Trigger::DeadIdentity) | (StormKind::DeadIdentity, _) => {
            "keys of an old identity"
        }
        (StormKind::Fleet, Trigger::Backlog) | (StormKind::Backlog, _) => {
            "growing to-device backlog"
        }
        (StormKind::OtkConflict | StormKind::Fleet, _) => "one-time key uploads rejected",
        (StormKind::OtkFlood, _) => "too many one-time keys",
        (StormKind::Auth, _) => "access tokens cannot be checked (503)",
        (StormKind::Delay, Trigger::RateLimited) => "delayed events rate-limited (429)",
        (StormKind::Delay, Trigger::NotFound) => "delayed events not found (404)",
        (StormKind::Delay, Trigger::Slow) => "delayed events slow",
        (StormKind::Delay, _) => "delayed events failing",
    }
}

/// Whose storm.
pub(super) fn whose(page: &mut Page, event: &Event) {
    page.text(" · ");
    match &event.whose {
        Whose::Device { user, device } => page.code(user).text(" ").code(device),
        Whose::Address(address) => page.text("clients at ").code(address),
        Whose::Everybody if event.kind == StormKind::Delay => {
            page.text(format!("clients at {} addresses", event.devices))
        }
        Whose::Everybody => page.text(counted(event.devices, "device")),
        Whose::Server => page.text("the whole homeserver"),
    };
}

/// Whose storm that is ongoing. If many devices start at once, there are two likely causes.
pub(super) fn whose_now(page: &mut Page, event: &Event, view: &View) {
    whose(page, event);
    if event.whose == Whose::Everybody {
        let since = clock(event.first, event.at, view);
        // For keys two causes are likely; a backlog can have any.
        let cause = match (event.kind, &event.trigger) {
            (StormKind::Delay, _) | (_, Trigger::Backlog) => "",
            _ => " (restored database or client release?)",
        };
        page.text(format!(" since {since}{cause}"));
    }
}

/// How bad it is. An alert about many devices already counts them.
pub(super) fn so_far(page: &mut Page, event: &Event) {
    match event.kind {
        _ if event.whose == Whose::Everybody => {}
        StormKind::Fleet | StormKind::DeadIdentity => {}
        StormKind::Backlog => {
            page.text(format!(" · {}", waiting(event.count)));
        }
        StormKind::OtkConflict | StormKind::OtkFlood | StormKind::Delay | StormKind::Auth => {
            let pace = pace(event).map(|pace| format!(", {pace}")).unwrap_or_default();
            page.text(format!(" · {} so far{pace}", event.count));
        }
    }
}

pub(super) fn in_all(event: &Event) -> String {
    let length = lasting(event.last.duration_since(event.first));
    match event.kind {
        _ if event.whose == Whose::Everybody => length,
        StormKind::Fleet | StormKind::DeadIdentity => length,
        StormKind::Backlog if event.count > 0 => {
            format!("{length}, {}", waiting(event.count))
        }
        StormKind::Backlog => length,
        _ => format!("{} in {length}", event.count),
    }
}

/// A backlog as it was counted, up to a limit.
fn waiting(count: u64) -> String {
    match count {
        1 => "1 message undelivered".into(),
        COUNTED.. => format!("more than {} messages undelivered", COUNTED - 1),
        count => format!("{count} messages undelivered"),
    }
}

/// The rate, with its unit. Two lines have no rate.
pub(super) fn pace(event: &Event) -> Option<String> {
    let seconds = event.last.duration_since(event.first).as_secs_f64();
    let rate = (event.count.saturating_sub(1)) as f64 / seconds;
    let short = |rate: f64| match rate {
        rate if rate >= 9.95 => format!("{rate:.0}"),
        rate => format!("{rate:.1}").trim_end_matches(".0").to_owned(),
    };
    (event.count > 2 && seconds > 0.0).then(|| match rate {
        rate if rate >= 1.0 => format!("{} per second", short(rate)),
        rate if rate * 60.0 >= 1.0 => format!("{} per minute", short(rate * 60.0)),
        rate => format!("{} per hour", short(rate * 3600.0)),
    })
}

/// A moment to the minute, with its date and zone.
pub(super) fn minute(at: Timestamp, view: &View) -> String {
    at.to_zoned(view.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A moment on the clock, with its date if that is not today.
fn clock(at: Timestamp, now: Timestamp, view: &View) -> String {
    let at = at.to_zoned(view.zone.clone());
    let now = now.to_zoned(view.zone.clone());
    let form = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}
