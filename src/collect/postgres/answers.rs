//! Turns a database row into an answer: one line for people, and the statement that shows it again.

use kestrel_core::evidence::{About, Algorithm, Fact, Gathered, Need, State, counted, utc};

use super::inbox::read::{NO_SHAPES, statement as inbox_statement};
use super::sql::literal;
use super::{delayed, device, event, fleet};

pub(super) fn table(need: Need) -> &'static str {
    match need {
        Need::Devices => "devices",
        Need::DeviceKeys => "e2e_device_keys_json",
        Need::OneTimeKeys => "e2e_one_time_keys_json",
        Need::FallbackKeys => "e2e_fallback_keys_json",
        Need::Event => "events",
        Need::EventShape => "event_json",
        Need::Redactions => "redactions",
        Need::Inbox => "device_inbox",
        Need::Dehydrated => "dehydrated_devices",
        Need::DelayedEvents => "delayed_events",
        Need::SentDelays => "events",
        Need::FleetRows => "e2e_one_time_keys_json",
        Need::DeviceList => "devices",
        Need::KeyLog
        | Need::ToDeviceLog
        | Need::DelayLog
        | Need::FleetLog
        | Need::Metrics
        | Need::Replica
        | Need::AuthLog
        | Need::Client => "",
    }
}

pub(super) fn answer(need: Need, subject: &About, fact: Option<Fact>) -> Gathered {
    let what = match &fact {
        None => format!("{} has no row", table(need)),
        Some(fact) => summary(fact),
    };
    let state = match &fact {
        Some(Fact::Inbox(inbox)) if inbox.unread => State::Failed(NO_SHAPES.into()),
        Some(_) => State::Found,
        None => State::Empty,
    };
    Gathered {
        id: String::new(),
        need,
        source: "database".to_owned(),
        state,
        what,
        query: shown(need, subject),
        fact,
    }
}

/// One line for a person.
fn summary(fact: &Fact) -> String {
    match fact {
        Fact::Devices(rows) => {
            counted(rows.iter().filter(|row| !row.hidden).count() as u64, "device")
        }
        Fact::DeviceKeys(keys) => {
            let head: String = keys.ed25519.iter().flat_map(|key| key.chars().take(8)).collect();
            format!("identity {head}…, stored {}", utc(keys.added))
        }
        Fact::OneTimeKeys(stored) => {
            let more = if stored.capped { " or more" } else { "" };
            format!("{}{more} one-time keys", stored.total)
        }
        Fact::FallbackKeys(keys) => {
            let used = keys.iter().filter(|key| key.used).count();
            format!("{}, {used} used", counted(keys.len() as u64, "fallback key"))
        }
        Fact::Event(row) => format!("{} of {} in {}", row.kind, row.sender, row.room),
        Fact::EventShape(shape) => {
            let algorithm = match &shape.algorithm {
                Algorithm::Absent => "no algorithm".to_owned(),
                Algorithm::Null => "algorithm null".to_owned(),
                Algorithm::Other(kind) => format!("algorithm of type {kind}"),
                Algorithm::Named(name) => format!("algorithm {name:?}"),
            };
            format!("{algorithm}, content of {} bytes", shape.content_bytes)
        }
        Fact::DelayedEvents(table) if table.absent => {
            "this Synapse has no delayed_events table".to_owned()
        }
        Fact::DelayedEvents(table) => {
            format!("{} pending", counted(table.rows.len() as u64, "delayed event"))
        }
        Fact::Redactions(rows) if rows.len() == 1 => "1 redaction of the event".to_owned(),
        Fact::Redactions(rows) => format!("{} redactions of the event", rows.len()),
        Fact::FleetRows(rows) => rows.summary(),
        Fact::Inbox(inbox) => inbox.summary(),
        Fact::Dehydrated(true) => "a dehydrated device".to_owned(),
        Fact::Dehydrated(false) => "no dehydrated device".to_owned(),
        _ => String::new(),
    }
}

pub(super) fn unread(need: Need, subject: &About, state: State) -> Gathered {
    Gathered::unread(need, "database", shown(need, subject), state)
}

/// The statement for pasting: parameters as quoted literals, never executed.
fn shown(need: Need, subject: &About) -> String {
    let (user, device, event) = subject.ids();
    let user = user.map_or("", |id| id.as_str());
    let device = device.map_or("", |id| id.as_str());
    let localpart = subject.user().map_or("", |user| user.localpart());
    let (statement, first, second) = match need {
        Need::DelayedEvents => (delayed::statement(), localpart, ""),
        Need::Event | Need::EventShape | Need::Redactions => {
            (event::statement(need), event.map_or("", |id| id.as_str()), "")
        }
        Need::FleetRows => (fleet::statement(), "", ""),
        Need::Inbox | Need::Dehydrated => (inbox_statement(need), user, device),
        _ => (device::statement(need), user, device),
    };
    // One pass, so that a `$2` inside an ID is not replaced.
    let mut sql = String::with_capacity(statement.len() + 64);
    let mut rest = statement.as_str();
    while let Some(at) = rest.find('$') {
        sql.push_str(&rest[..at]);
        sql.push_str(&literal(if rest[at..].starts_with("$1") { first } else { second }));
        rest = &rest[at + 2..];
    }
    if sql.is_empty() && rest.is_empty() {
        return String::new();
    }
    sql + rest + ";"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_statement_is_what_it_says() {
        let user = "@o'neil:example.org".try_into().expect("a user id");
        let subject =
            kestrel_core::evidence::Subject { user, device: "A'; DROP TABLE x; --\n$1\\".into() };
        let sql = shown(Need::DeviceKeys, &About::Device(subject));
        assert!(sql.contains("user_id = '@o''neil:example.org'"), "{sql}");
        assert!(sql.ends_with("device_id = E'A''; DROP TABLE x; --\\u000a$1\\\\';"), "{sql}");
    }
}
