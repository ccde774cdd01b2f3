//! A mute and a storm → whether the storm is posted.

use kestrel_core::storm::{Event, Muted, Whose};

/// Whether a mute silences the storm of this event.
pub(crate) fn covers(mute: &Muted, event: &Event) -> bool {
    match (mute, &event.whose) {
        (Muted::All, _) => true,
        (Muted::Storm(number), _) => *number == event.storm,
        (Muted::User(muted), Whose::Device { user, .. }) => muted.as_str() == user,
        (Muted::User(_), _) => false,
    }
}
