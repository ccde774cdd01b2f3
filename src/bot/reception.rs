//! Who is read now, and who waits: one report at a time, and of each user one in the queue. Reports are read
//! on a thread of their own.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use matrix_sdk::{Client, Room};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::enclosed::Refused;
use super::ops_rooms::OpsRooms;
use crate::config::Config;
use crate::store::Ledger;
use kestrel_core::evidence::client_file::Limits;

/// How many reports are fetched, read and handed on at a time. One may take up to 64 MiB of memory, and the bot
/// runs under a limit.
const AT_ONCE: usize = 1;

/// Work for the thread that reads.
type Job = Box<dyn FnOnce() + Send>;

/// What taking reports needs.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) limits: Limits,
    /// Where reports are told.
    room: Option<OwnedRoomId>,
    places: Arc<Semaphore>,
    /// Whose report is being read: one of each user's at a time.
    turns: Mutex<HashMap<OwnedUserId, Arc<Turn<()>>>>,
    /// The thread that reads, once there was something to read.
    reader: Mutex<Option<Sender<Job>>>,
}

/// A place among those who are read, and the sender's turn.
pub(super) struct Seat {
    pub(super) place: Arc<OwnedSemaphorePermit>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Reception {
    pub(super) fn new(config: &Config) -> Self {
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

    /// Does work that reads what somebody sent. Always on the same thread: each thread that matches patterns
    /// keeps some megabytes for it, for good.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        self.queue(Box::new(move || drop(tell.send(work()))))?;
        // A panic's own words may quote what somebody wrote, so they are left to the panic hook.
        told.await.context("reading what was sent panicked")
    }

    fn queue(&self, job: Job) -> Result<()> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*reader {
            Some(jobs) => jobs,
            None => reader.insert(started()?),
        };
        jobs.send(job).ok().context("the thread that reads reports has ended")
    }

    /// A seat, if one is free now.
    pub(super) fn try_seat(&self, sender: &UserId) -> Option<Seat> {
        let turn = self.turn(sender).try_lock_owned().ok()?;
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Seat { place: Arc::new(place), _turn: Some(turn) })
    }

    /// A seat, when it is the sender's turn.
    pub(super) async fn seat(&self, sender: &UserId) -> Result<Seat> {
        let turn = self.turn(sender).lock_owned().await;
        Ok(Seat { _turn: Some(turn), ..self.place().await? })
    }

    /// A place of no user's own.
    pub(super) async fn place(&self) -> Result<Seat> {
        let place = self.places.clone().acquire_owned().await?;
        Ok(Seat { place: Arc::new(place), _turn: None })
    }

    fn turn(&self, sender: &UserId) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits holds a clone.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(sender.to_owned()).or_default().clone()
    }

    /// The room that reports are told in, while the bot is in it. After an upgrade that is the old room as long as
    /// the bot may send there and the new one is not proven.
    pub(super) async fn ops_room(&self, client: &Client, ledger: &Ledger) -> Result<Room> {
        let open = match &self.room {
            Some(room) => {
                OpsRooms::of(std::slice::from_ref(room), ledger).open(client, room).await.ok()
            }
            None => None,
        };
        open.and_then(|open| open.rooms.into_iter().next()).ok_or_else(|| {
            let says = "I cannot hand it on just now: the administrators' room is not open to me. Send it again \
                        later, please.";
            Refused(says.to_owned()).into()
        })
    }
}

/// Starts the thread that reads; it ends with the last sender.
fn started() -> Result<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let run = move || {
        for job in queue {
            // What panicked has told nobody, which is how it is noticed.
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
        let config = Config::parse(super::super::BOT, std::path::Path::new(".")).unwrap();
        let reception = Reception::new(&config);
        let place = reception.place().await.unwrap();
        assert!(reception.try_seat(ruma::user_id!("@a:example.org")).is_none());
        drop(place);
        let seat = reception.try_seat(ruma::user_id!("@a:example.org")).unwrap();
        assert!(reception.try_seat(ruma::user_id!("@b:example.org")).is_none());
        drop(seat);
        let first = reception.read(|| thread::current().id()).await.unwrap();
        assert!(reception.read(move || assert!(thread::current().id() != first)).await.is_err());
        assert_eq!(reception.read(|| thread::current().id()).await.unwrap(), first);
    }
}
