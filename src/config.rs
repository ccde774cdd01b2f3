//! Config, to be completed: only the shapes that other rooms need.
use std::path::PathBuf;

/// One Synapse process's log file.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// How answers name it.
    pub name: String,
    pub path: PathBuf,
    /// The zone of the log's local times: an IANA name or an offset; `None` to derive it.
    pub timezone: Option<jiff::tz::TimeZone>,
}
