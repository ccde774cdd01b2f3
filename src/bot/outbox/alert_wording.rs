//! What is new of a storm, and its verdict → the text of its message. Decides only which of three it is: the first
//! message, an update, the all-clear.

use jiff::SignedDuration;

use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::flow::{Cure, Judged};
use kestrel_core::render::View;
use kestrel_core::render::storm::{Alert, Cured, clear, root, root_cleared, update};
use kestrel_core::storm::{Change, Confirmation, Event, StormKind};

/// A first message that waited longer says so.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// The text about a change that `waited` so long: the storm's first message if the room does not know the storm yet.
pub(crate) fn alert_message(
    event: &Event,
    untold: bool,
    judged: &Judged,
    waited: SignedDuration,
    view: &View,
) -> OutgoingMessage {
    let cured = match &judged.cure {
        Cure::Yes => Cured::Yes,
        Cure::SignedOut => Cured::SignedOut,
        Cure::No(left) => Cured::No(left),
        Cure::Unknown => Cured::Unknown,
    };
    let mut alert = Alert {
        event,
        sure: &judged.sure,
        // For many devices, the survey says more than "no verdict".
        verdict: Some((judged.verdict.name(), judged.verdict.headline()))
            .filter(|_| event.kind != StormKind::Fleet || !judged.is_open()),
        answer: None,
        late: (waited > LATE).then_some(waited),
        cured,
    };
    if untold {
        alert.answer = judged.page.clone();
        let message = OutgoingMessage::quiet(&root(&alert, view).reply());
        // A log line that anybody could have written notifies nobody.
        return OutgoingMessage {
            rings: judged.sure == Confirmation::Confirmed,
            opens: true,
            ..message
        };
    }
    if event.change == Change::Ended {
        let over = OutgoingMessage::quiet(&clear(&alert, view).reply());
        alert.answer = judged.page.clone();
        return over.instead(root_cleared(&alert, view).reply());
    }
    OutgoingMessage::quiet(&update(&alert, view).reply())
}
