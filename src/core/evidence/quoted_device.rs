//! A device ID → the word of a command that names it, so that a printed command can be pasted.

/// In quotes, unless it is plain: a device may be called anything, and a word in small letters may be read as
/// a window.
pub fn quoted_device(device: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if !device.is_empty() && device.chars().all(is_plain) && device.to_uppercase() == device {
        return device.to_owned();
    }
    format!("\"{}\"", device.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_so_that_it_can_be_pasted() {
        for (device, shown) in [
            ("ABCDEFGHIJ", "ABCDEFGHIJ"),
            ("MY PHONE", "\"MY PHONE\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("last", "\"last\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted_device(device), shown);
        }
    }
}
