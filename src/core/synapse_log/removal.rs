//! A record of Synapse's log → which devices were removed, and which line says so.

use ruma::OwnedDeviceId;
use serde_json::Value;

use crate::evidence::python_repr;
use crate::evidence::removal::{Removed, RemovedBy};

/// Reads a record of one of the loggers that report removed devices.
pub(crate) fn removed(logger: &str, message: &str) -> Option<Removed> {
    match logger {
        "synapse.handlers.device" => deleted(message),
        "synapse.util.task_scheduler" => emptied(message),
        "synapse.rest.synapse.mas.devices" => synced(message),
        _ => None,
    }
}

/// `Deleting devices ['D', …] for '@u:s'`: both are Python's repr, so that no client's text leaves it.
fn deleted(message: &str) -> Option<Removed> {
    let (devices, rest) = python_repr::literal(message.strip_prefix("Deleting devices ")?)?;
    let (user, rest) = python_repr::string(rest.strip_prefix(" for ")?)?;
    let devices =
        devices.as_array()?.iter().filter_map(|one| one.as_str().map(OwnedDeviceId::from));
    let devices: Vec<_> = devices.collect();
    (rest.is_empty() && !devices.is_empty()).then_some(Removed {
        user: user.try_into().ok()?,
        devices,
        by: RemovedBy::Deleted,
    })
}

/// `Task complete: … [0 dbevts] 'D', {'user_id': '@u:s', 'device_id': 'D', 'up_to_stream_id': 4}`
fn emptied(message: &str) -> Option<Removed> {
    let (_, rest) = message.strip_prefix("Task complete: ")?.split_once(" dbevts] ")?;
    let (device, rest) = python_repr::string(rest)?;
    let (about, rest) = python_repr::literal(rest.strip_prefix(", ")?)?;
    let text = |name: &str| about.get(name).and_then(Value::as_str);
    // Other tasks name other things.
    about.get("up_to_stream_id")?;
    let fits = rest.is_empty() && text("device_id") == Some(&*device);
    let user = text("user_id").filter(|_| fits)?.try_into().ok()?;
    Some(Removed { user, devices: vec![device.into()], by: RemovedBy::Task })
}

/// `Syncing 0 devices for user @u:s will delete 1 devices`, or `… will add 1 devices and delete 1 devices`.
fn synced(message: &str) -> Option<Removed> {
    let (count, rest) = message.strip_prefix("Syncing ")?.split_once(" devices for user ")?;
    let (user, rest) = rest.split_once(" will ")?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let deletes = rest.strip_prefix("delete ").or_else(|| {
        let (added, rest) = rest.strip_prefix("add ")?.split_once(" devices and delete ")?;
        number(added).then_some(rest)
    });
    let deletes = deletes?.strip_suffix(" devices")?;
    let user = user.try_into().ok()?;
    (number(count) && number(deletes)).then(|| Removed {
        user,
        devices: Vec::new(),
        by: RemovedBy::Sync,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Subject;

    fn read(logger: &str, message: &str) -> Option<(String, String, RemovedBy)> {
        let removed = removed(logger, message)?;
        let devices: Vec<_> = removed.devices.iter().map(|device| device.as_str()).collect();
        Some((removed.user.to_string(), devices.join("+"), removed.by))
    }

    /// The messages of recorded servers: Synapse 1.163.2 with MAS, and 1.120.2.
    #[test]
    fn recorded_lines_name_the_device() {
        let device = "synapse.handlers.device";
        let task = "synapse.util.task_scheduler";
        let mas = "synapse.rest.synapse.mas.devices";
        for (logger, message, user, devices, by) in [
            (
                device,
                "Deleting devices ['EDOPHONE'] for '@edo:quay.example'",
                "@edo:quay.example",
                "EDOPHONE",
                RemovedBy::Deleted,
            ),
            (
                device,
                r#"Deleting devices ['A', "it's\nB"] for '@edo:quay.example'"#,
                "@edo:quay.example",
                "A+it's\nB",
                RemovedBy::Deleted,
            ),
            (
                task,
                "Task complete: 0.005sec (0.000sec, 0.000sec) (0.002sec/0.001sec/2) [0 dbevts] 'L0pHPec0Mp', \
                 {'user_id': '@ben:weir.example', 'device_id': 'L0pHPec0Mp', 'up_to_stream_id': 4}",
                "@ben:weir.example",
                "L0pHPec0Mp",
                RemovedBy::Task,
            ),
            (
                mas,
                "Syncing 0 devices for user @edo:quay.example will delete 1 devices",
                "@edo:quay.example",
                "",
                RemovedBy::Sync,
            ),
            (
                mas,
                "Syncing 2 devices for user @edo:quay.example will add 1 devices and delete 1 devices",
                "@edo:quay.example",
                "",
                RemovedBy::Sync,
            ),
        ] {
            let expected = (user.to_owned(), devices.to_owned(), by);
            assert_eq!(read(logger, message), Some(expected), "{message}");
        }
    }

    #[test]
    fn what_is_no_removal_is_none() {
        for (logger, message) in [
            ("synapse.handlers.device", "Deleting devices [] for '@u:s'"),
            ("synapse.handlers.device", "Deleting devices ['D'] for '@u:s' or not"),
            ("synapse.handlers.device", "Deleting devices ['D'] for @u:s"),
            ("synapse.handlers.e2e_keys", "Deleting devices ['D'] for '@u:s'"),
            (
                "synapse.rest.synapse.mas.devices",
                "Syncing 1 devices for user @u:s will add 1 devices",
            ),
            (
                "synapse.util.task_scheduler",
                "Task complete: 0.1sec [0 dbevts] '!room:s', {'room_id': '!room:s'}",
            ),
        ] {
            assert_eq!(read(logger, message), None, "{message}");
        }
    }

    #[test]
    fn a_device_is_removed_by_its_own_name() {
        let subject =
            |device: &str| Subject { user: "@u:s".try_into().unwrap(), device: device.into() };
        let of = |device: &str| {
            let message = "Deleting devices ['D'] for '@u:s'";
            removed("synapse.handlers.device", message).unwrap().concerns(&subject(device))
        };
        assert!(of("D") && !of("E"));
    }
}
