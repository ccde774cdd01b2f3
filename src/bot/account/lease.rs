//! Two processes on one account → one that works and one that ends: a lease in the account's data names the
//! store and the run that hold the account.
//!
//! No two clocks are ever compared. A run is newer because its number is higher, and a lease has lapsed because
//! it did not change while it was watched. The homeserver has no compare-and-swap for account data, so every
//! write is read back, now and at each renewal: of two that wrote at the same time the later write stays, and
//! the other process finds it.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::{Client, HttpError};
use tokio::sync::Notify;

pub(crate) use super::lease_record::{AccountHolder, LeaseRecord, StoreRun, TYPE, holder, read};
use super::lease_record::{place, write};

use super::client::{patiently, session_is_over};
use super::random;
use super::session_end::{NeedsPerson, SessionEnd, UnusableDevice};
use crate::store::Store;

/// How often a held lease is renewed.
const RENEW: Duration = Duration::from_secs(20);
/// The first renewal comes sooner: another process may have written at the same moment.
const SOON: Duration = Duration::from_secs(2);
/// A lease that was not renewed for so long has lapsed.
const LAPSE: Duration = Duration::from_secs(60);
/// How often another's lease is checked, and how soon a failed renewal is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// A longer pause between two checks means that the homeserver or this process was not running: the holder may not
/// have been able to renew either.
const GAP: Duration = Duration::from_secs(15);
/// How long giving the lease back may delay the end of the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// A lease of another that is watched.
#[derive(Debug)]
struct Observation {
    record: LeaseRecord,
    since: Instant,
    last: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Liveness {
    Alive,
    Unsure,
    Lapsed,
}

impl Observation {
    fn new(record: LeaseRecord, now: Instant) -> Self {
        Self { record, since: now, last: now }
    }

    fn look(&mut self, record: &LeaseRecord, now: Instant) -> Liveness {
        if *record != self.record {
            return Liveness::Alive;
        }
        if now.duration_since(self.last) > GAP {
            self.since = now;
        }
        self.last = now;
        if now.duration_since(self.since) >= LAPSE { Liveness::Lapsed } else { Liveness::Unsure }
    }
}

/// The lease, held by this process; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    inner: Arc<LeaseShared>,
}

#[derive(Debug)]
struct LeaseShared {
    client: Client,
    store: Store,
    record: tokio::sync::Mutex<LeaseRecord>,
    sure: Mutex<ConfirmedAt>,
    /// A caller wants certainty before the next renewal.
    wanted: Notify,
    renewed: Notify,
}

/// When the lease was last known to be this process's own.
#[derive(Debug, Clone, Copy)]
struct ConfirmedAt {
    at: Instant,
    /// The monotonic clock stops while the machine sleeps; this one does not.
    wall: Timestamp,
}

impl ConfirmedAt {
    fn now() -> Self {
        Self { at: Instant::now(), wall: Timestamp::now() }
    }

    /// Whether another may have taken the account since. A clock that was set costs one look.
    fn is_past(&self, now: &Self) -> bool {
        let lapse = SignedDuration::try_from(LAPSE).unwrap_or(SignedDuration::MAX);
        now.at.duration_since(self.at) >= LAPSE || now.wall.duration_since(self.wall).abs() >= lapse
    }
}

/// Takes the account for this store: at once if it is free or this store's own, otherwise when the holder's
/// lease lapses. A holder that is alive is an error for a person. An older copy of a store is `UnusableDevice`.
pub(crate) async fn take(client: &Client, store: &Store) -> Result<Lease> {
    loop {
        let seen = wait_until_free(client, store).await?;
        if let Some(lease) = claim(client, store, seen.map_or(0, |record| record.run)).await? {
            return Ok(lease);
        }
        tracing::info!(
            "another process wrote the account's lease at the same time; checking again"
        );
    }
}

/// Waits until no other store holds the account; gives the record that is there then.
pub(crate) async fn wait_until_free(client: &Client, store: &Store) -> Result<Option<LeaseRecord>> {
    let store_run = StoreRun::load_or_create(store)?;
    let mut watch: Option<Observation> = None;
    loop {
        let seen = patiently("asking which process uses the account", || read(client)).await?;
        let holder = holder(seen.as_ref(), Some(&store_run));
        let Some(record) = &seen else { return Ok(seen) };
        if holder == AccountHolder::Free {
            return Ok(seen);
        }
        if holder == AccountHolder::Copy && record.released {
            return Err(UnusableDevice::OlderCopy.into());
        }
        let now = Instant::now();
        let sign = match &mut watch {
            Some(watch) => watch.look(record, now),
            None => {
                tracing::warn!(
                    "{} uses the account; checking for {LAPSE:?} whether that process still runs",
                    record.describe()
                );
                watch = Some(Observation::new(record.clone(), now));
                Liveness::Unsure
            }
        };
        match (sign, holder) {
            (Liveness::Alive, AccountHolder::Copy) => return Err(copied(record)),
            (Liveness::Alive, _) => return Err(held_elsewhere(record)),
            (Liveness::Lapsed, AccountHolder::Copy) => return Err(UnusableDevice::OlderCopy.into()),
            (Liveness::Lapsed, _) => {
                tracing::warn!("{} did not renew its lease; taking over", record.describe());
                return Ok(seen);
            }
            (Liveness::Unsure, _) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Marks unknown runs of this store as known. For a store with a new device: its encryption state is no longer that
/// of an older copy.
pub(crate) async fn adopt(client: &Client, store: &Store) -> Result<()> {
    let mut store_run = StoreRun::load_or_create(store)?;
    let seen = patiently("asking which process uses the account", || read(client)).await?;
    if let Some(record) =
        seen.filter(|record| record.store == store_run.store && record.run > store_run.run)
    {
        store_run.run = record.run;
        store_run.save(store)?;
    }
    Ok(())
}

/// Writes the lease; `None` when another process wrote it at the same time.
async fn claim(client: &Client, store: &Store, seen: u64) -> Result<Option<Lease>> {
    let mut store_run = StoreRun::load_or_create(store)?;
    store_run.run = store_run.run.max(seen) + 1;
    // On disk first, so that the store knows every run that the account can name.
    store_run.save(store)?;
    let record = LeaseRecord {
        store: store_run.store,
        place: place(store),
        run: store_run.run,
        writer: random::hex(8)?,
        beat: 0,
        released: false,
    };
    let sure = ConfirmedAt::now();
    patiently("taking the account", || write(client, &record)).await?;
    if !is_ours(client, &record).await? {
        return Ok(None);
    }
    tracing::info!("this process uses the account: {}", record.describe());
    Ok(Some(Lease {
        inner: Arc::new(LeaseShared {
            client: client.clone(),
            store: store.clone(),
            record: tokio::sync::Mutex::new(record),
            sure: Mutex::new(sure),
            wanted: Notify::new(),
            renewed: Notify::new(),
        }),
    }))
}

/// Whether the record that was just written is there. A homeserver of several processes may show the older one for
/// a moment.
async fn is_ours(client: &Client, record: &LeaseRecord) -> Result<bool> {
    for pause in [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)] {
        tokio::time::sleep(pause).await;
        let back = patiently("asking which process uses the account", || read(client)).await?;
        if back.is_some_and(|back| back.writer == record.writer) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Lease {
    /// Renews the lease as long as this process holds it; ends with the reason when it is lost. A homeserver that is
    /// offline does not end it: the holder is checked again when it is back.
    pub(crate) async fn hold(self) -> anyhow::Error {
        let mut pause = SOON;
        let mut retry = LOOK;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.inner.wanted.notified() => {}
            }
            match self.renew().await {
                Ok(None) => {
                    pause = RENEW;
                    retry = LOOK;
                }
                Ok(Some(lost)) => return lost,
                Err(error) if SessionEnd::in_chain(&error).is_some() => {
                    return session_is_over(error);
                }
                Err(error) => {
                    tracing::warn!("the account's lease could not be renewed yet: {error:#}");
                    pause = retry;
                    retry = (retry * 2).min(RENEW);
                }
            }
        }
    }

    /// Checks who holds the account and renews this run's lease; returns the reason if another holds it.
    async fn renew(&self) -> Result<Option<anyhow::Error>> {
        let mut record = self.inner.record.lock().await;
        let sure = ConfirmedAt::now();
        let seen = read(&self.inner.client).await?;
        match standing(&record, seen.as_ref()) {
            LeaseState::Ours => {}
            LeaseState::Free(run) => {
                record.run = run;
                let store_run = StoreRun { store: record.store.clone(), run };
                store_run.save(&self.inner.store)?;
            }
            LeaseState::Newer => return Ok(seen.as_ref().map(copied)),
            LeaseState::Other => return Ok(seen.as_ref().map(held_elsewhere)),
        }
        record.beat += 1;
        write(&self.inner.client, &record).await?;
        *self.lock() = sure;
        self.inner.renewed.notify_waiters();
        Ok(None)
    }

    /// Waits until the account certainly belongs to this process: at once, except after an outage of the homeserver
    /// or a pause of the process. Then the lease is renewed first. `hold` must run at the same time.
    pub(crate) async fn sure(&self) {
        loop {
            let renewed = self.inner.renewed.notified();
            if !self.is_unsure() {
                return;
            }
            self.inner.wanted.notify_one();
            renewed.await;
        }
    }

    /// Ends when another process may have taken the account. It never wakes its task: poll it before other work.
    pub(crate) async fn doubt(&self) {
        std::future::poll_fn(|_| if self.is_unsure() { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    fn is_unsure(&self) -> bool {
        self.lock().is_past(&ConfirmedAt::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ConfirmedAt> {
        // Nothing panics while it is held.
        self.inner.sure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the account, so that another store need not wait. Best effort: without it the lease lapses.
    pub(crate) async fn release(&self) {
        let done = tokio::time::timeout(FAREWELL, async {
            let mut record = self.inner.record.lock().await;
            let seen = read(&self.inner.client).await?;
            if seen.is_some_and(|seen| seen.writer == record.writer) {
                record.released = true;
                write(&self.inner.client, &record).await?;
            }
            Ok::<_, HttpError>(())
        });
        match done.await {
            Ok(Ok(())) => tracing::info!("the account is released"),
            Ok(Err(error)) => tracing::info!("the account's lease was not released: {error}"),
            Err(_) => tracing::info!("the account's lease was not released within {FAREWELL:?}"),
        }
    }
}

/// What a holder finds in the account's data.
#[derive(Debug, PartialEq, Eq)]
enum LeaseState {
    Ours,
    /// Free, or held by an older run: this run takes it again, under this number.
    Free(u64),
    /// A newer run of the same store.
    Newer,
    Other,
}

fn standing(own: &LeaseRecord, seen: Option<&LeaseRecord>) -> LeaseState {
    let Some(seen) = seen else {
        return LeaseState::Free(own.run);
    };
    if seen.writer == own.writer {
        return LeaseState::Ours;
    }
    if seen.store == own.store {
        // Of two that took the same number, the random part decides: both find the same one.
        let newer = (seen.run, &seen.writer) > (own.run, &own.writer);
        return if newer { LeaseState::Newer } else { LeaseState::Free(own.run) };
    }
    if seen.released { LeaseState::Free(own.run.max(seen.run) + 1) } else { LeaseState::Other }
}

fn held_elsewhere(record: &LeaseRecord) -> anyhow::Error {
    NeedsPerson::error(format!(
        "another store uses this account: {}. Two processes on one account answer every command twice, so \
         this one ends. Stop the other process, then start this one",
        record.describe()
    ))
}

fn copied(record: &LeaseRecord) -> anyhow::Error {
    NeedsPerson::error(format!(
        "a newer run of this store uses the account: {}. The machine or the store folder was copied, and \
         two processes with one device break its encryption, so this one ends. Keep one copy and delete the \
         other. If the one that you keep was copied while the other ran, run `kestrel login` for it",
        record.describe()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::lease_record::tests::{record, released};
    use super::*;

    #[test]
    fn of_two_runs_exactly_one_finds_the_other_newer() {
        for (one, two) in [
            (record("a", 6, "x"), record("a", 7, "y")),
            (record("a", 6, "x"), record("a", 6, "y")),
            (record("a", 6, "y"), record("a", 7, "x")),
        ] {
            assert_eq!(standing(&one, Some(&two)), LeaseState::Newer);
            assert_eq!(standing(&two, Some(&one)), LeaseState::Free(two.run));
        }
        let own = record("a", 6, "x");
        assert_eq!(standing(&own, Some(&own)), LeaseState::Ours);
        assert_eq!(standing(&own, None), LeaseState::Free(6));
        assert_eq!(standing(&own, Some(&record("b", 1, "y"))), LeaseState::Other);
        assert_eq!(standing(&own, Some(&released(record("b", 9, "y")))), LeaseState::Free(10));
    }

    #[test]
    fn a_lease_lapses_when_it_was_watched_for_a_minute_without_a_gap() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let held = record("b", 3, "y");
        let mut watch = Observation::new(held.clone(), start);
        for second in (5..60).step_by(5) {
            assert_eq!(watch.look(&held, at(second)), Liveness::Unsure, "{second}");
        }
        assert_eq!(watch.look(&held, at(60)), Liveness::Lapsed);

        // The homeserver is away from 10 to 300: the holder could not renew.
        let mut watch = Observation::new(held.clone(), start);
        assert_eq!(watch.look(&held, at(10)), Liveness::Unsure);
        for second in (300..360).step_by(5) {
            assert_eq!(watch.look(&held, at(second)), Liveness::Unsure, "{second}");
        }
        assert_eq!(watch.look(&held, at(360)), Liveness::Lapsed);

        let mut watch = Observation::new(held.clone(), start);
        let renewed = LeaseRecord { beat: 1, ..held };
        assert_eq!(watch.look(&renewed, at(5)), Liveness::Alive);
    }

    #[test]
    fn a_machine_that_slept_is_unsure() {
        let sure = ConfirmedAt::now();
        let later = |seconds: i64, wall: i64| ConfirmedAt {
            at: sure.at + Duration::from_secs(seconds.unsigned_abs()),
            wall: sure.wall + SignedDuration::from_secs(wall),
        };
        assert!(!sure.is_past(&later(59, 59)));
        assert!(sure.is_past(&later(60, 0)));
        // Suspended: the monotonic clock did not advance. Or a clock was set: one check too many.
        assert!(sure.is_past(&later(1, 3600)));
        assert!(sure.is_past(&later(1, -3600)));
    }
}
