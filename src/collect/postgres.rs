//! Synapse's database → rows as facts, over one read-only session.
//!
//! One statement a table, each by an index, each with parameters: what was typed never becomes SQL. The
//! statements read only the columns that `kestrel grants` gives, and work for a plain reader too.

pub mod clock_skew;
mod connect;
pub mod delayed;
mod device;
mod event;
mod fleet;
mod grants;
mod inbox;
pub mod poll;
mod replica;
mod role_check;

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::config::Database;
pub use device::{DeviceList, device_list};
pub use fleet::confirm;
pub use grants::grants;
pub use inbox::{InboxWatch, watch};
use kestrel_core::evidence::{About, Algorithm, Fact, Gathered, Need, State, counted, utc};
use kestrel_core::plan::Plan;
pub use replica::doubt;
pub use role_check::{Finding, limit_binds, reads_only};

/// Asks the database for everything the plan needs of it.
pub async fn probe(plan: &Plan, database: Option<&Database>, deadline: Duration) -> Vec<Gathered> {
    // A watched inbox was answered before; which rooms to look into for `SentDelays` is known later.
    let asked = |need: &Need| {
        let later = *need == Need::SentDelays || *need == Need::Inbox && plan.live.is_some();
        need.is_of_database() && !later
    };
    let needs: Vec<Need> = plan.needs.iter().copied().filter(asked).collect();
    let Some(database) = database else {
        let why = State::NotAsked("no database is configured".into());
        return needs.into_iter().map(|need| unread(need, &plan.subject, why.clone())).collect();
    };
    let mut asked = SessionAnswers::default();
    let came =
        tokio::time::timeout(deadline, ask(plan, database, deadline, &needs, &mut asked)).await;
    let SessionAnswers { mut answers, replica } = asked;
    let why = match came {
        Ok(Ok(())) => {
            inbox::again(plan, database, deadline, &mut answers).await;
            answers.extend(replica);
            return answers;
        }
        Ok(Err(why)) => why,
        Err(_) => format!("it did not answer within {} s", deadline.as_secs_f32()),
    };
    for need in needs.into_iter().skip(answers.len()) {
        answers.push(unread(need, &plan.subject, State::Failed(why.clone())));
    }
    answers.extend(replica);
    answers
}

/// What a session came to so far.
#[derive(Default)]
struct SessionAnswers {
    answers: Vec<Gathered>,
    /// The database, where it is a replica.
    replica: Option<Gathered>,
}

async fn ask(
    plan: &Plan,
    database: &Database,
    deadline: Duration,
    needs: &[Need],
    asked: &mut SessionAnswers,
) -> Result<(), String> {
    let client = connect::open(database, deadline).await?;
    let lag = replica::lag(&client).await;
    asked.replica = lag.map(|lag| replica::gathered(&lag, plan.now, plan.window));
    connect::begin(&client).await?;
    let answers = &mut asked.answers;
    for need in needs {
        // A statement that fails ends a transaction, unless there is a point to go back to: what the role
        // may read counts, whatever it may not.
        let point = client.batch_execute("SAVEPOINT probe").await;
        point.map_err(|error| connect::words(&error, table(*need)))?;
        match fact(&client, *need, &plan.subject).await {
            Ok(fact) => answers.push(answer(*need, &plan.subject, fact)),
            Err(error) => {
                let why = connect::words(&error, table(*need));
                if client.batch_execute("ROLLBACK TO SAVEPOINT probe").await.is_err() {
                    return Err(why);
                }
                answers.push(unread(*need, &plan.subject, State::Failed(why)));
            }
        }
    }
    Ok(())
}

/// Asks for one need of whatever the question is about; a need that does not fit it has no answer.
async fn fact(client: &Client, need: Need, about: &About) -> Result<Option<Fact>, Error> {
    match need {
        Need::Event | Need::EventShape | Need::Redactions => match about.event() {
            Some(subject) => event::ask(client, need, &subject.event).await,
            None => Ok(None),
        },
        Need::FleetRows => Ok(Some(Fact::FleetRows(fleet::ask(client).await?))),
        Need::DelayedEvents => match about.user() {
            Some(user) => delayed::pending(client, user).await,
            None => Ok(None),
        },
        Need::Inbox | Need::Dehydrated => match about.device() {
            Some(subject) => inbox::ask(client, need, subject).await,
            None => Ok(None),
        },
        _ => match about.device() {
            Some(subject) => device::ask(client, need, subject).await,
            None => Ok(None),
        },
    }
}

fn millis(ms: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms?).ok()
}

fn table(need: Need) -> &'static str {
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

fn answer(need: Need, subject: &About, fact: Option<Fact>) -> Gathered {
    let what = match &fact {
        None => format!("{} has no row", table(need)),
        Some(fact) => summary(fact),
    };
    let state = match &fact {
        Some(Fact::Inbox(inbox)) if inbox.unread => State::Failed(inbox::NO_SHAPES.into()),
        Some(_) => State::Found,
        None => State::Empty,
    };
    let (id, source) = (String::new(), "database".to_owned());
    Gathered { id, need, source, state, what, query: shown(need, subject), fact }
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
            format!("{}, {used} handed out", counted(keys.len() as u64, "fallback key"))
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
            "this Synapse has no table of delayed events".to_owned()
        }
        Fact::DelayedEvents(table) => {
            format!("{} pending", counted(table.rows.len() as u64, "delayed event"))
        }
        Fact::Redactions(rows) if rows.len() == 1 => "a redaction names it".to_owned(),
        Fact::Redactions(rows) => format!("{} redactions name it", rows.len()),
        Fact::FleetRows(rows) => rows.told(),
        Fact::Inbox(inbox) => inbox.told(),
        Fact::Dehydrated(true) => "a dehydrated device".to_owned(),
        Fact::Dehydrated(false) => "no dehydrated device".to_owned(),
        _ => String::new(),
    }
}

fn unread(need: Need, subject: &About, state: State) -> Gathered {
    Gathered::unread(need, "database", shown(need, subject), state)
}

/// The statement as a person would paste it: parameters as quoted literals, for reading and never run.
fn shown(need: Need, subject: &About) -> String {
    let (user, device, event) = subject.ids();
    let (user, device) = (user.map_or("", |id| id.as_str()), device.map_or("", |id| id.as_str()));
    let localpart = subject.user().map_or("", |user| user.localpart());
    let (statement, first, second) = match need {
        Need::DelayedEvents => (delayed::statement(), localpart, ""),
        Need::Event | Need::EventShape | Need::Redactions => {
            (event::statement(need), event.map_or("", |id| id.as_str()), "")
        }
        Need::FleetRows => (fleet::statement(), "", ""),
        Need::Inbox | Need::Dehydrated => (inbox::statement(need), user, device),
        _ => (device::statement(need), user, device),
    };
    // One pass, so that a `$2` inside an id stays what it is.
    let mut sql = String::with_capacity(statement.len() + 64);
    let mut rest = statement.as_str();
    while let Some(at) = rest.find('$') {
        sql.push_str(&rest[..at]);
        sql.push_str(&quoted(if rest[at..].starts_with("$1") { first } else { second }));
        rest = &rest[at + 2..];
    }
    match sql.is_empty() && rest.is_empty() {
        true => String::new(),
        false => sql + rest + ";",
    }
}

/// An SQL literal. What an id may hold of line breaks and escapes is written as such, and never acts on
/// the reader's screen.
fn quoted(text: &str) -> String {
    let plain = text.replace('\'', "''");
    if !text.contains(|letter: char| letter.is_control()) {
        return format!("'{plain}'");
    }
    let escaped: String = (plain.replace('\\', "\\\\").chars())
        .map(|letter| match letter.is_control() {
            true => format!("\\u{:04x}", u32::from(letter)),
            false => letter.to_string(),
        })
        .collect();
    format!("E'{escaped}'")
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
