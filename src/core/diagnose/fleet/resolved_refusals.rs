//! Removed devices → which refusals of a survey are history: the removal took the keys that were in the way.

use jiff::{SignedDuration, Timestamp};

use crate::evidence::fleet::{Confirmed, FleetLog, FleetRows, Uploader};
use crate::evidence::key_log::Span;

/// How far the clocks of two processes of one server may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(10);

/// What reports removed devices: the log names them, and the database dates the identity that came after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removals<'a> {
    pub log: &'a FleetLog,
    pub rows: Option<&'a FleetRows>,
}

impl Removals<'_> {
    /// The device without what is history, and how many refusals that were.
    pub fn present(&self, of: &Uploader) -> (Uploader, u64) {
        let removal = self.removal(of);
        let mut now = of.clone();
        let mut past = 0;
        let before = now.before.take();
        match (removal, before) {
            (Some(_), Some(before)) => past += before.count,
            // Nothing confirms the removal: the refusals before it count as the others do.
            (None, Some(before)) => {
                now.repeated |= before.count > 1;
                now.refused = Some(sum(before, now.refused));
            }
            (_, None) => {}
        }
        let held = self.confirmed(of).is_some_and(|row| row.holds_old_key);
        for span in [&mut now.refused, &mut now.too_large] {
            let over = |span: &mut Span| removal.is_some_and(|at| span.last <= at) && !held;
            past += span.take_if(over).map_or(0, |span| span.count);
        }
        (now, past)
    }

    /// When the device's present identity was stored, where the database said.
    pub fn identity(&self, of: &Uploader) -> Option<Timestamp> {
        let row = self.confirmed(of).and_then(|row| row.identity);
        row.or_else(|| {
            let mut holders = self.rows?.devices.iter();
            holders.find(|row| row.user == of.user && row.device == of.device)?.identity
        })
    }

    /// The last removal that the present identity came after. Without the database no client may have
    /// written it, and the device has to publish keys again.
    fn removal(&self, of: &Uploader) -> Option<Timestamp> {
        let identity = self.identity(of);
        let of_device = self.log.removed.iter();
        let of_device = of_device.filter(|row| row.user == of.user && row.device == of.device);
        let believed = of_device.filter(|removal| match identity {
            Some(added) => {
                let skew = if removal.sure { SKEW } else { SignedDuration::ZERO };
                removal.at.duration_since(added) <= skew
            }
            None => removal.sure && of.accepted_last.is_some_and(|last| last > removal.at),
        });
        believed.map(|removal| removal.at).max()
    }

    fn confirmed(&self, of: &Uploader) -> Option<&Confirmed> {
        let mut rows = self.rows?.confirmed.iter().flatten();
        rows.find(|row| row.user == of.user && row.device == of.device)
    }
}

fn sum(mut one: Span, other: Option<Span>) -> Span {
    other.into_iter().for_each(|other| one.add(other));
    one
}
