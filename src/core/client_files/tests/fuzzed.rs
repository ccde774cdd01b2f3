//! Every reader on files that were changed at random: none panics, none says more than it was given, and what
//! was redacted once stays as it is. A second each; `KESTREL_FUZZ_SECONDS=60` for a minute.

#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use crate::client_files::intake::*;
use crate::client_files::tests::planted::{
    Chance, Planted, har_with, log, planted, report_with, seen, survivors,
};
use crate::client_files::tests::{gz, tar_of, zip_of};
use crate::evidence::ClientFacts;
use crate::evidence::client_file::*;

fn spell() -> Duration {
    let said = std::env::var("KESTREL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(said.unwrap_or(1))
}

/// Bends a seed: bytes flipped, cut out, repeated, moved, or replaced by what readers stumble over.
fn bent(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
    const STUMBLES: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"1e999",
        b"-1",
        b"\xff",
        b"\0",
        b"\\u0000",
        b"\xe2\x80\xa6",
        b"'",
        b"`",
        b"\n",
        b"%",
        b"%2F",
        b"::1",
        b"\"key\":",
        b"=",
        b"/_matrix/",
        b"One time key ",
        b"curve25519:",
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(6) {
        if bytes.is_empty() {
            break;
        }
        let at = chance.below(bytes.len());
        let end = (at + 1 + chance.below(40)).min(bytes.len());
        match chance.below(6) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 => {
                let other = chance.below(bytes.len());
                bytes.swap(at, other);
            }
            4 if chance.below(4) == 0 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, STUMBLES[chance.below(STUMBLES.len())].iter().copied())),
        }
    }
    bytes
}

/// Facts that the redacted text has to tell again; of what was dropped only the count was kept.
fn known(facts: &ClientFacts) -> serde_json::Value {
    let mut known = serde_json::to_value(facts).unwrap();
    known["unknown"] = 0.into();
    // Of what was left out the text holds nothing.
    known["unread"] = serde_json::Value::Null;
    known
}

fn settle(parcel: &Parcel, limits: &Limits) {
    for artefact in &parcel.artefacts {
        let again = take_in("x", artefact.text.as_bytes(), limits)
            .unwrap_or_else(|why| panic!("{why}: {}", artefact.text));
        assert_eq!(again.artefacts.len(), 1);
        assert_eq!(again.artefacts[0].kind, artefact.kind, "{}", artefact.text);
        assert_eq!(again.artefacts[0].text, artefact.text);
        assert_eq!(known(&again.artefacts[0].facts), known(&artefact.facts), "{}", artefact.text);
    }
}

/// Bends the seed for a while. A bent byte may break a secret, so they are looked for only where it is whole.
fn fuzz(name: &str, seed: &[u8], secrets: &[Planted]) {
    let limits = Limits { size: 1 << 20, unpacked: 4 << 20, files: 8, ..Limits::default() };
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let from = Instant::now();
    let mut rounds = 0u64;

    while from.elapsed() < spell() {
        let bytes = bent(seed, &mut chance);
        let taken = take_in(name, &bytes, &limits);
        let shown = seen(&taken);
        assert!(shown.len() <= (8 << 20), "{} bytes", shown.len());
        if let Ok(parcel) = &taken {
            settle(parcel, &limits);
        }
        let wrong = survivors(secrets, &shown);
        assert!(wrong.is_empty(), "round {rounds}: {wrong:#?}");
        rounds += 1;
    }
    println!("{name}: {rounds} rounds");
}

/// Secrets that are recognised by themselves: damage to their name must not let them through.
fn secrets() -> Vec<Planted> {
    let mut chance = Chance(77);
    [0, 1, 2, 7, 8, 14, 19].into_iter().map(|number| planted(&mut chance, number)).collect()
}

#[test]
fn bent_reports() {
    fuzz("report", report_with(&secrets()[..3]).to_string().as_bytes(), &secrets()[..3]);
}

#[test]
fn bent_har_files() {
    fuzz("har", har_with(&secrets()[..1]).to_string().as_bytes(), &secrets()[..1]);
}

#[test]
fn bent_logs() {
    fuzz("log", log(&secrets()[..4]).as_bytes(), &[]);
}

#[test]
fn bent_archives() {
    let log = log(&secrets()[..1]);
    let files: [(&str, &[u8]); 2] =
        [("a", log.as_bytes()), ("b", b"{\"entries\":[\"MissingKey\"]}")];
    fuzz("zip", &zip_of(&files), &[]);
    fuzz("tar", &gz(&tar_of(&files)), &[]);
    fuzz("plain tar", &tar_of(&files), &[]);
}
