//! Takes the time zone from logs of other processes on the same host. A worker without uploads writes no line
//! with both times. Logs in one folder come from one host; others may not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::log_file::LogFile;
use super::zone;
use crate::config::LogSource;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

/// The other logs in a log's folder.
pub fn others_in_folder(source: &LogSource, all: &[&LogSource]) -> Vec<PathBuf> {
    let folder = source.path.parent();
    let beside = |other: &&&LogSource| other.path != source.path && other.path.parent() == folder;
    all.iter().filter(beside).map(|other| other.path.clone()).collect()
}

/// How a log's times are read: by the configured zone, its own lines, or logs of the same host.
pub(super) fn clock(
    log: &LogFile,
    source: &LogSource,
    siblings: &[PathBuf],
    stop: &AtomicBool,
) -> io::Result<Clock> {
    let mut clock = Clock::new(source.timezone.clone());
    if log.is_text() {
        zone::ask_zone(log, &mut clock, source.timezone.is_none(), stop)?;
        clock.settle();
        if clock.is_unknown() {
            take_zone(siblings, &mut clock, stop);
        }
    }
    Ok(clock)
}

/// Takes the zone from the first log that proves one. An unreadable log proves nothing.
fn take_zone(siblings: &[PathBuf], clock: &mut Clock, stop: &AtomicBool) {
    for path in siblings {
        let Ok(part) = LogFile::inspect(path) else { continue };
        if !matches!(part.first, Some(Stamp::Local(_))) {
            continue;
        }
        let mut own = Clock::new(None);
        if zone::ask_zone(&part, &mut own, true, stop).is_err() || own.voted() == 0 {
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
