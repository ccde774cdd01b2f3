//! A timer's beat → one slow look at the database. What it comes to is for the storm watch.

use jiff::Timestamp;

use super::answer::Flow;
use crate::collect;
use kestrel_core::evidence::poll::{Cursor, Poll};

impl Flow {
    /// Looks at the devices behind the cursor, as many as two seconds allow, and moves it on. Never fails:
    /// what could not be read is in the answer.
    pub async fn poll(&self, cursor: &mut Cursor, now: Timestamp) -> Poll {
        let database = self.config.database.as_ref();
        collect::postgres::poll::poll(database, cursor, now, self.config.limits.deadline).await
    }
}
