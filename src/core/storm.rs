//! Decides from events, one by one, when a storm starts, what is new about it, and when it ends.
//!
//! Pure: time is a value, an event is the meaning of one log line. What to post, to whom, and what is muted
//! is decided elsewhere; counting never stops. Memory is bounded, because user names can be invented.

mod confirmation;
mod crowd;
mod database_polls;
mod event;
mod map_as_pairs;
mod mute;
mod poll_state;
mod request_storms;
mod storm_state;
mod time_series;
mod timeline;
mod trigger;
mod watch;
mod watch_state;

pub use self::confirmation::Confirmation;
pub use self::event::{Change, Event, StormKind, Whose};
pub use self::mute::{Mute, Muted};
pub use self::timeline::{Curve, Timeline};
pub use self::trigger::Trigger;
pub use self::watch_state::StormWatch;

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
