//! `[limits]`: limits of one question, and how people read times and addresses.

use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Table;

use super::section::Section;

pub(super) const LIMITS: &[&str] = &["deadline", "window", "timezone", "show_addresses"];

/// Limits of one question.
#[derive(Debug, Clone)]
pub struct Limits {
    /// All sources together.
    pub deadline: Duration,
    /// The default window of a command.
    pub window: Duration,
    /// The zone that people write and read times in; UTC unless configured.
    pub timezone: TimeZone,
    pub show_addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            window: Duration::from_secs(24 * 60 * 60),
            timezone: TimeZone::UTC,
            show_addresses: false,
        }
    }
}

pub(super) fn limits(table: Option<&Table>, problems: &mut Vec<String>) -> Limits {
    let mut section = Section::new(table, "limits", LIMITS, problems);
    let unsaid = Limits::default();
    Limits {
        // A later answer is of no use during a call.
        deadline: section.duration("deadline", "1s", "5m").unwrap_or(unsaid.deadline),
        // The longest window that a command may name.
        window: section.duration("window", "1m", "31d").unwrap_or(unsaid.window),
        timezone: section.zone("timezone").unwrap_or(unsaid.timezone),
        show_addresses: section.flag("show_addresses").unwrap_or(unsaid.show_addresses),
    }
}
