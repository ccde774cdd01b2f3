//! The lease as it is stored: a record in the account's data, and the store's own name in `lease.json`. Reads and
//! writes both, and says who holds the account. It decides nothing.

use std::fs;

use anyhow::Result;
use matrix_sdk::ruma::api::client::config::{get_global_account_data, set_global_account_data};
use matrix_sdk::ruma::api::error::{ErrorKind, IntoHttpError};
use matrix_sdk::ruma::events::AnyGlobalAccountDataEventContent;
use matrix_sdk::ruma::serde::Raw;
use matrix_sdk::{Client, HttpError};
use ruma::UserId;
use serde::{Deserialize, Serialize};

use super::random;
use super::session_end::NeedsPerson;
use crate::store::Store;

/// The type of the account data.
pub(crate) const TYPE: &str = "org.kestrel.lease";

/// Beyond this a JSON number is not exact everywhere.
const HIGHEST: u64 = 1 << 53;

/// The record in the account's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    /// The store that holds the account.
    pub(crate) store: String,
    /// Where it is, for people.
    #[serde(default)]
    pub(crate) place: String,
    /// Counts the runs on this account: a newer run has a higher number.
    pub(crate) run: u64,
    /// Random, and new for each run: distinguishes two runs that took the same number.
    pub(crate) writer: String,
    /// Counts the renewals.
    #[serde(default)]
    pub(crate) beat: u64,
    /// The run ended and gave the lease back.
    #[serde(default)]
    pub(crate) released: bool,
}

impl LeaseRecord {
    /// Store and run, for people. The account's data is foreign text: anybody with a token can write it.
    pub(crate) fn describe(&self) -> String {
        let plain = |text: &str, most| -> String {
            let is_plain = |c: &char| c.is_alphanumeric() || c.is_ascii_graphic() || *c == ' ';
            text.chars().filter(is_plain).take(most).collect()
        };
        let store = plain(&self.store, 8);
        let place = plain(&self.place, 160);
        match place.as_str() {
            "" => format!("store {store}, run {}", self.run),
            place => format!("store {store}, run {}, {place}", self.run),
        }
    }
}

/// `lease.json`: the store's own name, created once, and the number of its newest run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreRun {
    pub(crate) store: String,
    pub(crate) run: u64,
}

impl StoreRun {
    pub(crate) fn load_or_create(store: &Store) -> Result<Self> {
        if let Some(text) = store.lease()? {
            return Self::read(&text).ok_or_else(|| {
                NeedsPerson::error(
                    "lease.json in the store cannot be read. It names this store to other processes on the \
                     same account. Remove it and start again: the start then waits until an older lease lapses",
                )
            });
        }
        let store_run = Self { store: random::hex(16)?, run: 0 };
        store_run.save(store)?;
        Ok(store_run)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn save(&self, store: &Store) -> Result<()> {
        store.save_lease(&serde_json::to_string_pretty(self)?)
    }
}

/// Who holds the account, as one store sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountHolder {
    /// Nobody, or an earlier run of this store. The store's lock shows that that run has ended.
    Free,
    /// A run of this store that is not known here: this is an older copy.
    Copy,
    Other,
}

/// Who holds the account.
pub(crate) fn holder(record: Option<&LeaseRecord>, store_run: Option<&StoreRun>) -> AccountHolder {
    match (record, store_run) {
        (None, _) => AccountHolder::Free,
        (Some(record), Some(store_run)) if record.store == store_run.store => {
            if record.run > store_run.run { AccountHolder::Copy } else { AccountHolder::Free }
        }
        (Some(record), _) if record.released => AccountHolder::Free,
        _ => AccountHolder::Other,
    }
}

/// The record in the account's data. One that cannot be read is none.
pub(crate) async fn read(client: &Client) -> Result<Option<LeaseRecord>, HttpError> {
    let user = own(client)?.to_owned();
    let request = get_global_account_data::v3::Request::new(user, TYPE.into());
    match client.send(request).await {
        Ok(answer) => {
            let record = serde_json::from_str::<LeaseRecord>(answer.account_data.json().get());
            if let Err(error) = &record {
                tracing::warn!("the account's lease cannot be read and is ignored: {error}");
            }
            Ok(record.ok().filter(|record| record.run < HIGHEST))
        }
        Err(error) if error.client_api_error_kind() == Some(&ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn write(client: &Client, record: &LeaseRecord) -> Result<(), HttpError> {
    let user = own(client)?.to_owned();
    let content = Raw::new(record).map_err(|error| HttpError::IntoHttp(error.into()))?;
    let content: Raw<AnyGlobalAccountDataEventContent> = content.cast_unchecked();
    let request = set_global_account_data::v3::Request::new_raw(user, TYPE.into(), content);
    client.send(request).await.map(drop)
}

fn own(client: &Client) -> Result<&UserId, HttpError> {
    let none = || HttpError::IntoHttp(IntoHttpError::Authentication("there is no session".into()));
    client.user_id().ok_or_else(none)
}

/// The host and the folder, for people.
pub(crate) fn place(store: &Store) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let folder = std::path::absolute(store.folder()).unwrap_or_else(|_| store.folder().to_owned());
    match host.trim() {
        "" => format!("folder {}", folder.display()),
        host => format!("host {host}, folder {}", folder.display()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;

    pub(crate) fn record(store: &str, run: u64, writer: &str) -> LeaseRecord {
        LeaseRecord {
            store: store.to_owned(),
            place: String::new(),
            run,
            writer: writer.to_owned(),
            beat: 0,
            released: false,
        }
    }

    pub(crate) fn released(record: LeaseRecord) -> LeaseRecord {
        LeaseRecord { released: true, ..record }
    }

    #[test]
    fn a_store_continues_its_own_runs_and_waits_for_others() {
        let store_run = StoreRun { store: "a".to_owned(), run: 5 };
        let held_by = |record: LeaseRecord| holder(Some(&record), Some(&store_run));
        assert_eq!(holder(None, Some(&store_run)), AccountHolder::Free);
        // Killed or stopped: its own earlier run.
        assert_eq!(held_by(record("a", 5, "x")), AccountHolder::Free);
        assert_eq!(held_by(record("a", 4, "x")), AccountHolder::Free);
        assert_eq!(held_by(record("a", 6, "x")), AccountHolder::Copy);
        assert_eq!(held_by(released(record("a", 6, "x"))), AccountHolder::Copy);
        assert_eq!(held_by(record("b", 1, "x")), AccountHolder::Other);
        assert_eq!(held_by(released(record("b", 9, "x"))), AccountHolder::Free);
    }

    #[test]
    fn what_an_account_says_is_foreign_text() {
        let mut hostile = record("\u{1b}[31mstore", 7, "x");
        hostile.place = format!("host \u{202e}evil\n, {}", "x".repeat(500));
        let told = hostile.describe();
        assert!(told.len() < 220 && !told.contains(['\u{1b}', '\n', '\u{202e}']), "{told}");
        assert!(told.contains("run 7"), "{told}");
    }

    #[test]
    fn a_store_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let first = StoreRun::load_or_create(&store).unwrap();
        assert_eq!((first.store.len(), first.run), (32, 0));
        assert_eq!(StoreRun::load_or_create(&store).unwrap(), first);
        store.save_lease("torn").unwrap();
        assert!(StoreRun::load_or_create(&store).unwrap_err().is::<NeedsPerson>());
    }
}
