//! One entry of a list, or one body → values, up to a bound: JSON takes far more memory as values than as
//! text, a list of zeros sixteen times. What is beyond the limit is skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Values of one entry, and of one body; 200 uploaded keys have 13 000, a message to 250 devices 18 000. An
/// object counts as [`OBJECT`], and text as its bytes do.
const ENTRY: usize = 1 << 16;
const BODY: usize = 1 << 16;
/// An object takes the memory of this many numbers.
const OBJECT: usize = 20;
/// Bytes of one number.
const NUMBER: usize = 32;

/// A body; none if it is not JSON, or too long.
pub(crate) fn body(bytes: &[u8]) -> Option<Value> {
    bounded(bytes, BODY).filter(|(_, whole)| *whole).map(|(value, _)| value)
}

/// One entry of a list, and whether it is complete; none if it is not JSON.
pub(crate) fn entry(bytes: &[u8]) -> Option<(Value, bool)> {
    bounded(bytes, ENTRY)
}

fn bounded(bytes: &[u8], most: usize) -> Option<(Value, bool)> {
    let mut read = serde_json::Deserializer::from_slice(bytes);
    let mut left = most;
    let value = Bounded(&mut left).deserialize(&mut read).ok()?;
    read.end().ok()?;
    Some((value, left > 0))
}

/// A value with a limited number of parts; the rest is skipped.
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
        *self.0 = self.0.saturating_sub(value.len() / NUMBER);
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
