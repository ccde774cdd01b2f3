//! Turns an account into a member of a call whose delayed leave is kept alive, and breaks that in the ways
//! it breaks on real servers.
//!
//! A member behaves as matrix-js-sdk's `MembershipManager` does: a restart that has no answer after 2 s is
//! given up without closing it, and the next one is sent at once. Requests are real, and so is every fault:
//! a lock is a transaction that holds the row, a slow database is one that stands still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::lab::{Account, Lab};
use crate::wire::Wire;

/// A client gives a restart up after so long (js-sdk 41).
const PATIENCE: Duration = Duration::from_secs(2);
const KIND: &str = "org.matrix.msc3401.call.member";
const EVENTS: &str = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events";

/// Somebody in a call.
#[derive(Debug)]
pub struct Member {
    pub account: Account,
    pub room: String,
    /// What lets anyone act on the delayed leave.
    pub delay_id: String,
    pub address: String,
    wire: Wire,
    /// Its restarts carry its token, as js-sdk #5340 does for Synapse 1.156 and later.
    authenticated: bool,
}

/// How restarts of a while were answered.
#[derive(Debug, Default, Clone, Copy)]
pub struct Answered {
    pub good: u64,
    pub limited: u64,
    pub gone: u64,
    /// Given up before the answer came.
    pub late: u64,
}

impl Member {
    /// Makes an account at an address, a room, and a delayed leave of so many milliseconds.
    pub async fn join(lab: &Lab, name: &str, address: &str, delay: u64) -> Result<Self> {
        let mut member = Self::without_leave(lab, name, address).await?;
        member.delay_id = member.delay_leave(delay).await?;
        let path = member.state();
        let token = Some(member.account.access_token.as_str());
        member.wire.put(&path, token, json!({"application": "m.call"})).await?;
        Ok(member)
    }

    /// The same, without the leave: for a server that has no delayed events.
    pub async fn without_leave(lab: &Lab, name: &str, address: &str) -> Result<Self> {
        let account = lab.register(&lab.fresh_name(name)).await?;
        Self::of(lab, account, address).await
    }

    /// A room for an account that is there already; no leave yet.
    pub async fn of(lab: &Lab, account: Account, address: &str) -> Result<Self> {
        let wire = lab.wire().behind(address);
        let token = Some(account.access_token.as_str());
        let made = wire.post("/_matrix/client/v3/createRoom", token, json!({})).await?;
        let room = made["room_id"].as_str().context("no room id")?.to_owned();
        let delay_id = String::new();
        let address = address.to_owned();
        Ok(Self { account, room, delay_id, address, wire, authenticated: false })
    }

    /// Sends its token with restarts from now on.
    pub fn authenticate(mut self) -> Self {
        self.authenticated = true;
        self
    }

    /// Makes a delayed leave; gives its id.
    pub async fn delay_leave(&self, delay: u64) -> Result<String> {
        let path = format!("{}?org.matrix.msc4140.delay={delay}", self.state());
        let token = Some(self.account.access_token.as_str());
        let made = self.wire.put(&path, token, json!({})).await?;
        Ok(made["delay_id"].as_str().context("no delay id")?.to_owned())
    }

    fn state(&self) -> String {
        let Account { user_id, device_id, .. } = &self.account;
        let (room, key) = (encoded(&self.room), encoded(&format!("_{user_id}_{device_id}_m.call")));
        format!("/_matrix/client/v3/rooms/{room}/state/{KIND}/{key}")
    }

    /// Any other request of the client's.
    pub async fn look_around(&self) -> Result<()> {
        let token = Some(self.account.access_token.as_str());
        self.wire.get("/_matrix/client/v3/sync?timeout=0", token).await.map(drop)
    }

    /// `restart`, `cancel` or `send` by the path; the status of the answer.
    pub async fn act(&self, action: &str) -> Result<u16> {
        self.wire
            .status(&format!("{EVENTS}/{}/{action}", self.delay_id), self.token(), json!({}))
            .await
    }

    /// The same with the action in the body.
    pub async fn act_in_body(&self, action: &str) -> Result<u16> {
        let body = json!({ "action": action });
        self.wire.status(&format!("{EVENTS}/{}", self.delay_id), self.token(), body).await
    }

    fn token(&self) -> Option<&str> {
        self.authenticated.then_some(self.account.access_token.as_str())
    }

    /// Keeps the leave alive for a while as js-sdk does, one restart every so often.
    pub async fn stay(&self, length: Duration, every: Duration) -> Result<Answered> {
        let end = Instant::now() + length;
        let (mut answered, mut given_up) = (Answered::default(), JoinSet::new());
        while Instant::now() < end {
            let path = format!("{EVENTS}/{}/restart", self.delay_id);
            let (wire, token) = (self.wire.clone(), self.token().map(str::to_owned));
            let mut request =
                tokio::spawn(async move { wire.status(&path, token.as_deref(), json!({})).await });
            match tokio::time::timeout(PATIENCE, &mut request).await {
                Ok(status) => {
                    answered.count(status??);
                    tokio::time::sleep(every).await;
                }
                Err(_) => {
                    answered.late += 1;
                    given_up.spawn(request);
                }
            }
        }
        while let Some(status) = given_up.join_next().await {
            answered.count(status???);
        }
        Ok(answered)
    }

    /// A transaction of somebody else's that holds the leave's row, and changes it, for a while.
    pub async fn lock_row(&self, lab: &Lab, length: Duration) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&lab.database_url(), NoTls).await?;
        let driver = tokio::spawn(connection);
        client.batch_execute("BEGIN").await?;
        let statement = "UPDATE delayed_events SET delay = delay WHERE delay_id = $1";
        client.execute(statement, &[&self.delay_id]).await?;
        tokio::time::sleep(length).await;
        client.batch_execute("COMMIT").await?;
        drop(client);
        driver.await??;
        Ok(())
    }
}

impl Answered {
    fn count(&mut self, status: u16) {
        match status {
            200 => self.good += 1,
            429 => self.limited += 1,
            404 => self.gone += 1,
            _ => {}
        }
    }
}

/// An address that no other member has.
pub fn fresh_address() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("198.51.100.{}", number % 250 + 1)
}

/// One segment of a path.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
