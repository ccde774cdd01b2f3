//! Moves the list of answered events of an older Kestrel into the ledger, once.
//!
//! That Kestrel kept digests of events in a file `handled`: a line when an answer started, a line when it
//! ended, and a header with the creation time of the store. Unfinished answers are not moved: the room is
//! read again, and they are accepted again.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;

use super::ledger::Ledger;

const HEAD: &str = "kestrel handled 1 since ";

/// Records in the ledger when this store was created and what the file says, then deletes the file.
pub(super) fn take_over(path: &Path, ledger: &Ledger, now: Timestamp) -> Result<()> {
    let text = match fs::read(path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return ledger.begin_at(now, &[]),
        Err(error) => return Err(error.into()),
    };
    let mut lines = text.lines();
    let since = lines.next().and_then(read_head).unwrap_or(now);
    // An incomplete last line has no known word or no full digest.
    let ended = lines.filter_map(|line| line.strip_prefix("ended "));
    let ended: Vec<_> = ended.filter(|event| event.len() == 64).map(str::to_owned).collect();
    ledger.begin_at(since, &ended)?;
    Ok(fs::remove_file(path)?)
}

fn read_head(line: &str) -> Option<Timestamp> {
    let since = line.strip_prefix(HEAD)?.parse().ok()?;
    Timestamp::from_millisecond(since).ok()
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id};

    use super::*;
    use crate::store::files::digest;
    use crate::store::{HandedIn, Store};

    #[test]
    fn the_list_of_an_older_kestrel_is_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handled");
        let done = event_id!("$done");
        let begun = event_id!("$begun");
        let lines = format!(
            "{HEAD}1795348000123\nbegun {}\nended {}\nbegun {}\nended 00\u{fffd}",
            digest(done),
            digest(done),
            digest(begun)
        );
        fs::write(&path, lines).unwrap();
        let later = Timestamp::from_second(1_795_400_000).unwrap();
        let store = Store::open(folder.path(), later).unwrap();
        assert_eq!(store.since(), Timestamp::from_millisecond(1_795_348_000_123).unwrap());
        let ledger = store.ledger();
        let room = room_id!("!ops:x");
        let hand_in = |event| ledger.accept(event, room, ("!help", 9), later).unwrap();
        assert_eq!(hand_in(done), HandedIn::Known, "answered twice");
        assert_eq!(hand_in(begun), HandedIn::Accepted, "never answered");
        assert!(!path.exists());
        drop((store, ledger));
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(store.since(), Timestamp::from_millisecond(1_795_348_000_123).unwrap());
    }

    #[test]
    fn a_new_store_begins_now() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(5).unwrap();
        assert_eq!(Store::open(folder.path(), now).unwrap().since(), now);
        let later = Timestamp::from_second(9).unwrap();
        assert_eq!(Store::open(folder.path(), later).unwrap().since(), now);
    }
}
