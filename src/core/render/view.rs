//! How a person reads: the zone of the times, and the command that shows more.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How a person reads: the zone of the times, and the way to more.
#[derive(Debug, Clone)]
pub struct View {
    pub zone: TimeZone,
    /// What asks for every step and every query.
    pub why: &'static str,
}

impl View {
    /// A reader in a room.
    pub fn in_zone(zone: TimeZone) -> Self {
        Self { zone, why: "!why" }
    }

    /// A moment with its date and zone.
    pub fn moment(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// A span; date and zone are written once where both ends share them.
    pub fn span(&self, from: Timestamp, to: Timestamp) -> String {
        if from.as_second() == to.as_second() {
            return self.moment(to);
        }
        let from = from.to_zoned(self.zone.clone());
        let to = to.to_zoned(self.zone.clone());
        let start = from.strftime("%Y-%m-%d %H:%M:%S");
        let end = to.strftime("%Y-%m-%d %H:%M:%S %Z");
        match (from.offset() == to.offset(), from.date() == to.date()) {
            (true, true) => format!("{start} to {}", to.strftime("%H:%M:%S %Z")),
            (true, false) => format!("{start} to {end}"),
            // Summer time ended in between: the clock shows one hour twice.
            (false, _) => format!("{start} {} to {end}", from.strftime("%Z")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_hour_is_told_apart() {
        let view = View::in_zone(TimeZone::get("Europe/Berlin").unwrap());
        let span = |from: &str, to: &str| view.span(from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(
            span("2026-10-25T00:30:46Z", "2026-10-25T01:30:52Z"),
            "2026-10-25 02:30:46 CEST to 2026-10-25 02:30:52 CET"
        );
        assert_eq!(
            span("2026-11-25T00:30:46Z", "2026-11-25T01:30:52Z"),
            "2026-11-25 01:30:46 to 02:30:52 CET"
        );
    }
}
