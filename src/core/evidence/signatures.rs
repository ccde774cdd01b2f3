//! Runs the signature test on every key value of the evidence, and lets go of the values.

use crate::evidence::device_rows::DeviceKeys;
use crate::evidence::gathered::{Evidence, Fact};
use crate::evidence::otk::KeyView;

impl Evidence {
    /// Runs the signature test on every key value, log and database alike, once all sources answered.
    /// Values are let go of here: what is serialised afterwards is the outcome.
    pub fn check_signatures(&mut self) {
        let keys: Option<DeviceKeys> = self.device_keys().value().map(|keys| (*keys).clone());
        let ed25519 = keys.as_ref().and_then(|keys| keys.ed25519.as_deref());
        let Some(subject) = self.device().cloned() else { return };
        for fact in self.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut()) {
            let views: Box<dyn Iterator<Item = &mut KeyView>> = match fact {
                Fact::KeyLog(log) => Box::new(
                    log.refused
                        .iter_mut()
                        .chain(&mut log.doubtful)
                        .chain(&mut log.named_by_others)
                        .flat_map(|group| [&mut group.old, &mut group.new]),
                ),
                Fact::Client(client) => Box::new(
                    client.refused.iter_mut().flat_map(|seen| [&mut seen.old, &mut seen.new]),
                ),
                Fact::OneTimeKeys(stored) => {
                    Box::new(stored.keys.iter_mut().map(|key| &mut key.value))
                }
                _ => continue,
            };
            views.for_each(|view| view.check(&subject.user, &subject.device, ed25519));
        }
    }
}
