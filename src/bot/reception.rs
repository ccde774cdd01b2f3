//! Who is read now, and who waits: one report of each user at a time, a few in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use matrix_sdk::{Client, Room};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::enclosed::Refused;
use super::ops_rooms::OpsRooms;
use crate::config::Config;
use crate::evidence::artefact::Limits;
use crate::store::Ledger;

/// How many files are read at a time: each may unpack to hundreds of megabytes.
const AT_ONCE: usize = 2;

/// What taking reports needs.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) limits: Limits,
    /// Where reports are told.
    room: Option<OwnedRoomId>,
    places: Arc<Semaphore>,
    /// Whose report is being read: one of each user's at a time.
    turns: Mutex<HashMap<OwnedUserId, Arc<Turn<()>>>>,
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
        }
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
