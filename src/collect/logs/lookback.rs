//! Reads the log before the window, backwards in blocks, to find out which loggers write and how the server
//! last started.
//!
//! A logger without lines in the window may be idle or disabled: its earlier lines show which.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lines::{Lines, Remaining};
use super::log_file::{self, LogFile};
use kestrel_core::evidence::Window;
use kestrel_core::synapse_log::record::{Shape, Stamp, shape, stamp};
use kestrel_core::synapse_log::synapse_lines;
use kestrel_core::synapse_log::visibility::Looker;
use kestrel_core::synapse_log::zone::Clock;

/// Read at once.
const BLOCK: u64 = 1 << 20;
/// At most this much is read, however long the log is. On a busy server every logger writes within far less;
/// at WARNING a log gets few lines in weeks.
const MOST: u64 = 64 << 20;

/// Reads what is before byte `at` of a file of the log `path`, and the rotated files before it, as long as it
/// helps: to the server's last start, to a record of each logger, or to the limit.
pub(super) fn look(
    path: &Path,
    (part, at): (&LogFile, u64),
    clock: &Clock,
    (into, window): (&mut Looker, Window),
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut left = MOST;
    let mut end = at;
    let mut older: Option<Vec<LogFile>> = None;
    let mut part = part.clone();
    while into.wants_more(into.oldest()) && left > 0 && !stop.load(Ordering::Relaxed) {
        if end == 0 {
            let rest = older.get_or_insert_with(|| before(path, &part, clock));
            let Some(next) = rest.pop() else { break };
            (end, part) = (next.length, next);
            continue;
        }
        if part.gzip {
            // A compressed file can only be read from its start.
            let Some((seen, read)) = compressed(&part, clock, window, left)? else { break };
            into.preceded_by(seen);
            (left, end) = (left.saturating_sub(read), 0);
            continue;
        }
        let from = end.saturating_sub(BLOCK.min(left));
        into.preceded_by(block(&part, from, end, clock, window)?);
        (left, end) = (left - (end - from), from);
    }
    Ok(())
}

/// The rotated files that begin before this one, oldest first.
fn before(path: &Path, part: &LogFile, clock: &Clock) -> Vec<LogFile> {
    let begins = |part: &LogFile| part.first.and_then(|first| clock.peek(first));
    let own = begins(part);
    let mut rest = log_file::rotated_files(path, &mut Vec::new());
    rest.retain(|other| other.path != part.path && begins(other) < own && begins(other).is_some());
    rest
}

/// The lines that begin between two bytes.
fn block(part: &LogFile, from: u64, to: u64, clock: &Clock, window: Window) -> io::Result<Looker> {
    let mut looker = Looker::new(window);
    // One byte earlier, so that a line that begins exactly at `from` is not taken for the rest of another.
    let start = from.saturating_sub(1);
    let mut lines = Lines::new(part.open(start)?);
    let mut position = start;
    let mut cut = from > 0;
    let mut over = false;
    loop {
        let left = lines.chunk(|line| {
            let here = position;
            position += line.len() as u64 + 1;
            over |= here >= to;
            if !over && !std::mem::take(&mut cut) {
                see(&mut looker, part, line, clock);
            }
        })?;
        if over || left != Remaining::More {
            return Ok(looker);
        }
    }
}

/// A whole compressed file and its size; `None` if it is larger than the limit.
fn compressed(
    part: &LogFile,
    clock: &Clock,
    window: Window,
    most: u64,
) -> io::Result<Option<(Looker, u64)>> {
    let mut looker = Looker::new(window);
    let mut lines = Lines::new(part.open(0)?);
    while lines.read <= most {
        let left = lines.chunk(|line| see(&mut looker, part, line, clock))?;
        if left != Remaining::More {
            return Ok(Some((looker, lines.read)));
        }
    }
    Ok(None)
}

fn see(looker: &mut Looker, part: &LogFile, line: &[u8], clock: &Clock) {
    synapse_lines::alone(&part.wrappings, line, |line| see_line(looker, line, clock));
}

fn see_line(looker: &mut Looker, line: &[u8], clock: &Clock) {
    let at = stamp(line).filter(|stamp| *stamp != Stamp::Unknown);
    let at = at.and_then(|stamp| clock.peek(stamp));
    match shape(line) {
        Shape::Text { prefix, .. } => looker.text(line, prefix, at),
        Shape::Json { prefix } => looker.json(&line[prefix..], at),
        Shape::Journal | Shape::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use kestrel_core::evidence::visibility::{Logger, Visibility};

    const START: &str =
        "synapse.config.logger - 377 - WARNING - main - ***** STARTING SERVER *****";
    const HOST: &str = "synapse.config.logger - 387 - INFO - main - Server hostname: x";
    const ERROR: &str = "synapse.http.server - 131 - INFO - GET-1 - <x> SynapseError: 404 - No";
    const ACCESS: &str = "synapse.access.http.8008 - 643 - INFO - GET-1 - x";
    const CLAIM: &str =
        "synapse.handlers.e2e_keys - 819 - INFO - POST-1 - Claimed one-time-keys: x";
    const WARNED: &str = "synapse.storage - 1 - WARNING - x - y";

    fn line(at: &str, what: &str) -> String {
        format!("2026-11-22 {at},000 - {what}\n")
    }

    fn window() -> Window {
        let at = |text: &str| text.parse().unwrap();
        Window { from: at("2026-11-22T12:00:00Z"), to: at("2026-11-22T13:00:00Z") }
    }

    /// What is before the window, and what in it.
    fn seen(before: &str, inside: &str) -> Visibility {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeserver.log");
        fs::write(&path, format!("{before}{inside}")).unwrap();
        at(&path, &path, before.len() as u64, inside)
    }

    fn at(path: &Path, part: &Path, from: u64, inside: &str) -> Visibility {
        let part = LogFile::inspect(part).unwrap();
        let clock = Clock::new(None);
        let mut looker = Looker::new(window());
        inside.lines().for_each(|line| see_line(&mut looker, line.as_bytes(), &clock));
        look(path, (&part, from), &clock, (&mut looker, window()), &AtomicBool::new(false))
            .unwrap();
        looker.finish(true)
    }

    #[test]
    fn a_quiet_logger_is_found_before_the_window() {
        let before: String = [
            line("01:00:00", START),
            line("01:00:00", HOST),
            line("01:10:00", ERROR),
            line("01:20:00", CLAIM),
            // More than a few blocks of other lines.
            line("02:00:00", ACCESS).repeat(60_000),
        ]
        .concat();
        assert!(before.len() as u64 > 3 * BLOCK);
        let inside = line("12:30:00", ACCESS);
        let visible = seen(&before, &inside);
        assert_eq!(visible.loggers, Logger::ALL);
        assert_eq!(visible.info_off, None);
        // Of the life before the last start nothing counts.
        let restarted = [before, line("03:00:00", START), line("03:00:00", HOST)].concat();
        assert_eq!(seen(&restarted, &inside).loggers, [Logger::Access]);
    }

    #[test]
    fn a_day_is_looked_back_and_no_more() {
        let old = "2026-11-21 11:00:00,000 - ".to_owned() + ERROR + "\n";
        let younger = "2026-11-21 13:00:00,000 - ".to_owned() + CLAIM + "\n";
        let visible = seen(&[old, younger].concat(), &line("12:30:00", ACCESS));
        assert_eq!(visible.loggers, [Logger::E2eKeys, Logger::Access]);
    }

    #[test]
    fn a_start_without_a_host_name_is_found() {
        let before = [line("01:00:00", START), line("01:00:01", WARNED)].concat();
        let visible = seen(&before, &line("12:30:00", WARNED));
        assert_eq!(visible.info_off, Some("2026-11-22T01:00:00Z".parse().unwrap()));
        // A line at INFO since, as after a reload of the log config, overrules the start.
        let reloaded = [before, line("02:00:00", ACCESS)].concat();
        let visible = seen(&reloaded, &line("12:30:00", WARNED));
        assert_eq!((visible.info_off, visible.wrote_info, visible.info), (None, true, None));
    }

    #[test]
    fn rotated_files_are_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeserver.log");
        let inside = line("12:30:00", ACCESS);
        fs::write(&path, &inside).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(
            fs::File::create(folder.path().join("homeserver.log.2.gz")).unwrap(),
            flate2::Compression::fast(),
        );
        gzip.write_all(line("09:00:00", CLAIM).as_bytes()).unwrap();
        gzip.finish().unwrap();
        fs::write(folder.path().join("homeserver.log.1"), line("10:00:00", ERROR)).unwrap();
        assert_eq!(at(&path, &path, 0, &inside).loggers, Logger::ALL);
        // Reading may have begun in a rotated file.
        let rotated = folder.path().join("homeserver.log.1");
        assert_eq!(at(&path, &rotated, 0, &inside).loggers, [Logger::E2eKeys, Logger::Access]);
    }
}
