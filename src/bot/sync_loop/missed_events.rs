//! A room's timeline, read back from its end → the events that were not handled yet, oldest first. It stops at the
//! newest handled event, at events that are too old, or at a bound, and says which.

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::uint;
use ruma::EventId;

use crate::bot::timeline_event;

/// The most pages of 100 events that are read back. A command and its answer are at most four events, so this
/// covers a full queue of commands.
const MOST_PAGES: usize = 20;

/// What was missed.
#[derive(Debug, Default)]
pub(crate) struct MissedEvents {
    /// Oldest first.
    pub(crate) events: Vec<TimelineEvent>,
    /// Where the limit was reached: nothing before this was read.
    pub(crate) cut: Option<Timestamp>,
}

/// How far back to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadBack<'a> {
    /// Everything up to this event was handled.
    pub(crate) heard: Option<&'a EventId>,
    /// What was sent before this does not matter.
    pub(crate) oldest: Timestamp,
    /// The position in the timeline to start at; without one, its end.
    pub(crate) from: Option<&'a str>,
}

/// Reads a room back.
pub(crate) async fn missed(room: &Room, back: ReadBack<'_>) -> Result<MissedEvents> {
    let mut newest_first: Vec<TimelineEvent> = Vec::new();
    let mut from = back.from.map(ToOwned::to_owned);
    for _ in 0..MOST_PAGES {
        let mut options = MessagesOptions::backward().from(from.as_deref());
        options.limit = uint!(100);
        let page = room.messages(options).await?;
        let heard = page
            .chunk
            .iter()
            .position(|event| back.heard.is_some() && event.event_id().as_deref() == back.heard);
        let whole = heard.unwrap_or(page.chunk.len());
        // Other servers choose their events' times: one old event does not end the search, a page of them
        // does.
        let all_old = page
            .chunk
            .iter()
            .all(|event| timeline_event::raw_sent(event.raw()).is_some_and(|at| at < back.oldest));
        newest_first.extend(page.chunk.into_iter().take(whole));
        from = page.end;
        if heard.is_some() || all_old || from.is_none() {
            return Ok(MissedEvents { events: turned(newest_first), cut: None });
        }
    }
    let cut = newest_first.last().and_then(|event| timeline_event::raw_sent(event.raw()));
    Ok(MissedEvents { events: turned(newest_first), cut })
}

fn turned(mut newest_first: Vec<TimelineEvent>) -> Vec<TimelineEvent> {
    newest_first.reverse();
    newest_first
}
