//! What was read of one device's keys → one line for a person.

use crate::evidence::KeyLog;
use crate::evidence::attribute::End;
use crate::evidence::key_log::Format;

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
