//! Reads one log with its rotated files, starting before the window. Holds one buffer.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use kestrel_core::evidence::{KeyLog, Subject, Window};
use kestrel_core::synapse_log::attribution::{Attribution, End};
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

use super::lines::{Lines, Remaining};
use super::log_file::{self, LogFile};
use super::question::LogQuestion;
use super::zone::{self, NEARBY, NEARBY_VOTES};
use super::{lookback, same_host, seek, summary};
use crate::config::LogSource;

/// How far before the window reading starts: this part shows which request numbers are genuine, and an upload
/// may cross the boundary.
const LEAD: i64 = 60_000;

/// More for a text log whose times may go back by an hour there, because a search cannot resolve the repeated hour.
pub(super) const LEAD_TEXT: i64 = LEAD + 3_600_000;

/// A reading in progress.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) most: u64,
    /// Logs of other processes on the same host.
    pub(super) siblings: Vec<PathBuf>,
    /// The older part of the window was left out.
    pub(super) cut_old: bool,
    pub(super) notes: Vec<String>,
    /// The log starts before the window.
    pub(super) reached_back: bool,
    /// Why it ended early.
    pub(super) cut_short: Option<String>,
    pub(super) read: u64,
}

impl Reading {
    pub(super) fn run(
        &mut self,
        source: &LogSource,
        asked: &LogQuestion,
        subject: &Subject,
        stop: &AtomicBool,
    ) -> Result<(KeyLog, End), String> {
        let window = asked.window;
        let current = LogFile::inspect(&source.path)?;
        let failed =
            |error: io::Error| format!("{} cannot be read: {error}", source.path.display());
        let text = current.is_text();
        let mut clock = same_host::clock(&current, source, &self.siblings, stop).map_err(failed)?;
        let lead = if text { LEAD_TEXT } else { LEAD };
        let target = window.from.as_millisecond().saturating_sub(lead);
        let mut parts = self.parts(current, &clock, window, target);
        let mut start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
        if text {
            let mut near = Clock::new(source.timezone.clone());
            zone::votes(&parts[0], start, NEARBY, &mut near, stop).map_err(failed)?;
            if near.voted() >= NEARBY_VOTES {
                near.settle();
                clock = near;
                start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
            }
            if steady(&parts, window, &mut clock, stop).map_err(failed)? {
                let target = window.from.as_millisecond().saturating_sub(LEAD);
                start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
            }
        }
        start = self.newest(&mut parts, start, window, &clock).map_err(failed)?;
        let began = start;
        let then = clock.clone();
        let mut attribution =
            Attribution::new(subject.clone(), window, clock).with_readers(asked.readers());
        let mut cut = false;
        for part in &parts {
            cut = self.part(part, std::mem::take(&mut start), &mut attribution, stop);
            if self.cut_short.is_some() || attribution.is_past() {
                break;
            }
        }
        let (log, mut end) = attribution.finish(cut);
        if !asked.needs.is_empty() {
            let into = (&mut end.visible, window);
            lookback::look(&source.path, (&parts[0], began), &then, into, stop).map_err(failed)?;
        }
        match summary::unreadable(&end, &source.path) {
            Some(why) if self.cut_short.is_none() => Err(why),
            _ => Ok((log, end)),
        }
    }

    /// The files to read, oldest first: the current one, and as many rotated ones as the window needs.
    pub(super) fn parts(
        &mut self,
        current: LogFile,
        clock: &Clock,
        window: Window,
        target: i64,
    ) -> Vec<LogFile> {
        let begins = |part: &LogFile| part.first.and_then(|first| clock.peek(first));
        let reaches = |part: &LogFile, to: i64| begins(part).is_some_and(|at| at <= to);
        let from = window.from.as_millisecond();
        let mut parts = vec![current];
        if !reaches(&parts[0], target) {
            let mut older = log_file::rotated_files(&parts[0].path, &mut self.notes);
            older.retain(|part| begins(part) < begins(&parts[0]));
            while let Some(part) = older.pop() {
                parts.insert(0, part);
                if reaches(&parts[0], target) {
                    break;
                }
            }
        }
        self.reached_back = reaches(&parts[0], from);
        parts
    }

    /// Skips the older part of a window that is too large, and returns where to start in the first remaining
    /// file.
    pub(super) fn newest(
        &mut self,
        parts: &mut Vec<LogFile>,
        start: u64,
        window: Window,
        clock: &Clock,
    ) -> io::Result<u64> {
        let to = window.to.as_millisecond();
        let mut room = self.most;
        for index in (0..parts.len()).rev() {
            let part = &parts[index];
            let begins = part.first.and_then(|first| clock.peek(first));
            let end = if begins.is_some_and(|begins| begins > to) {
                0
            } else if part.gzip {
                part.length
            } else {
                seek::start_of(part, to, clock)?
            };
            let bytes = end.saturating_sub(if index == 0 { start } else { 0 });
            if bytes > room {
                let from =
                    if part.gzip { 0 } else { seek::record_behind(part, end - room, clock)? };
                parts.drain(..index);
                (self.cut_old, self.reached_back) = (true, false);
                return Ok(from);
            }
            room -= bytes;
        }
        Ok(start)
    }

    /// Reads one file; returns whether its last line may be incomplete.
    fn part(&mut self, part: &LogFile, at: u64, into: &mut Attribution, stop: &AtomicBool) -> bool {
        let mut lines = match part.open(at) {
            Ok(source) => Lines::new(source),
            Err(error) => {
                self.cut_short = Some(format!("{} disappeared: {error}", part.path.display()));
                return false;
            }
        };
        into.next_file(matches!(part.first, Some(Stamp::Local(_))), part.wrappings.clone());
        let before = self.read;
        loop {
            if stop.load(Ordering::Relaxed) {
                let read = lines.read >> 20;
                let of = (part.length - at.min(part.length)) >> 20;
                self.cut_short = Some(format!(
                    "the deadline passed after reading {read} of {of} MiB of {}; use a shorter window",
                    part.path.display()
                ));
                return false;
            }
            let left = lines.block(|block| into.block(block));
            self.read = before + lines.read;
            match left {
                Ok(Remaining::More) if !into.is_past() => {}
                Ok(Remaining::More) => return false,
                Ok(Remaining::Nothing { cut }) => return cut && !into.last_is_whole(),
                Err(error) => {
                    self.cut_short =
                        Some(format!("reading {} failed midway: {error}", part.path.display()));
                    return false;
                }
            }
        }
    }
}

/// Whether no written time near the window is repeated or left out: by the rules of the configured zone, or because
/// lines before the window and at its end have the same offset.
fn steady(
    parts: &[LogFile],
    window: Window,
    clock: &mut Clock,
    stop: &AtomicBool,
) -> io::Result<bool> {
    let from = window.from.as_millisecond().saturating_sub(LEAD_TEXT);
    let to = window.to.as_millisecond();
    if !clock.may_jump(from, to.saturating_add(LEAD_TEXT)) {
        return Ok(true);
    }
    let last = parts.last().filter(|last| !last.gzip);
    let Some(last) = last.filter(|_| clock.voted() >= NEARBY_VOTES && clock.offsets() == 1) else {
        return Ok(false);
    };
    let end = seek::start_of(last, to, clock)?;
    let mut at_end = Clock::new(None);
    zone::votes(last, end.saturating_sub(NEARBY), NEARBY, &mut at_end, stop)?;
    let agree = at_end.voted() >= NEARBY_VOTES && at_end.agrees(clock);
    if agree {
        clock.is_steady_here();
    }
    Ok(agree)
}
