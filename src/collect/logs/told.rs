//! What was read of one device's keys → one line for a person; and why a file is no log that can be read.

use std::path::Path;

use kestrel_core::evidence::KeyLog;
use kestrel_core::evidence::key_log::Format;
use kestrel_core::synapse_log::attribution::End;

/// Everything that was counted, in one line.
pub(super) fn keys(log: &KeyLog, end: &End) -> String {
    let mut said = Vec::new();
    let mut say = |count: u64, one: &str, many: &str| {
        if count > 0 {
            said.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    };
    say(log.refusals(), "upload refused", "uploads refused");
    say(log.too_large.map_or(0, |span| span.count), "upload too large", "uploads too large");
    say(log.accepted.uploads.map_or(0, |span| span.count), "upload accepted", "uploads accepted");
    say(log.claims.all.map_or(0, |span| span.count), "key claimed", "keys claimed");
    let others = log.named_by_others.iter().map(|group| group.span.count).sum();
    say(others, "refusal of another account naming it", "refusals of other accounts naming it");
    say(log.unattributed, "refusal without its upload", "refusals without their uploads");
    let distrusted = log.distrusted.iter().map(|left_out| left_out.count).sum();
    say(distrusted, "line left out as forged or broken", "lines left out as forged or broken");
    let format = match end.format {
        Format::Text => "text",
        Format::Json => "JSON",
    };
    let said = if said.is_empty() { "nothing of the device".into() } else { said.join(", ") };
    format!("{said} ({} lines of a {format} log)", end.lines)
}

/// Why a file is no log that can be read.
pub(super) fn unreadable(end: &End, path: &Path) -> Option<String> {
    let path = path.display();
    if end.visible.recognised > 0 {
        return None;
    }
    Some(match end {
        End { lines: 0, .. } => format!("{path} is empty: check that Synapse writes to it"),
        End { journal, .. } if *journal > 0 => format!(
            "{path} is written for the journal and holds no times: log to a file with Synapse's default \
             format"
        ),
        End { visible, .. } if visible.wrapped > 0 => format!(
            "{path} is a file of docker's json-file driver: each line is wrapped in an object of docker's, and \
             Kestrel cannot read the Synapse records inside. Let Synapse write a log file of its own (log_config \
             in homeserver.yaml; with Synapse's image LOG_FILE_PATH at generate), and set path in [[logs]] to it"
        ),
        End { records, .. } if *records > 0 => format!(
            "{path} holds no record in a format of Synapse's: check that the formatter in Synapse's log config is \
             the default one, with the line number and the level behind the logger's name, or TerseJsonFormatter"
        ),
        _ => format!(
            "{path} holds no line in a format of Synapse's: check the path and the log format. Files that a \
             container runtime wrote (/var/log/pods, `kubectl logs --timestamps`) put a time in front of each \
             line: Kestrel cannot read them"
        ),
    })
}
