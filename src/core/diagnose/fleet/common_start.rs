//! When devices began → whether many began within minutes, and what that suggests.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::affected::{Affected, Standing};
use super::cause::Cause;
use crate::evidence::Window;

/// Fewer devices than this begin together by chance.
const MANY: usize = 10;
/// Clients top up within minutes of a server's start, and a release reaches those that are open.
const WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// The share of one client at which it is that client's doing, in percent.
const MOSTLY: u64 = 80;

/// Many that began within minutes.
#[derive(Debug, Clone)]
pub struct CommonStart {
    pub devices: usize,
    pub from: Timestamp,
    pub to: Timestamp,
    pub suggests: Suggests,
}

/// What a common beginning suggests (Synapse's backup guide: truncate `e2e_one_time_keys_json`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggests {
    /// Mostly one client: a release of it.
    Release(String),
    /// All kinds of clients: the server's side, a database that was restored with its one-time keys.
    Database,
    /// The log names too few clients to tell the two apart.
    Either,
}

impl Suggests {
    /// As people read it.
    pub fn words(&self) -> String {
        match self {
            Self::Release(agent) => format!("mostly {agent}, which suggests a client release"),
            Self::Database => {
                "different clients, which suggests that the database was restored without emptying \
                               e2e_one_time_keys_json"
                    .into()
            }
            Self::Either => {
                "likely a client release, or a database that was restored without emptying \
                             e2e_one_time_keys_json"
                    .into()
            }
        }
    }

    /// As answers write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release(_) => "client-release",
            Self::Database => "restored-database",
            Self::Either => "either",
        }
    }
}

/// The largest group that began within minutes, inside the window. A device that was in trouble when the
/// log began, or has no keys at all, began nothing here.
pub(super) fn common_start(affected: &[Affected], window: Window) -> Option<CommonStart> {
    let began = |of: &'_ Affected| {
        let since = of.since.filter(|since| window.holds(*since) && !of.or_before);
        // A device that the database does not have may be somebody's invention.
        since.filter(|_| !of.has(Cause::Keyless) && of.standing != Standing::Absent)
    };
    let mut all: Vec<_> = affected.iter().filter_map(|of| Some((began(of)?, of))).collect();
    all.sort_by_key(|(since, _)| *since);
    let mut best = 0..0;
    let mut first = 0;
    for last in 0..all.len() {
        while all[last].0.duration_since(all[first].0) > WITHIN {
            first += 1;
        }
        if last + 1 - first > best.len() {
            best = first..last + 1;
        }
    }
    let group = &all[best];
    let (Some((from, _)), Some((to, _))) = (group.first(), group.last()) else { return None };
    (group.len() >= MANY).then(|| CommonStart {
        devices: group.len(),
        from: *from,
        to: *to,
        suggests: suggests(group.iter().filter_map(|(_, of)| of.agent.as_deref()), group.len()),
    })
}

fn suggests<'a>(agents: impl Iterator<Item = &'a str>, of: usize) -> Suggests {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    agents.for_each(|agent| *counts.entry(agent).or_default() += 1);
    let named: u64 = counts.values().sum();
    if named * 2 < of as u64 {
        return Suggests::Either;
    }
    match counts.into_iter().max_by_key(|(_, count)| *count) {
        Some((agent, count)) if count * 100 >= named * MOSTLY => Suggests::Release(agent.into()),
        _ => Suggests::Database,
    }
}
