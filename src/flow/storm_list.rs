//! Storms of the ledger → entries of a list, for a room and for a terminal.

use kestrel_core::render::storm::ListedStorm;
use kestrel_core::storm::Confirmation;

use crate::store::StoredStorm;

/// A storm as a list shows it; `link` leads to its thread.
pub fn listed<'a>(known: &'a StoredStorm, link: Option<&'a str>) -> ListedStorm<'a> {
    ListedStorm {
        event: &known.event,
        verdict: known.verdict.as_deref(),
        sure: known.sure.as_ref(),
        root: link,
    }
}

/// A link to the storm's thread, if it has one.
pub fn thread_link(known: &StoredStorm) -> Option<String> {
    let (room, root) = known.root.as_ref()?;
    Some(room.matrix_to_event_uri(root.clone()).to_string())
}

/// Whether its alert was suppressed because something contradicts it.
pub fn was_suppressed(known: &StoredStorm) -> bool {
    known.root.is_none() && matches!(known.sure, Some(Confirmation::Contradicted(_)))
}
