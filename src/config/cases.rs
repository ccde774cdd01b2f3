//! `[cases]`: how long and how many cases are kept.

use std::time::Duration;

use toml::Table;

use super::section::Section;

pub(super) const CASES: &[&str] = &["keep", "most"];

/// How long and how many cases are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    /// Older ones are deleted.
    pub keep: Duration,
    /// The oldest ones above this number are deleted.
    pub most: usize,
}

impl Default for Cases {
    fn default() -> Self {
        // Long enough to compare with the last incident; a case is some tens of kilobytes.
        Self { keep: Duration::from_secs(90 * 24 * 60 * 60), most: 1000 }
    }
}

/// Reads and checks the section.
pub(super) fn cases(table: Option<&Table>, problems: &mut Vec<String>) -> Cases {
    let mut section = Section::new(table, "cases", CASES, problems);
    let unsaid = Cases::default();
    Cases {
        keep: section.duration("keep", "1h", "3650d").unwrap_or(unsaid.keep),
        most: section.count("most", 1, 1_000_000).unwrap_or(unsaid.most),
    }
}
