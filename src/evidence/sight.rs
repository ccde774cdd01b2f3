//! What one moment of a log came to, of everybody: the grain that storms are counted in. Equal sights of
//! one second are one, with a count: a hundred refusals a second are no more to hold than one.

use std::collections::HashMap;

use jiff::Timestamp;

/// Sights held at once: two hundred devices in storm for some hours.
const HELD: usize = 2_000_000;

/// Something seen at a moment, so often in its second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    pub at: Timestamp,
    pub count: u64,
    pub what: What,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// A device's own upload was refused: a key of that id exists.
    Refused { user: String, device: String, key: String },
    /// A device's own upload was refused: it would hold too many.
    TooLarge { user: String, device: String },
    /// Keys of a device were accepted.
    Accepted { user: String, device: String },
    /// Keys of a device were claimed.
    Claimed { user: String, device: String },
    /// A request on a delayed event was answered.
    Delay { address: String, answer: Delay },
}

/// How a request on a delayed event was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delay {
    Fast,
    /// After two seconds or more.
    Slow,
    /// 429.
    Limited,
    /// 404.
    Gone,
}

/// Sights as they come, those of one second put together.
#[derive(Debug, Default)]
pub struct Sights {
    second: i64,
    /// Places in `all` of this second's.
    places: HashMap<What, usize>,
    all: Vec<Sight>,
    /// There was no more room: what came later is missing.
    pub cut: bool,
}

impl Sights {
    /// Notes so many of one kind.
    pub fn note(&mut self, at: Timestamp, count: u64, what: What) {
        if at.as_second() != self.second {
            self.places.clear();
            self.second = at.as_second();
        }
        if let Some(place) = self.places.get(&what) {
            self.all[*place].count += count;
        } else if self.all.len() < HELD {
            self.places.insert(what.clone(), self.all.len());
            self.all.push(Sight { at, count, what });
        } else {
            self.cut = true;
        }
    }

    /// All of them, oldest first.
    pub fn sorted(mut self) -> Vec<Sight> {
        self.all.sort_by_key(|sight| sight.at);
        self.all
    }
}
