//! A user → their devices: a list to choose from, or the one that a question without a device is about.

use ruma::{OwnedDeviceId, UserId};

use super::answer::Flow;
use crate::collect;
use kestrel_core::diagnose::device_list::worst_first;
use kestrel_core::evidence::{Fact, Gathered, Need, Shown, State, counted};
use kestrel_core::render::{self, Reply};

impl Flow {
    /// The user's device in trouble, else the one seen last, and all of them; a session without encryption keys
    /// only where the user has nothing else.
    pub(super) async fn worst_device(
        &self,
        user: &UserId,
    ) -> Result<(OwnedDeviceId, Gathered), Reply> {
        let Some(database) = &self.config.database else {
            return Err(self.device_list(user).await);
        };
        let deadline = self.config.limits.deadline;
        let list = collect::postgres::device_list(user, database, deadline).await;
        let mut list = list.unwrap_or_default();
        worst_first(&mut list.rows);
        let Some(device) = list.rows.first().map(|row| row.device.clone()) else {
            return Err(self.device_list(user).await);
        };
        let what = counted(list.rows.len() as u64, "device");
        let fact = Some(Fact::Devices(list.rows));
        let listed = Gathered::answered(
            Need::DeviceList,
            "database",
            State::Found,
            Shown { what, query: list.query },
            fact,
        );
        Ok((device, listed))
    }

    /// The devices to choose from, or why they cannot be listed.
    pub(super) async fn device_list(&self, user: &UserId) -> Reply {
        let Some(database) = &self.config.database else {
            return render::lines([
                "No device given, and without a database Kestrel cannot list the user's devices. Name a device.",
            ])
            .reply();
        };
        let deadline = self.config.limits.deadline;
        match collect::postgres::device_list(user, database, deadline).await {
            Ok(list) => {
                let behind = list.behind.as_deref();
                render::devices(user.as_str(), &list.rows, behind, &self.view()).reply()
            }
            Err(why) => {
                let line = format!("The devices cannot be listed: {why}. Name a device.");
                render::lines([line.as_str()]).reply()
            }
        }
    }
}
