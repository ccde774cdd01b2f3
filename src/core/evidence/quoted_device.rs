//! A device ID → the word of a command that names it, so that a printed command can be pasted.

/// In quotes, with everything spelled out that could end the quotes, break the line or show nothing. A command reads short words as times or keywords, whatever their
/// case (`LAST`, `30M`), so only an ID of many letters, as Synapse makes them, needs no quotes.
pub fn quoted_device(device: &str) -> String {
    const LONGER_THAN_KEYWORDS: usize = 8;
    let is_plain = device.len() >= LONGER_THAN_KEYWORDS
        && device.chars().all(|letter| letter.is_ascii_alphabetic());
    if is_plain {
        return device.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in device.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // A backtick ends a code span, and a bracket may begin a link.
            '`' | '[' | ']' => quoted.extend(letter.escape_unicode()),
            ' ' | '!'..='~' => quoted.push(letter),
            _ => quoted.extend(letter.escape_unicode()),
        }
    }
    quoted.push('"');
    quoted
}
