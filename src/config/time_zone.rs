//! A time zone from a config, a flag or a person.

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use super::problems::Problems;

/// An IANA name, or an offset like `+05:30`.
pub fn timezone(text: &str) -> Result<TimeZone, Problems> {
    DateTimeParser::new().parse_time_zone(text).map_err(|_| {
        let says = "is not a time zone like \"Europe/Berlin\", \"UTC\" or \"+05:30\"";
        Problems::one(format!("{text:?} {says}"))
    })
}
