//! Lines that a carrier cut into pieces → whole lines. It holds a bounded number of bounded lines.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::peeled::{Peeled, Piece};

/// Streams whose line is not at its end, at most.
const OPEN: usize = 64;
/// Longer lines are clipped; the longest genuine one is about 200 kB.
const LONGEST: usize = 1 << 20;

/// The lines that were begun, each of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    open: VecDeque<Peeled<'static>>,
}

impl Pieces {
    /// The whole line, where this is its end or it was never cut.
    pub fn join<'a>(&mut self, piece: Peeled<'a>) -> Option<Peeled<'a>> {
        if piece.piece == Piece::Whole {
            return Some(piece);
        }
        let of = |open: &Peeled| open.name == piece.name && open.stream == piece.stream;
        let known = self.open.iter().position(of).and_then(|at| self.open.remove(at));
        let joined = match known {
            None => piece,
            Some(mut open) => {
                let room = LONGEST.saturating_sub(open.text.len());
                open.text.to_mut().extend_from_slice(&piece.text[..piece.text.len().min(room)]);
                open.piece = piece.piece;
                open
            }
        };
        if joined.piece == Piece::Last {
            return Some(joined);
        }
        if self.open.len() == OPEN {
            self.open.pop_front();
        }
        let begun = joined.owned();
        self.open.push_back(Peeled { text: Cow::Owned(begun.text.into_owned()), ..begun });
        None
    }
}
