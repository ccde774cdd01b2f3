//! A storm's timeline → lanes with as many columns as a phone shows, the times below them, and the whole in
//! words. It adds steps up and never drops one.

use jiff::{SignedDuration, Timestamp, ToSpan, Unit};

use super::page::{clip, visible};
use super::view::View;
use crate::storm::Timeline;

/// The most curves that are distinguished.
pub(super) const LANES: usize = 3;
/// The most columns: each is four pixels. More steps than that are added up.
const COLUMNS: usize = 190;
/// The most labels below: they may not touch each other.
const TICKS: i64 = 6;
/// Lengths that people count in, in seconds.
const STEPS: [i64; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY];
const DAY: i64 = 86_400;

/// The curves over the same steps, as many as fit.
pub(super) struct Lanes {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Seconds of a step.
    pub(super) step: i64,
    pub(super) all: Vec<Lane>,
}

pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) counts: Vec<u64>,
    pub(super) total: u64,
    pub(super) most: u64,
}

impl Lanes {
    pub(super) fn from_timeline(timeline: &Timeline) -> Option<Self> {
        let steps = timeline.curves.iter().map(|curve| curve.counts.len()).max()?;
        let step = timeline.step.as_secs().max(1);
        let fold = fold(step, steps);
        let columns = steps.div_ceil(fold);
        let all = timeline.curves.iter().take(LANES).map(|curve| {
            let sum = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum();
            let mut counts: Vec<u64> = curve.counts.chunks(fold).map(sum).collect();
            counts.resize(columns, 0);
            let total = counts.iter().sum();
            let most = counts.iter().copied().max().unwrap_or(0);
            Lane { name: curve.name, counts, total, most }
        });
        let step = step.checked_mul(i64::try_from(fold).ok()?)?;
        let length = SignedDuration::from_secs(step.checked_mul(i64::try_from(columns).ok()?)?);
        let to = timeline.from.checked_add(length).ok()?;
        (to > timeline.from).then(|| Self { from: timeline.from, to, step, all: all.collect() })
    }

    pub(super) fn have_something(&self) -> bool {
        self.all.iter().any(|lane| lane.total > 0)
    }

    /// When a column begins.
    fn at(&self, column: usize) -> Timestamp {
        let seconds = i64::try_from(column).unwrap_or(i64::MAX).saturating_mul(self.step);
        self.from.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(self.to)
    }

    /// How far a moment is along the whole, from 0 to 1.
    pub(super) fn along(&self, at: Timestamp) -> f64 {
        let since = at.duration_since(self.from);
        let whole = self.to.duration_since(self.from);
        since.as_secs_f64() / whole.as_secs_f64()
    }
}

/// How many steps make a column, so that all fit: a length that people count in, where there is one.
fn fold(step: i64, steps: usize) -> usize {
    let least = steps.div_ceil(COLUMNS).max(1);
    let whole = |length: &i64| {
        let fold = usize::try_from(length / step).unwrap_or(0);
        (length % step == 0 && fold >= least).then_some(fold)
    };
    if least == 1 { 1 } else { STEPS.iter().find_map(whole).unwrap_or(least) }
}

/// How many labels find room: with seconds they are wider.
fn most(step: i64) -> i64 {
    if step < 60 { TICKS - 2 } else { TICKS }
}

/// A moment and how it is written.
pub(super) type Tick = (Timestamp, String);

/// Even times on the reader's clock; midnight is told by its date.
pub(super) fn ticks(lanes: &Lanes, view: &View) -> Vec<Tick> {
    let zoned = |at: Timestamp| at.to_zoned(view.zone.clone());
    let whole = lanes.to.duration_since(lanes.from).as_secs();
    let mut ticks = Vec::new();
    let Some(step) = STEPS.into_iter().find(|step| *step < DAY && whole / step <= most(*step))
    else {
        let days = (whole / DAY / TICKS + 1).days();
        let mut day = zoned(lanes.from).round(Unit::Day).ok();
        while let Some(now) = day.take_if(|day| day.timestamp() <= lanes.to) {
            if now.timestamp() >= lanes.from {
                ticks.push((now.timestamp(), now.strftime("%-d %b").to_string()));
            }
            day = now.checked_add(days).ok();
        }
        return ticks;
    };
    // Even on the clock that hangs there: some zones are half an hour off.
    let offset = i64::from(zoned(lanes.from).offset().seconds());
    let first = (lanes.from.as_second() + offset).div_euclid(step) * step - offset;
    let times = (0..=TICKS + 1).filter_map(|n| Timestamp::from_second(first + n * step).ok());
    ticks.extend(times.filter(|at| (lanes.from..=lanes.to).contains(at)).map(|at| {
        let clock = zoned(at);
        let days = zoned(lanes.from).date() != zoned(lanes.to).date();
        let form = match step {
            _ if days && clock.time() == jiff::civil::Time::midnight() => "%-d %b",
            ..60 => "%H:%M:%S",
            _ => "%H:%M",
        };
        (at, clock.strftime(form).to_string())
    }));
    ticks
}

/// A step as people say it.
pub(super) fn length(seconds: i64) -> String {
    match seconds {
        1 => "second".into(),
        60 => "minute".into(),
        3600 => "hour".into(),
        DAY => "day".into(),
        days if days % DAY == 0 => format!("{} days", days / DAY),
        hours if hours % 3600 == 0 => format!("{} h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{} min", minutes / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The picture in words.
pub(super) fn alt(lanes: &Lanes, title: &str, view: &View) -> String {
    let zoned = |at: Timestamp| at.to_zoned(view.zone.clone());
    let dated = zoned(lanes.from).date() != zoned(lanes.to).date();
    let date = if dated { "%Y-%m-%d " } else { "" };
    // Summer time began or ended in between: each time says which it is.
    let turned = zoned(lanes.from).offset() != zoned(lanes.to).offset();
    let zone = if turned { " %Z" } else { "" };
    let clock =
        |at: Timestamp, form: &str| zoned(at).strftime(&format!("{date}{form}")).to_string();
    let parts = lanes.all.iter().enumerate().map(|(number, lane)| {
        let name = match number {
            0 => format!("{} of {}", capital(lane.name), clip(&visible(title), 120)),
            _ => lane.name.to_owned(),
        };
        let first = lane.counts.iter().position(|count| *count > 0);
        let last = lane.counts.iter().rposition(|count| *count > 0);
        let (Some(first), Some(last), 0) = (first, last, number) else {
            let total = if lane.total == 0 { "none".into() } else { lane.total.to_string() };
            return format!("{name}: {total}");
        };
        let most = lane.counts.iter().position(|count| *count == lane.most).unwrap_or(first);
        format!(
            "{name}: {} between {} and {}, peak {} per {} at {}",
            lane.total,
            clock(lanes.at(first), &format!("%H:%M:%S{zone}")),
            clock(lanes.at(last + 1), "%H:%M:%S %Z"),
            lane.most,
            length(lanes.step),
            clock(lanes.at(most), &format!("%H:%M{zone}"))
        )
    });
    parts.collect::<Vec<_>>().join("; ") + "."
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}
#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::storm::Curve;

    fn timeline(from: &str, step: i64, curves: &[(&'static str, Vec<u32>)]) -> Timeline {
        let curve =
            |(name, counts): &(&'static str, Vec<u32>)| Curve { name, counts: counts.clone() };
        let step = SignedDuration::from_secs(step);
        Timeline { from: from.parse().unwrap(), step, curves: curves.iter().map(curve).collect() }
    }

    fn in_zone(zone: &str) -> View {
        View::in_zone(TimeZone::get(zone).unwrap())
    }

    fn labels(from: &str, step: i64, steps: usize, zone: &str) -> Vec<String> {
        let lanes =
            Lanes::from_timeline(&timeline(from, step, &[("rejected uploads", vec![1; steps])]))
                .unwrap();
        ticks(&lanes, &in_zone(zone)).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn the_picture_is_told_in_words() {
        let mut refused = vec![0; 46];
        refused[1..45].fill(8);
        (refused[8], refused[1]) = (60, 16);
        let mut claims = vec![0; 46];
        claims[3] = 3;
        let curves =
            [("rejected uploads", refused), ("accepted uploads", vec![]), ("claims", claims)];
        let storm = timeline("2026-11-25T14:02:00Z", 10, &curves);
        let words = |zone| alt(&Lanes::from_timeline(&storm).unwrap(), "@u:x DEV", &in_zone(zone));
        assert_eq!(
            words("UTC"),
            "Rejected uploads of @u:x DEV: 412 between 14:02:10 and 14:09:30 UTC, peak 60 per 10 s at \
             14:03; accepted uploads: none; claims: 3."
        );
        assert!(words("Europe/Berlin").contains("between 15:02:10 and 15:09:30 CET"));
    }

    #[test]
    fn summer_time_and_days_are_told() {
        let night = timeline("2026-10-25T00:00:00Z", 600, &[("rejected uploads", vec![1; 12])]);
        let words = alt(&Lanes::from_timeline(&night).unwrap(), "D", &in_zone("Europe/Berlin"));
        assert!(words.contains("between 02:00:00 CEST and 03:00:00 CET"), "{words}");
        let days = timeline("2026-11-25T22:00:00Z", 600, &[("rejected uploads", vec![1; 24])]);
        let words = alt(&Lanes::from_timeline(&days).unwrap(), "D", &in_zone("UTC"));
        assert!(words.contains("2026-11-25 22:00:00 and 2026-11-26 02:00:00 UTC"), "{words}");
    }

    #[test]
    fn steps_are_added_up_until_they_fit() {
        for (step, steps, seconds) in [(10, 44, 10), (1, 300, 2), (10, 9000, 600), (7, 400, 21)] {
            let counts = vec![u32::MAX; steps];
            let lanes =
                Lanes::from_timeline(&timeline("2026-11-25T14:00:00Z", step, &[("x", counts)]))
                    .unwrap();
            assert_eq!(lanes.step, seconds, "{steps} of {step} s");
            assert!(lanes.all[0].counts.len() <= COLUMNS);
            assert_eq!(lanes.all[0].total, steps as u64 * u64::from(u32::MAX));
        }
        assert_eq!(
            [1, 10, 60, 90, 600, 3600, 86_400].map(length).join(", "),
            "second, 10 s, minute, 90 s, 10 min, hour, day"
        );
    }

    #[test]
    fn times_are_even_on_the_readers_clock() {
        let at = "2026-11-25T14:02:10Z";
        assert_eq!(labels(at, 10, 44, "UTC"), ["14:04", "14:06", "14:08"]);
        assert_eq!(labels(at, 10, 1, "UTC"), ["14:02:10", "14:02:15", "14:02:20"]);
        assert_eq!(labels(at, 60, 90, "Asia/Kolkata")[0], "19:45");
        assert_eq!(labels(at, 3600, 14, "UTC"), ["15:00", "18:00", "21:00", "26 Nov", "03:00"]);
        let days = ["24 Oct", "26 Oct", "28 Oct", "30 Oct"];
        assert_eq!(labels("2026-10-23T20:02:10Z", 600, 900, "Europe/Berlin"), days);
        assert!(labels("2026-01-01T00:00:00Z", 86_400, 360, "UTC").len() <= 7);
    }
}
