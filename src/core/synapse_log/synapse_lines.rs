//! The lines of a file, whoever carried them → lines as Synapse's own formats have them.
//!
//! The process that a carrier names stands in front, as in Synapse's image with workers (`NAME | `). A record of
//! Synapse's journal handler has its time and its level in the journal alone, so it becomes a line of the JSON format,
//! which it equals: no text of a client begins a record in either.

use std::borrow::Cow;

use serde_json::json;

use crate::carriers::{Carried, Unwrapper, Wrappings};
use crate::synapse_log::record::{self, Record, Shape, Stamp, shape};

/// A longer name, or one with other characters, is replaced by its digest: a prefix is short.
const NAME: usize = 48;

/// Turns the lines of one file into Synapse's.
#[derive(Debug, Clone, Default)]
pub struct SynapseLines {
    unwrapper: Unwrapper,
    buffer: Vec<u8>,
    /// Lines whose text the carrier did not show.
    pub lost: u64,
}

impl SynapseLines {
    /// Of a file that is wrapped so.
    pub fn new(wrappings: Wrappings) -> Self {
        Self { unwrapper: Unwrapper::new(wrappings), ..Self::default() }
    }

    /// Nothing is around the file's lines.
    pub fn is_plain(&self) -> bool {
        self.unwrapper.is_plain()
    }

    /// One physical line → Synapse's lines in it.
    pub fn line(&mut self, line: &[u8], mut each: impl FnMut(&[u8])) {
        let Self { unwrapper, buffer, lost } = self;
        unwrapper.line(line, |carried| {
            *lost += u64::from(carried.lost);
            each(synapse_line(&carried, buffer));
        });
    }
}

/// Learns from one of a file's first lines how its lines are wrapped; whether there is a record in it.
pub fn learn(wrappings: &mut Wrappings, line: &[u8]) -> bool {
    wrappings.learn(line, &is_record)
}

/// What one physical line alone holds, as a line of Synapse's.
pub fn alone<T>(wrappings: &Wrappings, line: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    let mut buffer = Vec::new();
    Unwrapper::first(wrappings, line, |carried| read(synapse_line(&carried, &mut buffer)))
}

/// The time of the record that a physical line starts; `None` where it starts none.
pub fn stamp(wrappings: &Wrappings, line: &[u8]) -> Option<Stamp> {
    if wrappings.is_plain() {
        return record::stamp(line);
    }
    alone(wrappings, line, record::stamp)
}

/// Whether a line begins a record of Synapse's. An object without a logger is none, whatever else it has.
fn is_record(line: &[u8]) -> bool {
    match shape(line) {
        Shape::Text { .. } | Shape::Journal => true,
        Shape::Json { prefix } => record::names_logger(&line[prefix..]),
        Shape::Other => false,
    }
}

fn synapse_line<'a>(carried: &Carried<'a>, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let shape = shape(carried.text);
    let text = match (shape, carried.at) {
        (Shape::Journal, Some(at)) if carried.record => match journal(carried, at) {
            Some(json) => Cow::Owned(json),
            None => Cow::Borrowed(carried.text),
        },
        _ => Cow::Borrowed(carried.text),
    };
    // The form for the journal without the journal's time cannot be read, and stays recognisable.
    let as_it_is = carried.name.is_empty() || shape == Shape::Journal;
    if as_it_is && matches!(text, Cow::Borrowed(_)) {
        return carried.text;
    }
    buffer.clear();
    let inner = match shape {
        Shape::Text { prefix, .. } | Shape::Json { prefix } => prefix,
        Shape::Journal | Shape::Other => 0,
    };
    let (own, rest) = text.split_at(inner);
    if !carried.name.is_empty() {
        name(carried.name, own, buffer);
    }
    buffer.extend_from_slice(rest);
    buffer
}

/// `NAME | `, of the process that the carrier names and the one that the line itself names.
fn name(carrier: &[u8], own: &[u8], into: &mut Vec<u8>) {
    let own = own.strip_suffix(b"| ").unwrap_or(own).trim_ascii_end();
    let mut name = carrier.to_vec();
    if !own.is_empty() {
        name.push(b'/');
        name.extend_from_slice(own);
    }
    if name.len() > NAME || !name.iter().all(u8::is_ascii_graphic) {
        // FNV-1a.
        let digest = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        name = format!("{digest:016x}").into_bytes();
    }
    into.extend_from_slice(&name);
    into.extend_from_slice(b" | ");
}

/// `logger: [request] message` of the journal handler, with its time and severity → a line of the JSON format.
fn journal(carried: &Carried, at: i64) -> Option<Vec<u8>> {
    let text = record::text(carried.text);
    let record = Record::journal(&text)?;
    let level = match carried.severity {
        Some(0..=2) => "CRITICAL",
        Some(3) => "ERROR",
        Some(4) => "WARNING",
        Some(7) => "DEBUG",
        Some(_) => "INFO",
        // Access lines are written at INFO and above, whatever happened.
        None if record.logger.starts_with("synapse.access.") => "INFO",
        None => "WARNING",
    };
    let line = json!({
        "log": record.message,
        "namespace": record.logger,
        "level": level,
        "time": at as f64 / 1000.0,
        "request": record.request,
    });
    Some(line.to_string().into_bytes())
}
