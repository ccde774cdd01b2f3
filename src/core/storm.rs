//! Moments and facts, one by one → when a storm starts, what is new of it, and when it is over.
//!
//! Pure: time is a value, a fact is what one line of a log came to. What is posted, to whom and when it is
//! muted is not decided here; counting never stops. Memory is bounded, because users can be made up.

mod confirmation;
mod crowd;
mod database_polls;
mod event;
mod map_as_pairs;
mod mute;
mod poll_state;
mod request_storms;
mod storm_state;
mod thresholds;
mod time_series;
mod timeline;
mod trigger;
mod watch;

pub use self::confirmation::Confirmation;
pub use self::event::{Change, Event, StormKind, Whose};
pub use self::mute::{Mute, Muted};
pub use self::thresholds::Thresholds;
pub use self::timeline::{Curve, Timeline};
pub use self::trigger::Trigger;
pub use self::watch::StormWatch;

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
