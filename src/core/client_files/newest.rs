//! The items of one file in the order of the file, within a budget: its start, which names the session and the
//! versions, and its newest items. What does not fit is dropped from the middle and counted.

use std::collections::VecDeque;

use jiff::Timestamp;

/// Items of the start that are always stored, and their bytes.
const START: usize = 100;
const START_BYTES: usize = 64 << 10;

/// Items, each with the bytes that it counts for.
#[derive(Debug)]
pub(crate) struct Newest<T> {
    start: Vec<(usize, T)>,
    end: VecDeque<(usize, T)>,
    bytes: usize,
    most: usize,
    budget: usize,
    dropped: u64,
    /// The time of an item, if it is known.
    when: fn(&T) -> Option<Timestamp>,
    /// The first and last time of those that were dropped.
    lost: Option<(Timestamp, Timestamp)>,
}

impl<T> Newest<T> {
    /// With a limit of items and of bytes.
    pub(crate) fn new(most: usize, budget: usize, when: fn(&T) -> Option<Timestamp>) -> Self {
        let start = Vec::new();
        let end = VecDeque::new();
        Self { start, end, bytes: 0, most, budget, dropped: 0, when, lost: None }
    }

    /// Adds the next item, and drops the oldest if there is no room.
    pub(crate) fn push(&mut self, size: usize, item: T) {
        self.bytes += size;
        let fits = self.start.len() < START && self.bytes <= START_BYTES.min(self.budget);
        if fits && self.end.is_empty() {
            self.start.push((size, item));
        } else {
            self.end.push_back((size, item));
        }
        self.shrink(self.budget);
    }

    /// Drops the oldest items until the rest fits into a number of bytes.
    pub(crate) fn shrink(&mut self, budget: usize) {
        self.budget = budget;
        while self.bytes > self.budget || self.len() > self.most {
            let oldest = self.end.pop_front().or_else(|| self.start.pop());
            let Some((size, item)) = oldest else { return };
            self.bytes -= size;
            self.lose(&item);
        }
        // Spare capacity uses memory too.
        if self.end.capacity() > 4 * self.end.len().max(START) {
            self.end.shrink_to(2 * self.end.len());
        }
    }

    /// Counts an item that does not fit.
    pub(crate) fn lose(&mut self, item: &T) {
        self.dropped += 1;
        if let Some(at) = (self.when)(item) {
            let (first, last) = self.lost.unwrap_or((at, at));
            self.lost = Some((first.min(at), last.max(at)));
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Items that did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Their first and last time, if they have times.
    pub(crate) fn lost(&self) -> Option<(Timestamp, Timestamp)> {
        self.lost
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start.is_empty() && self.end.is_empty()
    }

    /// The stored items, in the order of the file.
    pub(crate) fn items(self) -> impl Iterator<Item = T> {
        self.start.into_iter().chain(self.end).map(|(_, item)| item)
    }

    /// Takes the newest stored item.
    pub(crate) fn pop_newest(&mut self) -> Option<T> {
        let (size, item) = self.end.pop_back().or_else(|| self.start.pop())?;
        self.bytes -= size;
        Some(item)
    }

    /// Drops all items.
    pub(crate) fn drop_rest(&mut self) {
        while let Some(item) = self.pop_newest() {
            self.lose(&item);
        }
    }

    fn len(&self) -> usize {
        self.start.len() + self.end.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_and_the_newest_end_are_kept() {
        let mut kept = Newest::new(150, 1 << 20, |_| None);
        (0..1000).for_each(|item| kept.push(8, item));
        assert_eq!((kept.bytes(), kept.dropped()), (150 * 8, 850));
        let items: Vec<i32> = kept.items().collect();
        assert_eq!(
            (items[..100].to_vec(), items[100..].to_vec()),
            ((0..100).collect(), (950..1000).collect())
        );
    }

    #[test]
    fn bytes_are_bounded_whatever_the_items_are() {
        let mut kept = Newest::new(1000, 100, |_| None);
        (0..50).for_each(|item| kept.push(30, item));
        assert_eq!((kept.bytes(), kept.dropped()), (90, 47));
        kept.push(101, 50);
        assert_eq!((kept.bytes(), kept.dropped()), (90, 48));
        (0..50).for_each(|item| kept.push(30, item));
        kept.shrink(40);
        assert_eq!(kept.items().count(), 1);
    }
}
