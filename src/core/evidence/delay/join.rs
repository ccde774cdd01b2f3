//! The logs of several processes put together, as one request may go to any of them.

use crate::evidence::delay::facts::{Address, DelayLog, Handled, KEPT, Requests, STATUSES};
use crate::evidence::delay::minutes;
use crate::evidence::key_log::{Format, Span};

impl DelayLog {
    /// Adds another process's log to this one.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
        for handled in &other.handled {
            let room = self.handled.len() < KEPT;
            match self.handled.iter_mut().find(|known| known.id == handled.id) {
                Some(known) => known.add(handled),
                None if room => self.handled.push(handled.clone()),
                None => self.clipped = true,
            }
        }
        self.restarts.add(&other.restarts);
        self.minutes = minutes::joined(&self.minutes, &other.minutes);
        self.made.extend(other.made.iter().cloned());
        self.made.sort_by_key(|made| made.at);
        join(&mut self.others, other.others);
        for address in &other.addresses {
            match self.addresses.iter_mut().find(|known| known.address == address.address) {
                Some(known) => known.add(address),
                None => self.addresses.push(address.clone()),
            }
        }
        for endpoint in &other.endpoints {
            match self.endpoints.iter_mut().find(|known| known.name == endpoint.name) {
                Some(known) => {
                    known.latency.add(&endpoint.latency);
                    known.aborted += endpoint.aborted;
                }
                None => self.endpoints.push(endpoint.clone()),
            }
        }
        self.slow_elsewhere += other.slow_elsewhere;
        self.stalls.extend(other.stalls.iter().cloned());
        for (name, count) in &other.contention {
            match self.contention.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += count,
                None => self.contention.push((name.clone(), *count)),
            }
        }
        self.starts.extend(other.starts.iter().copied());
        self.doubtful += other.doubtful;
        self.clipped |= other.clipped;
    }
}

impl Handled {
    /// Counts the requests of another log in. What one of them cannot prove, both cannot.
    fn add(&mut self, other: &Self) {
        self.restarts.add(&other.restarts);
        self.ended = self.ended.max(other.ended);
        self.kept_alive = self.kept_alive.max(other.kept_alive);
        join(&mut self.gone, other.gone);
        self.gone_after_end += other.gone_after_end;
        union(&mut self.users, &other.users);
        union(&mut self.addresses, &other.addresses);
        if other.format != self.format {
            self.format = Format::Text;
        }
    }
}

impl Requests {
    /// Counts so many that ended with a status that is no success.
    pub(crate) fn note_status(&mut self, status: u16, count: u64) {
        if let Some((_, known)) = self.statuses.iter_mut().find(|(known, _)| *known == status) {
            *known += count;
        } else if self.statuses.len() < STATUSES {
            self.statuses.push((status, count));
        }
    }

    /// Counts others in.
    pub fn add(&mut self, other: &Self) {
        join(&mut self.span, other.span);
        self.latency.add(&other.latency);
        self.answered += other.answered;
        self.limited += other.limited;
        self.gone += other.gone;
        self.refused += other.refused;
        other.statuses.iter().for_each(|(status, count)| self.note_status(*status, *count));
        self.in_body += other.in_body;
        self.aborted += other.aborted;
        self.overlapping += other.overlapping;
        self.slow.database += other.slow.database;
        self.slow.contended += other.slow.contended;
        self.slow.pool += other.slow.pool;
        self.slow.process += other.slow.process;
    }
}

impl Address {
    fn add(&mut self, other: &Self) {
        union(&mut self.users, &other.users);
        self.more_users |= other.more_users;
        union(&mut self.delays, &other.delays);
        join(&mut self.limited, other.limited);
    }
}

fn union(list: &mut Vec<String>, other: &[String]) {
    for item in other {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Counts a span into what may be none yet.
pub(crate) fn join(span: &mut Option<Span>, other: Option<Span>) {
    match (span.as_mut(), other) {
        (Some(span), Some(other)) => span.add(other),
        (None, Some(other)) => *span = Some(other),
        (_, None) => {}
    }
}
