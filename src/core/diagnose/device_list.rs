//! A user's devices by their rows alone → what is worth a look at each, and which one to judge first.

use std::cmp::Reverse;

use super::key_count::FLOOD;
use crate::evidence::DeviceRow;
use crate::evidence::otk::Check;

/// What is worth a look at a device; `None` where nothing is.
pub fn trouble(row: &DeviceRow) -> Option<&'static str> {
    match row {
        row if row.has_keys == Some(false) => Some("no encryption keys"),
        row if row.next_key == Some(Check::Fails) => {
            Some("its next one-time key is from an old account")
        }
        row if row.one_time_keys == Some(0) => Some("no one-time keys left"),
        row if row.one_time_keys.is_some_and(|count| count >= FLOOD) => {
            Some("far too many one-time keys")
        }
        _ => None,
    }
}

/// Whether the session takes part in encryption. One that never published keys is often left over from a login
/// that nobody uses: nothing that happens to the user's other devices is its doing.
pub fn has_keys(row: &DeviceRow) -> bool {
    row.has_keys != Some(false)
}

/// Puts the devices in order: those with keys first, of these the worst first, then the one seen last.
pub fn worst_first(rows: &mut [DeviceRow]) {
    rows.sort_by_key(|row| (!has_keys(row), severity(row), Reverse(row.last_seen)));
}

fn severity(row: &DeviceRow) -> u8 {
    match (row.next_key, row.one_time_keys) {
        (Some(Check::Fails), _) => 0,
        (_, Some(0)) => 1,
        (_, Some(count)) if count >= FLOOD => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_session_without_keys_never_comes_before_a_device_with_keys() {
        let row = |name: &str, keys: bool, next: Option<Check>, seen: i64| DeviceRow {
            device: name.into(),
            display_name: None,
            last_seen: Timestamp::from_second(seen).ok(),
            hidden: false,
            has_keys: Some(keys),
            one_time_keys: Some(if keys { 50 } else { 0 }),
            next_key: next,
        };
        let mut rows = vec![
            row("LEFTOVER", false, None, 900),
            row("OLD", true, Some(Check::Verifies), 100),
            row("NEW", true, Some(Check::Verifies), 500),
            row("DEAD", true, Some(Check::Fails), 10),
        ];
        worst_first(&mut rows);
        let order: Vec<_> = rows.iter().map(|row| row.device.as_str()).collect();
        assert_eq!(order, ["DEAD", "NEW", "OLD", "LEFTOVER"]);
    }
}
