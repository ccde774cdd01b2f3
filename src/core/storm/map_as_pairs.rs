//! A map whose keys are not strings, as a list of pairs in JSON.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub fn serialize<K, V, S>(map: &BTreeMap<K, V>, to: S) -> Result<S::Ok, S::Error>
where
    K: Serialize,
    V: Serialize,
    S: Serializer,
{
    map.iter().collect::<Vec<_>>().serialize(to)
}

/// Leaves out a pair that another version wrote and this one cannot read, so that one user ID which is no longer
/// accepted does not lose the state of everybody else.
pub fn deserialize<'a, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'a> + Ord,
    V: Deserialize<'a>,
    D: Deserializer<'a>,
{
    let pairs = Vec::<Pair<K, V>>::deserialize(from)?.into_iter();
    Ok(pairs.filter_map(Pair::readable).collect())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pair<K, V> {
    Readable(K, V),
    Unreadable(IgnoredAny),
}

impl<K, V> Pair<K, V> {
    fn readable(self) -> Option<(K, V)> {
        match self {
            Self::Readable(key, value) => Some((key, value)),
            Self::Unreadable(_) => None,
        }
    }
}
