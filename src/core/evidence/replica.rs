//! What a database says about being a replica → how far its data is known to reach, and so whether it can prove
//! that something is not there.
//!
//! A replica that is paused or cut off has replayed everything that it received: by its log positions alone it
//! looks caught up. Only two things show how new its data is: the time of the last transaction that it replayed,
//! and a receiver that streams now and has nothing left to replay.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence::figures::utc;

/// A replica so close to the end of the window counts as current: every answer takes some seconds.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// A database that is a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Everything that the primary had committed by then is here, by Kestrel's clock; `None` where it cannot tell.
    pub to: Option<Timestamp>,
    pub replay: Replay,
}

/// Why a replica is as far as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// It receives from the primary, or the role may not see whether it does.
    Runs,
    /// Somebody paused it.
    Paused,
    /// No receiver is running.
    Disconnected,
    /// The role may not ask: it may be a primary.
    Unasked,
}

impl Replica {
    /// Why it proves no absence up to `end`, for a person; `None` where its data reaches that far.
    pub fn behind(&self, end: Timestamp) -> Option<String> {
        if self.replay == Replay::Unasked {
            return Some("the role may not check whether the database is a replica".into());
        }
        let lag = match self.to {
            None => return Some(format!("{} and does not show how new its data is", self.is())),
            Some(to) => end.duration_since(to),
        };
        let to = self.to.filter(|_| lag > SLACK)?;
        Some(format!(
            "{} and its data is known to be complete only up to {}, {} before the end of the log window",
            self.is(),
            utc(to),
            length(lag)
        ))
    }

    fn is(&self) -> &'static str {
        match self.replay {
            Replay::Runs | Replay::Unasked => "the database is a replica",
            Replay::Paused => "the database is a replica, its replay is paused,",
            Replay::Disconnected => "the database is a replica without a connection to its primary",
        }
    }
}

/// A lag as a person says it.
pub fn length(lag: SignedDuration) -> String {
    match lag.as_secs().max(0) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_behind_what_it_is_not_known_to_hold() {
        let at = |second| Timestamp::from_second(1_795_348_000 + second).unwrap();
        let of = |to: Option<i64>, replay| Replica { to: to.map(at), replay };
        assert_eq!(of(Some(-5), Replay::Runs).behind(at(0)), None);
        // Its data is newer than a window of the past.
        assert_eq!(of(Some(-500), Replay::Paused).behind(at(-600)), None);
        let said = of(Some(-420), Replay::Paused).behind(at(0)).unwrap();
        assert!(said.contains("replay is paused") && said.contains("7 min before"), "{said}");
        let said = of(Some(-6), Replay::Disconnected).behind(at(0)).unwrap();
        assert!(said.contains("without a connection") && said.contains("6 s before"), "{said}");
        let said = of(None, Replay::Runs).behind(at(0)).unwrap();
        assert!(said.contains("does not show how new"), "{said}");
    }
}
