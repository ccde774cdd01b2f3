//! Summarises what was read about one device's keys, and explains why a file cannot be read as a log.

use std::path::Path;

use kestrel_core::evidence::KeyLog;
use kestrel_core::evidence::key_log::Format;
use kestrel_core::synapse_log::attribution::End;

/// Everything that was counted, in one line.
pub(super) fn of_keys(log: &KeyLog, end: &End) -> String {
    let mut said = Vec::new();
    let mut say = |count: u64, one: &str, many: &str| {
        if count > 0 {
            said.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    };
    say(log.refusals(), "upload rejected", "uploads rejected");
    say(log.too_large.map_or(0, |span| span.count), "upload too large", "uploads too large");
    say(log.accepted.uploads.map_or(0, |span| span.count), "upload accepted", "uploads accepted");
    say(log.claims.all.map_or(0, |span| span.count), "key claimed", "keys claimed");
    let others = log.named_by_others.iter().map(|group| group.span.count).sum();
    say(
        others,
        "rejection for another account that names it",
        "rejections for other accounts that name it",
    );
    say(log.unattributed, "rejection that matches no upload", "rejections that match no upload");
    let distrusted = log.distrusted.iter().map(|left_out| left_out.count).sum();
    say(distrusted, "line not accepted as genuine", "lines not accepted as genuine");
    let format = match end.format {
        Format::Text => "text",
        Format::Json => "JSON",
    };
    let said = if said.is_empty() { "nothing about the device".into() } else { said.join(", ") };
    format!("{said} ({} lines of a {format} log)", end.lines)
}

/// Why a file cannot be read as a log.
pub(super) fn unreadable(end: &End, path: &Path) -> Option<String> {
    let path = path.display();
    if end.visible.recognised > 0 {
        return None;
    }
    let known = "Kestrel knows Synapse's text formats (time, logger, line number, level, request, message), its JSON formats, \
                 and what docker, Kubernetes, journald, syslog, multilog and log collectors put around their lines";
    Some(match end {
        End { lines: 0, .. } => format!("{path} is empty: check that Synapse writes to it"),
        End { journal, .. } if *journal > 0 => format!(
            "{path} is in the format for the journal, which has no timestamps and no levels: give Kestrel the \
             output of `journalctl -o json --all`, or let Synapse log to a file in its default format"
        ),
        End { records, .. } if *records > 0 => format!(
            "{path} has lines with a time, but no record in a Synapse format: check that Synapse's log config uses \
             the default formatter or TerseJsonFormatter. {known}"
        ),
        End { odd, .. } => {
            let first = odd
                .as_ref()
                .map(|odd| format!(". The first line that was tried starts with “{odd}”"));
            let first = first.unwrap_or_default();
            format!(
                "{path} has no line in a Synapse format: check the path and the log format{first}. {known}"
            )
        }
    })
}
