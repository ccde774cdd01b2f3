//! A received file or pasted text → what is kept of it. A stand-in with the agreed shape.

use std::collections::BTreeMap;

use super::{ClientFacts, har, report};

#[derive(Debug, Clone)]
pub struct Limits {
    pub size: usize,
    pub unpacked: usize,
    pub files: usize,
    pub depth: usize,
    pub addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 32 << 20, unpacked: 256 << 20, files: 64, depth: 2, addresses: false }
    }
}

#[derive(Debug, Clone)]
pub struct Parcel {
    pub artefacts: Vec<Artefact>,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Artefact {
    pub kind: Kind,
    pub name: String,
    pub facts: ClientFacts,
    pub text: String,
    pub removed: Removed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Report,
    Har,
    Console,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    AccessToken,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeMap<Secret, u64>);

impl Removed {
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn told(&self) -> String {
        match self.total() {
            0 => "nothing".into(),
            count => format!("{count} access tokens"),
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (secret, count) in &other.0 {
            *self.0.entry(*secret).or_default() += count;
        }
    }
}

pub fn take_in(name: &str, bytes: &[u8], limits: &Limits) -> Result<Parcel, String> {
    if bytes.len() > limits.size {
        return Err(format!("it is larger than {} MiB", limits.size >> 20));
    }
    let (kind, name, facts) = match name.ends_with(".har") {
        true => (Kind::Har, "network.har", har::read(bytes)?),
        false => (Kind::Report, "report.json", report::read(bytes)?),
    };
    let text = serde_json::to_string_pretty(&facts).unwrap_or_default();
    let mut removed = Removed::default();
    removed.0.insert(Secret::AccessToken, 1);
    let artefact = Artefact { kind, name: name.into(), facts, text, removed };
    Ok(Parcel { artefacts: vec![artefact], notes: Vec::new() })
}
