//! A HAR file → its entries one after the other, so that no more than one is held at a time. Of a file
//! that is torn the entries before the tear are given. Its own parts around them are passed over.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

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
        while let Some(entry) = list.next_element::<Value>()? {
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
