//! A HAR file → its entries one after the other, so that no more than one is held at a time. Of a file
//! that is torn the entries before the tear are given. Its own parts around them are passed over.
//!
//! JSON takes far more memory as values than as text, a list of zeros sixteen times, so values are made
//! up to a bound only.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

/// Values of one entry or body; 200 key uploads have as many. An object counts as [`OBJECT`].
const ENTRY: usize = 1 << 18;
/// Values of a report.
const REPORT: usize = 1 << 20;
/// An object takes the memory of so many numbers.
const OBJECT: usize = 20;

/// How a file was gone through.
pub(in crate::evidence) struct Walked {
    /// Entries that hold a request.
    pub requests: u64,
    /// `log.entries` is a list, be it empty.
    pub has_log: bool,
    /// Why it ended early, for a person; never in the file's own words.
    pub torn: Option<String>,
}

/// Gives every entry that holds a request.
pub(in crate::evidence) fn walk(bytes: &[u8], each: &mut dyn FnMut(&Value)) -> Walked {
    let mut walk = Walk { each, requests: 0, has_log: false };
    let mut read = serde_json::Deserializer::from_slice(bytes);
    let ended = Whole(&mut walk).deserialize(&mut read).and_then(|()| read.end());
    let torn = ended.err().map(|error| why(&error));
    Walked { requests: walk.requests, has_log: walk.has_log, torn }
}

/// What is wrong with JSON, without a word of it: an error may quote what it met.
pub(in crate::evidence) fn why(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("it ends too early, at {place}"),
        Category::Data => format!("it has another shape than I know, at {place}"),
        Category::Syntax | Category::Io => format!("it is no JSON at {place}"),
    }
}

/// A body; none where it is no JSON, or more than any that is read.
pub(in crate::evidence) fn body(bytes: &[u8]) -> Option<Value> {
    whole(bytes, ENTRY).ok().flatten()
}

/// A report; none where it holds more values than any report.
pub(super) fn report(text: &str) -> serde_json::Result<Option<Value>> {
    whole(text.as_bytes(), REPORT)
}

fn whole(bytes: &[u8], most: usize) -> serde_json::Result<Option<Value>> {
    let (mut read, mut left) = (serde_json::Deserializer::from_slice(bytes), most);
    let value = Bounded(&mut left).deserialize(&mut read)?;
    read.end()?;
    Ok((left > 0).then_some(value))
}

/// A value of which no more than so many parts are made; what is beyond is passed over.
struct Bounded<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if *self.0 == 0 {
            return from.deserialize_ignored_any(IgnoredAny).map(|_| Value::Null);
        }
        *self.0 -= 1;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while *self.0 > 0 {
            let Some(value) = list.next_element_seed(Bounded(&mut *self.0))? else {
                return Ok(Value::Array(kept));
            };
            kept.push(value);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        *self.0 = self.0.saturating_sub(OBJECT);
        let mut kept = Map::new();
        while *self.0 > 0 {
            let Some(name) = map.next_key::<String>()? else { return Ok(Value::Object(kept)) };
            kept.insert(name, map.next_value_seed(Bounded(&mut *self.0))?);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(kept))
    }
}

struct Walk<'a> {
    each: &'a mut dyn FnMut(&Value),
    requests: u64,
    has_log: bool,
}

/// The file; what is in `log` is looked at.
struct Whole<'a, 'b>(&'a mut Walk<'b>);
/// The log; what is in `entries` is looked at.
struct Log<'a, 'b>(&'a mut Walk<'b>);
struct Entries<'a, 'b>(&'a mut Walk<'b>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a HAR file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "log" => map.next_value_seed(Log(&mut *self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Log<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Log<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a HAR log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "entries" => map.next_value_seed(Entries(&mut *self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.has_log = true;
        let mut others = 0u64;
        loop {
            let mut left = ENTRY;
            let Some(entry) = list.next_element_seed(Bounded(&mut left))? else { break };
            if entry.get("request").is_some_and(Value::is_object) {
                self.0.requests += 1;
                (self.0.each)(&entry);
            } else {
                others += 1;
            }
        }
        match (others, self.0.requests) {
            (1.., 0) => Err(A::Error::custom("no entry is a request")),
            _ => Ok(()),
        }
    }
}
