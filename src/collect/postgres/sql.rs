//! Values of rows, and literals for statements that a person pastes.

use jiff::Timestamp;

pub(super) fn millis(ms: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms?).ok()
}

/// An SQL literal. Line breaks and control characters are escaped, so that they never act on the reader's
/// screen.
pub(super) fn literal(text: &str) -> String {
    let plain = text.replace('\'', "''");
    if !text.contains(|letter: char| letter.is_control()) {
        return format!("'{plain}'");
    }
    let mut escaped = String::new();
    for letter in plain.replace('\\', "\\\\").chars() {
        if letter.is_control() {
            escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    format!("E'{escaped}'")
}
