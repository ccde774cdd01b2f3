//! The files of a report, one after the other → what is stored of each, within one limit for all of them. The parts
//! of one log become one log again. If not all of it fits, its oldest parts are dropped first.

use std::collections::BTreeMap;
use std::io::Read;

use crate::client_files::archive::series::Member;
use crate::client_files::console::lines::{Console, joined};
use crate::client_files::console::reading;
use crate::client_files::draft::Draft;
use crate::client_files::json;
use crate::client_files::taken::Taken;
use crate::client_files::text;
use crate::evidence::client_file::Limits;

/// Redaction can make a file longer; at least this part of the limit is stored of it.
const LEAST: usize = 16;

/// What was read of all the files so far.
#[derive(Default)]
pub(crate) struct Drafts {
    drafts: Vec<(Member, Draft)>,
    /// Files that were not read, by their places, and why.
    pub(crate) unread: Vec<(usize, String)>,
}

impl Drafts {
    /// Reads one more file.
    pub(crate) fn read(&mut self, from: &mut dyn Read, member: Member, limits: &Limits) {
        match self.draft(from, limits) {
            Ok(draft) => self.drafts.push((member, draft)),
            Err(why) => self.unread.push((member.place, why)),
        }
        self.share(limits.kept);
    }

    /// The error is a sentence for a person.
    fn draft(&self, from: &mut dyn Read, limits: &Limits) -> Result<Draft, String> {
        let budget = limits.kept - self.bytes().min(limits.kept / 2);
        let mut text = text::Decoded::begin(from)?;
        let draft = match text.start() {
            Some(b'{' | b'[') => json::read(&mut text, budget, limits),
            _ => reading::read(&mut text, budget, limits),
        };
        text.verdict()?;
        draft
    }

    /// What is stored, in the order of the archive.
    pub(crate) fn taken(&mut self, limits: &Limits) -> Vec<Taken> {
        let mut taken: Vec<(usize, Result<Taken, String>)> = Vec::new();
        let mut logs: BTreeMap<u64, Vec<(Member, Console)>> = BTreeMap::new();
        // Of files that are not parts of one log, only the newest are stored.
        self.drafts.sort_by_key(|(member, _)| (member.rank, member.place));
        for (member, draft) in self.drafts.drain(..) {
            if !matches!(draft, Draft::Console(_)) && taken.len() >= limits.files {
                self.unread.push((
                    member.place,
                    format!("the limit is {} files per report", limits.files),
                ));
                continue;
            }
            let budget = draft.bytes().max(limits.kept / LEAST);
            match draft {
                Draft::Console(log) => logs.entry(member.series()).or_default().push((member, log)),
                Draft::Report(report) => taken.push((member.place, Ok(report.taken(budget)))),
                Draft::Har(har) => taken.push((member.place, Ok(har.taken()))),
            }
        }
        for mut parts in logs.into_values() {
            let place = parts.iter().map(|(member, _)| member.place).min().unwrap_or_default();
            // The oldest part first, as in one log.
            parts.sort_by_key(|(member, _)| std::cmp::Reverse(member.rank));
            let parts = parts.into_iter().map(|(_, log)| log).collect();
            taken.push((place, joined(parts, limits.kept / LEAST, limits)));
        }
        taken.sort_by_key(|(place, _)| *place);
        let mut kept = Vec::new();
        for (place, taken) in taken {
            match taken {
                Ok(taken) => kept.push(taken),
                Err(why) => self.unread.push((place, why)),
            }
        }
        kept
    }

    fn bytes(&self) -> usize {
        self.drafts.iter().map(|(_, draft)| draft.bytes()).sum()
    }

    /// Drops the oldest parts until all fit: of the oldest parts of all logs, the largest first.
    fn share(&mut self, kept: usize) {
        while let Some(over) = self.bytes().checked_sub(kept).filter(|over| *over > 0) {
            let held = self.drafts.iter_mut().filter(|(_, draft)| draft.bytes() > 0);
            let mut held: Vec<_> = held.map(|(member, draft)| (member.rank, draft)).collect();
            held.sort_by_key(|(rank, draft)| (*rank, draft.bytes()));
            let oldest = held.last().map(|(rank, _)| *rank);
            let second = held.iter().rev().nth(1).filter(|(rank, _)| Some(*rank) == oldest);
            let second = second.map_or(0, |(_, draft)| draft.bytes());
            let Some((_, largest)) = held.last_mut() else { return };
            let bytes = largest.bytes();
            // One byte less than the second, so that the loop ends.
            largest.shrink((bytes - over.min(bytes)).max(second.saturating_sub(1)).min(bytes - 1));
        }
    }
}
