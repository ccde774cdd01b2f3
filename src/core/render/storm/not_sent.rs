//! Alerts that something contradicted → a list with the reasons: what was kept from a room is not hidden.

use super::{LISTED, ListedStorm, View, kind, more, name, sentence, whose};
use crate::render::page::Page;
use crate::storm::Confirmation;

/// Alerts that were not sent, because the database has no such device, or another server has the user.
pub fn dropped(storms: &[ListedStorm], view: &View) -> Page {
    let mut page = Page::default();
    if storms.is_empty() {
        return page;
    }
    page.gap();
    page.line().text("Alerts not sent:");
    for storm in storms.iter().take(LISTED) {
        name(page.line(), storm.event, storm.root);
        page.text(format!(" · {}", kind(storm.event)));
        whose(&mut page, storm.event);
        page.text(format!(" · {}", view.span(storm.event.first, storm.event.last)));
        if let Some(Confirmation::Contradicted(why)) = storm.sure {
            page.text(format!(" · {}", sentence(why)));
        }
    }
    more(&mut page, storms.len(), LISTED);
    page
}
