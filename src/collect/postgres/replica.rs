//! Checks whether the database is a replica, and how old its data may be.
//!
//! This is queried before the session's snapshot starts, so that the snapshot is at least as new as promised
//! here. A role that cannot see the receiver still sees the time of the last replayed transaction. That time
//! is also old if the primary wrote nothing: then the replica only seems to be behind, and the answer says
//! what to do.

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use super::connect;
use kestrel_core::evidence::replica::length;
use kestrel_core::evidence::{Fact, Gathered, Need, Replay, Replica, Shown, State, Window};

/// Every role may ask this. Outside recovery the second function fails, and the first has no value.
const RECOVERY: &str = "SELECT pg_is_in_recovery(),\n\
     CASE WHEN pg_is_in_recovery() THEN\n\
     (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint END,\n\
     CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END";
/// The function that `kestrel grants` makes: PostgreSQL shows the view's columns to no plain role, and the
/// membership that would show them also shows the text of every running query.
const RECEIVER: &str = "SELECT streaming, whole, heard FROM kestrel.wal_receiver()";
const MAY: &str = "SELECT to_regprocedure('kestrel.wal_receiver()') IS NOT NULL \
     AND has_schema_privilege('kestrel', 'USAGE')";
/// The same for a role that can read the view; any other role gets a row of NULLs while a receiver runs.
const VIEW: &str = "SELECT status = 'streaming', pg_last_wal_replay_lsn() >= latest_end_lsn,\n\
     (extract(epoch FROM clock_timestamp() - last_msg_receipt_time) * 1000)::bigint\n\
     FROM pg_stat_wal_receiver";

/// A silent receiver contacts its primary after half of `wal_receiver_timeout` (60 s by default): if it
/// streams and got a message within this time, it is connected.
const ALIVE: SignedDuration = SignedDuration::from_secs(35);

/// How old a replica's data may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lag {
    /// `None` if unknown.
    age: Option<SignedDuration>,
    replay: Replay,
}

/// What the receiver of a replica says.
#[derive(Debug, Clone, Copy, Default)]
struct Receiver {
    streaming: Option<bool>,
    /// Everything that the primary had at its last message is replayed.
    whole: Option<bool>,
    /// How long ago its last message came.
    heard: Option<SignedDuration>,
}

/// How old the data of this session may be; `None` on a primary. It never fails: without permission the age
/// stays unknown.
pub(super) async fn lag(client: &Client) -> Option<Lag> {
    let Ok(row) = client.query_one(RECOVERY, &[]).await else {
        return Some(Lag { age: None, replay: Replay::Unasked });
    };
    if matches!(row.try_get(0), Ok(Some(false))) {
        return None;
    }
    let replayed = row.try_get(1).ok().flatten().map(SignedDuration::from_millis);
    let paused = row.try_get::<_, Option<bool>>(2).ok().flatten() == Some(true);
    Some(Lag::from_parts(replayed, paused, receiver(client).await))
}

/// The state of the receiver, as far as the role can see it. `None` if no receiver runs.
async fn receiver(client: &Client) -> Option<Receiver> {
    let may_call = connect::may_call(client, MAY).await.unwrap_or(false);
    let statement = if may_call { RECEIVER } else { VIEW };
    match client.query_opt(statement, &[]).await {
        Ok(None) => None,
        Ok(Some(row)) => Some(Receiver {
            streaming: row.try_get(0).ok().flatten(),
            whole: row.try_get(1).ok().flatten(),
            heard: row.try_get(2).ok().flatten().map(SignedDuration::from_millis),
        }),
        Err(_) => Some(Receiver::default()),
    }
}

impl Lag {
    fn from_parts(
        replayed: Option<SignedDuration>,
        paused: bool,
        receiver: Option<Receiver>,
    ) -> Self {
        let replay = match (paused, receiver) {
            (true, _) => Replay::Paused,
            (false, None) => Replay::Disconnected,
            (false, Some(_)) => Replay::Runs,
        };
        let heard = receiver
            .filter(|it| it.streaming == Some(true) && it.whole == Some(true))
            .and_then(|it| it.heard)
            .map(|heard| if heard <= ALIVE { SignedDuration::ZERO } else { heard });
        // The clocks of the two servers may differ slightly.
        let age = [replayed, heard].into_iter().flatten().min();
        Self { age: age.map(|age| age.max(SignedDuration::ZERO)), replay }
    }

    /// The replica as evidence, as of `now`.
    pub(super) fn at(&self, now: Timestamp) -> Replica {
        let to = self.age.and_then(|age| now.checked_sub(age).ok());
        Replica { to, replay: self.replay }
    }

    /// Whether its data may be older than this.
    pub(super) fn is_beyond(&self, age: SignedDuration) -> bool {
        self.age.is_none_or(|own| own > age)
    }

    /// For a person, where there is no window.
    pub(super) fn words(&self) -> String {
        match (self.replay, self.age) {
            (Replay::Unasked, _) => {
                "The role may not check whether the database is a replica".into()
            }
            (_, None) => "The database is a replica, and the age of its data is unknown".into(),
            (replay, Some(age)) => {
                let why = match replay {
                    Replay::Paused => " (replay is paused)",
                    Replay::Disconnected => " (not connected to its primary)",
                    Replay::Runs | Replay::Unasked => "",
                };
                format!("The database is a replica that is up to {} behind{why}", length(age))
            }
        }
    }
}

/// The replica that was asked, as an answer.
pub(super) fn gathered(lag: &Lag, now: Timestamp, window: Window) -> Gathered {
    let replica = lag.at(now);
    let query = format!("{RECOVERY};\n{VIEW}");
    let (state, what) = match replica.behind(window.to.min(now)) {
        Some(why) => (State::Failed(why.clone()), why),
        None => (State::Found, "a replica whose data covers the whole log window".into()),
    };
    let fact = Some(Fact::Replica(replica));
    Gathered::answered(Need::Replica, "database", state, Shown { what, query }, fact)
}

/// A replica that is behind cannot answer "empty": the missing row may exist on the primary.
pub fn doubt(answers: &mut [Gathered]) {
    let behind = answers.iter().find_map(|answer| match (answer.need, &answer.state) {
        (Need::Replica, State::Failed(why)) => Some(why.clone()),
        _ => None,
    });
    let Some(why) = behind else { return };
    for answer in answers.iter_mut().filter(|answer| answer.need.is_of_database()) {
        if answer.state == State::Empty {
            answer.what = format!("{}; {why}", answer.what);
            answer.state = State::Failed(why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: i64) -> Option<SignedDuration> {
        Some(SignedDuration::from_secs(count))
    }

    #[test]
    fn a_replica_is_as_new_as_its_last_transaction_or_its_stream() {
        let seen = |streaming, whole, heard| {
            Some(Receiver { streaming: Some(streaming), whole: Some(whole), heard: seconds(heard) })
        };
        for (replayed, paused, receiver, age, replay) in [
            // A quiet primary: its last transaction is old, and the stream says that nothing came since.
            (seconds(900), false, seen(true, true, 3), seconds(0), Replay::Runs),
            (seconds(900), false, seen(true, true, 50), seconds(50), Replay::Runs),
            // What came is not replayed yet.
            (seconds(900), false, seen(true, false, 3), seconds(900), Replay::Runs),
            (seconds(900), true, seen(true, false, 3), seconds(900), Replay::Paused),
            // Everything received is replayed, and nothing is received any more.
            (seconds(900), false, None, seconds(900), Replay::Disconnected),
            (seconds(900), false, seen(false, true, 3), seconds(900), Replay::Runs),
            // A role that sees that a receiver runs, and no more.
            (seconds(900), false, Some(Receiver::default()), seconds(900), Replay::Runs),
            (None, false, Some(Receiver::default()), None, Replay::Runs),
            (seconds(-2), false, None, seconds(0), Replay::Disconnected),
        ] {
            assert_eq!(Lag::from_parts(replayed, paused, receiver), Lag { age, replay });
        }
    }
}
