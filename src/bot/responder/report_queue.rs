//! Which report is read now, and which wait: one at a time, and one per user in the queue. Reports are read on a
//! separate thread.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use matrix_sdk::{Client, Room};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bot::attachment::ReportRefused;
use crate::bot::ops_rooms::OpsRooms;
use crate::config::Config;
use crate::store::Ledger;
use kestrel_core::evidence::client_file::Limits;
use kestrel_core::render::replies;

/// How many reports are downloaded, read and posted at a time. One may take up to 64 MiB of memory, and the bot runs
/// under a limit.
const AT_ONCE: usize = 1;

/// Work for the thread that reads.
type Job = Box<dyn FnOnce() + Send>;

/// The queue of reports.
#[derive(Debug)]
pub(crate) struct ReportQueue {
    pub(crate) limits: Limits,
    /// The room where reports are posted.
    room: Option<OwnedRoomId>,
    places: Arc<Semaphore>,
    /// One lock per user: one report of each user at a time.
    turns: Mutex<HashMap<OwnedUserId, Arc<Turn<()>>>>,
    /// The thread that reads, once there was something to read.
    reader: Mutex<Option<Sender<Job>>>,
}

/// A place among the reports that are read, and the sender's turn.
pub(crate) struct Slot {
    pub(crate) place: Arc<OwnedSemaphorePermit>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl ReportQueue {
    pub(crate) fn new(config: &Config) -> Self {
        let reports = &config.reports;
        let limits =
            Limits { size: reports.largest, addresses: reports.addresses, ..Limits::default() };
        Self {
            limits,
            room: reports.room.clone(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            turns: Mutex::default(),
            reader: Mutex::default(),
        }
    }

    /// Runs work that reads a user's file. Always on the same thread: each thread that matches patterns permanently
    /// uses some megabytes for it.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        self.queue(Box::new(move || drop(tell.send(work()))))?;
        // A panic's text may quote a user, so only the panic hook logs it.
        told.await.context("reading the report panicked")
    }

    fn queue(&self, job: Job) -> Result<()> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*reader {
            Some(jobs) => jobs,
            None => reader.insert(started()?),
        };
        jobs.send(job).ok().context("the thread that reads reports has ended")
    }

    /// A slot, if one is free now.
    pub(crate) fn try_slot(&self, sender: &UserId) -> Option<Slot> {
        let turn = self.turn(sender).try_lock_owned().ok()?;
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Slot { place: Arc::new(place), _turn: Some(turn) })
    }

    /// A slot, when it is the sender's turn.
    pub(crate) async fn slot(&self, sender: &UserId) -> Result<Slot> {
        let turn = self.turn(sender).lock_owned().await;
        Ok(Slot { _turn: Some(turn), ..self.anonymous_slot().await? })
    }

    /// A slot that belongs to no user.
    pub(crate) async fn anonymous_slot(&self) -> Result<Slot> {
        let place = self.places.clone().acquire_owned().await?;
        Ok(Slot { place: Arc::new(place), _turn: None })
    }

    fn turn(&self, sender: &UserId) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // A waiting sender has a clone.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(sender.to_owned()).or_default().clone()
    }

    /// The room for reports, if the bot is in it. After an upgrade that is the old room as long as the bot may send
    /// there and the new one is not proven.
    pub(crate) async fn ops_room(&self, client: &Client, ledger: &Ledger) -> Result<Room> {
        let open = match &self.room {
            Some(room) => OpsRooms::from_ledger(std::slice::from_ref(room), ledger)
                .open(client, room)
                .await
                .ok(),
            None => None,
        };
        open.and_then(|open| open.rooms.into_iter().next())
            .ok_or_else(|| ReportRefused(replies::no_ops_room().to_owned()).into())
    }
}

/// Starts the thread that reads; it ends with the last sender.
fn started() -> Result<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let run = move || {
        for job in queue {
            // A job that panicked sends no result, which is how it is noticed.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    };
    thread::Builder::new().name("reports".into()).spawn(run)?;
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_are_read_one_at_a_time_and_a_panic_ends_only_itself() {
        let config = Config::parse(crate::bot::settings::BOT, std::path::Path::new(".")).unwrap();
        let report_queue = ReportQueue::new(&config);
        let place = report_queue.anonymous_slot().await.unwrap();
        assert!(report_queue.try_slot(ruma::user_id!("@a:example.org")).is_none());
        drop(place);
        let slot = report_queue.try_slot(ruma::user_id!("@a:example.org")).unwrap();
        assert!(report_queue.try_slot(ruma::user_id!("@b:example.org")).is_none());
        drop(slot);
        let first = report_queue.read(|| thread::current().id()).await.unwrap();
        assert!(report_queue.read(move || assert!(thread::current().id() != first)).await.is_err());
        assert_eq!(report_queue.read(|| thread::current().id()).await.unwrap(), first);
    }
}
