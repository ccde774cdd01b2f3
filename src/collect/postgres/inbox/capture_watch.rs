//! Polls one device's inbox over a whole call, in one session, and records the shapes of new messages. It is
//! slow on purpose, because a call is long. An online device fetches most messages before the next poll, so
//! missing messages prove nothing.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::super::connect;
use super::read::{A_LOOK, InboxAccess, WATCH_LIMIT, look, newest};
use crate::config::Database;
use kestrel_core::evidence::Subject;
use kestrel_core::evidence::to_device::{Inbox, InboxRow, Live};

/// The session, and what it saw.
pub struct InboxWatch {
    client: Client,
    access: InboxAccess,
    subject: Subject,
    after: i64,
    deadline: Duration,
    seen: Inbox,
}

impl std::fmt::Debug for InboxWatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("InboxWatch").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl InboxWatch {
    /// Starts with the messages that wait now, or continues with what was `seen` before a restart. The error
    /// is a sentence for people.
    pub async fn open(
        database: &Database,
        subject: Subject,
        seen: Option<Inbox>,
        deadline: Duration,
        now: Timestamp,
    ) -> Result<Self, String> {
        let opening = async {
            let client = connect::open(database, deadline).await?;
            let words = |error| connect::words(&error, "device_inbox");
            let access = InboxAccess::ask(&client).await.map_err(words)?;
            let mut first = look(&client, &subject).await.map_err(words)?;
            first.unread = matches!(access, InboxAccess::Nothing);
            let last = seen.as_ref().and_then(|seen| seen.rows.last()).map(|row| row.stream);
            let after = match last {
                Some(last) => last,
                None => newest(&client, &subject).await.map_err(words)?,
            };
            first.rows.iter_mut().for_each(|row| row.seen = Some(now));
            first.live = Some(Live { from: now, to: now, polls: 0, clipped: false });
            let seen = seen.unwrap_or(first);
            Ok(Self { client, access, subject, after, deadline, seen })
        };
        let late = || "the database did not answer in time".to_owned();
        timeout(deadline, opening).await.map_err(|_| late())?
    }

    /// Polls once; returns whether there is anything new. At its limit it stops polling.
    pub async fn look(&mut self, now: Timestamp) -> Result<bool, String> {
        let room = WATCH_LIMIT.saturating_sub(self.seen.rows.len()).min(A_LOOK);
        let Some(live) = &mut self.seen.live else { return Ok(false) };
        if room == 0 {
            live.clipped = true;
            return Ok(false);
        }
        let asking = self.access.behind(&self.client, &self.subject, self.after, room as i32);
        let rows = match timeout(self.deadline, asking).await {
            Ok(rows) => rows.map_err(|error| connect::words(&error, "device_inbox"))?,
            Err(_) => return Err("the database did not answer in time".into()),
        };
        (live.to, live.polls) = (live.to.max(now), live.polls + 1);
        self.after = rows.last().map_or(self.after, |row| row.stream);
        let came = !rows.is_empty();
        self.seen.rows.extend(rows.into_iter().map(|row| InboxRow { seen: Some(now), ..row }));
        Ok(came)
    }

    /// Everything that was seen.
    pub fn seen(&self) -> &Inbox {
        &self.seen
    }
}
