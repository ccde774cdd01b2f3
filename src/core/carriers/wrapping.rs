//! The first lines of a file → how its lines are wrapped.

use std::borrow::Cow;

use super::layer::Layer;
use super::peeled::Peeled;

/// Wrappings around one line, at most.
const DEEPEST: usize = 3;
/// Wrappings in one file, at most: files of several origins are put together by hand.
const KINDS: usize = 4;

/// How one kind of line is wrapped, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrapping {
    layers: Vec<Layer>,
}

impl Wrapping {
    /// How a line is wrapped in which there is a record; `None` where there is none, or no wrapping around it.
    fn find(line: &[u8], is_record: &dyn Fn(&[u8]) -> bool) -> Option<Self> {
        let mut layers = Vec::new();
        search(line, is_record, &mut layers).then_some(Self { layers })
    }

    fn peel<'a>(&self, line: &'a [u8]) -> Option<Peeled<'a>> {
        let mut whole = Peeled::of(line);
        for layer in &self.layers {
            let next = match &whole.text {
                Cow::Borrowed(text) => layer.peel(text)?,
                Cow::Owned(text) => layer.peel(text)?.owned(),
            };
            whole = next.inside(&whole);
        }
        Some(whole)
    }
}

fn search(line: &[u8], is_record: &dyn Fn(&[u8]) -> bool, layers: &mut Vec<Layer>) -> bool {
    if is_record(line) {
        return !layers.is_empty();
    }
    if layers.len() == DEEPEST {
        return false;
    }
    for layer in Layer::ALL {
        let Some(peeled) = layer.peel(line) else { continue };
        layers.push(layer);
        if search(&peeled.text, is_record, layers) {
            return true;
        }
        layers.pop();
    }
    false
}

/// How the lines of one file are wrapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrappings {
    known: Vec<Wrapping>,
}

impl Wrappings {
    /// Learns from one of the file's first lines; whether it holds a record, wrapped or not.
    pub fn learn(&mut self, line: &[u8], is_record: &dyn Fn(&[u8]) -> bool) -> bool {
        if is_record(line) {
            return true;
        }
        if self
            .known
            .iter()
            .any(|known| known.peel(line).is_some_and(|peeled| is_record(&peeled.text)))
        {
            return true;
        }
        let found = Wrapping::find(line, is_record);
        let is_new = found.is_some();
        if self.known.len() < KINDS {
            self.known.extend(found);
        }
        is_new
    }

    /// No line is wrapped.
    pub fn is_plain(&self) -> bool {
        self.known.is_empty()
    }

    /// The line without its wrapping; `None` where it is in none of them.
    pub(super) fn peel<'a>(&self, line: &'a [u8]) -> Option<Peeled<'a>> {
        self.known.iter().find_map(|known| known.peel(line))
    }
}
