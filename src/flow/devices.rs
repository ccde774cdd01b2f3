//! A user → their devices: a list to choose from, or the one that a question without a device is about.

use kestrel_core::diagnose::device_list::worst_first;
use kestrel_core::evidence::{Fact, Gathered, Need, Shown, State, counted};
use kestrel_core::render::{self, Reply, View};
use ruma::{OwnedDeviceId, UserId};

use crate::collect;
use crate::config::Config;

/// The user's device in trouble, else the one seen last, and all of them; a session without encryption keys only
/// where the user has nothing else.
pub(super) async fn worst_device(
    user: &UserId,
    config: &Config,
) -> Result<(OwnedDeviceId, Gathered), Reply> {
    let Some(database) = &config.database else {
        return Err(device_list(user, config).await);
    };
    let list = collect::postgres::device_list(user, database, config.limits.deadline).await;
    let mut list = list.unwrap_or_default();
    worst_first(&mut list.rows);
    let Some(device) = list.rows.first().map(|row| row.device.clone()) else {
        return Err(device_list(user, config).await);
    };
    let what = counted(list.rows.len() as u64, "device");
    let shown = Shown { what, query: list.query };
    let fact = Some(Fact::Devices(list.rows));
    let listed = Gathered::answered(Need::DeviceList, "database", State::Found, shown, fact);
    Ok((device, listed))
}

/// The devices to choose from, or why they cannot be listed.
pub(super) async fn device_list(user: &UserId, config: &Config) -> Reply {
    let Some(database) = &config.database else {
        return render::lines([
            "No device given, and without a database Kestrel cannot list the user's devices. Name a device.",
        ])
        .reply();
    };
    match collect::postgres::device_list(user, database, config.limits.deadline).await {
        Ok(list) => {
            let view = View::in_zone(config.limits.timezone.clone());
            render::devices(user.as_str(), &list.rows, list.behind.as_deref(), &view).reply()
        }
        Err(why) => {
            let line = format!("The devices cannot be listed: {why}. Name a device.");
            render::lines([line.as_str()]).reply()
        }
    }
}
