//! Moments and counts as people read them, said one way in every room.

use jiff::Timestamp;

/// A moment in UTC, to the second. Reasons are written once and read in every zone.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A span in UTC; a moment if both ends are the same second.
pub fn utc_span(from: Timestamp, to: Timestamp) -> String {
    if from.as_second() == to.as_second() {
        return utc(to);
    }
    format!("{} to {}", utc(from), utc(to))
}

/// A count with its noun.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
