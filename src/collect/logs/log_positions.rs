//! The current position of each configured log, for someone who looks for the same moment later.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::same_log::distinct;
use crate::config::LogSource;

/// The name and position of each log: path, inode and size, or why it cannot be read.
pub fn log_positions(sources: &[LogSource]) -> Vec<(String, String)> {
    let place = |source: &LogSource| {
        let path = source.path.display().to_string();
        match fs::metadata(&source.path) {
            Ok(about) => json!({
                "path": path, "device": about.dev(), "inode": about.ino(), "size": about.len(),
            }),
            Err(error) => json!({ "path": path, "unread": error.to_string() }),
        }
    };
    let named = |source: &LogSource| (format!("log:{}", source.name), place(source).to_string());
    distinct(sources).into_iter().map(named).collect()
}
