//! The logs of other processes of one host → the zone of a log whose own lines do not tell it. A worker that
//! serves no uploads writes no line with both times. Logs of one folder are of one host; others may not be.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::file::Part;
use super::seek;
use crate::config::LogSource;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

/// The other logs in a log's folder.
pub fn of(source: &LogSource, all: &[&LogSource]) -> Vec<PathBuf> {
    let folder = source.path.parent();
    let beside = |other: &&&LogSource| other.path != source.path && other.path.parent() == folder;
    all.iter().filter(beside).map(|other| other.path.clone()).collect()
}

/// Takes the zone that the first of them proves. One that cannot be read proves nothing.
pub(super) fn ask_zone(siblings: &[PathBuf], clock: &mut Clock, stop: &AtomicBool) {
    for path in siblings {
        let Ok(part) = Part::of(path) else { continue };
        if !matches!(part.first, Some(Stamp::Local(_))) {
            continue;
        }
        let mut own = Clock::new(None);
        if seek::ask_zone(&part, &mut own, true, stop).is_err() || own.voted() == 0 {
            continue;
        }
        own.settle();
        own.is_of(name(path));
        *clock = own;
        return;
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
