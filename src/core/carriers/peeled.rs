//! One line without its outermost wrapping, and what the wrapping said.

use std::borrow::Cow;

/// Whether a carrier cut the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Piece {
    /// The carrier never cuts lines.
    #[default]
    Whole,
    /// More of the line follows.
    Part,
    /// The end of a line, or a line that was not cut.
    Last,
}

/// A line without one wrapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Peeled<'a> {
    pub text: Cow<'a, [u8]>,
    /// Which process wrote it; empty where the carrier does not say.
    pub name: Cow<'a, [u8]>,
    /// Standard output or error, as the carrier spells it. The pieces of a line are of one stream.
    pub stream: Cow<'a, [u8]>,
    /// When the carrier took the line, in milliseconds UTC.
    pub at: Option<i64>,
    /// Syslog's severity, 0 to 7.
    pub severity: Option<u8>,
    pub piece: Piece,
    /// The program gave the carrier this entry as one record: newlines in it begin no other.
    pub record: bool,
    /// The carrier did not show the line's text.
    pub lost: bool,
}

impl<'a> Peeled<'a> {
    pub fn of(text: &'a [u8]) -> Self {
        Self { text: Cow::Borrowed(text), ..Self::default() }
    }

    pub fn owned(self) -> Peeled<'static> {
        let own = |text: Cow<[u8]>| Cow::Owned(text.into_owned());
        Peeled {
            text: own(self.text),
            name: own(self.name),
            stream: own(self.stream),
            at: self.at,
            severity: self.severity,
            piece: self.piece,
            record: self.record,
            lost: self.lost,
        }
    }

    /// What an outer wrapping said, where this one does not say it.
    pub fn inside(mut self, outer: &Peeled<'_>) -> Self {
        if !outer.name.is_empty() {
            let both = [&outer.name[..], &self.name[..]];
            let names: Vec<_> = both.into_iter().filter(|name| !name.is_empty()).collect();
            self.name = Cow::Owned(names.join(&b'/'));
        }
        if self.stream.is_empty() {
            self.stream = Cow::Owned(outer.stream.to_vec());
        }
        if self.piece == Piece::Whole {
            self.piece = outer.piece;
        }
        self.at = self.at.or(outer.at);
        self.severity = self.severity.or(outer.severity);
        self.record |= outer.record;
        self.lost |= outer.lost;
        self
    }
}
