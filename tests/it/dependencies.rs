//! The dependency tree against what the project says about it: one feature set for every command, so that nothing is
//! built twice, and only the licences, sources and second versions that `.deny.toml` allows.
//!
//! It asks cargo, without a network, and never changes `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Runs cargo where it needs no network.
fn cargo(words: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ended = Command::new(cargo)
        .args(words)
        .args(["--locked", "--offline"])
        .current_dir(crate::tree())
        .output()
        .expect("cargo runs");
    assert!(ended.status.success(), "cargo {words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("cargo writes UTF-8")
}

/// What cargo knows of every package that this platform needs.
fn metadata() -> Value {
    let version = cargo(&["version", "--verbose"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", host]);
    serde_json::from_str(&text).expect("cargo writes JSON")
}

/// The packages of the workspace itself.
fn members(metadata: &Value) -> Vec<&Value> {
    let all = metadata["packages"].as_array().expect("packages").iter();
    all.filter(|package| package["source"].is_null()).collect()
}

/// Each way to build one package alone: its programs, as `cargo lab` does, and its tests.
fn selections(metadata: &Value) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for member in members(metadata) {
        let mut targets = member["targets"].as_array().expect("targets").iter();
        if targets.any(|target| target["kind"][0] == "bin") {
            found.push((text(&member["name"]), "normal,build"));
        }
        found.push((text(&member["name"]), "normal,build,dev"));
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Each package with its version → the sets of features that a selection builds it with. A package that build
/// scripts and macros need too may have a second set.
fn features(selection: &[&str], edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let form = ["--edges", edges, "--prefix", "none", "--format", "{p}|{f}"];
    let said = cargo(&[&["tree"], selection, &form].concat());
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in said.lines() {
        if let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') {
            sets.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    sets
}

/// `cargo lab` builds the lab alone, the lab builds the bot alone, `cargo test -p` builds the tests of one package. If
/// one of them had other features than `cargo test --workspace`, everything would be built again.
#[test]
fn each_dependency_is_built_once() {
    let whole = features(&["--workspace"], "normal,build,dev");
    let mut twice = BTreeSet::new();
    for (member, edges) in selections(&metadata()) {
        for (package, sets) in features(&["--package", &member], edges) {
            let known = whole.get(&package).cloned().unwrap_or_default();
            for set in sets.difference(&known) {
                twice.insert(format!("{package}: `-p {member}` [{set}], the workspace {known:?}"));
            }
        }
    }
    assert!(twice.is_empty(), "ask for the same features in each Cargo.toml:\n{twice:#?}");
}

/// The part of `.deny.toml` that needs no network.
struct Allowed {
    licences: Vec<String>,
    /// Package → the licences that only this package may have.
    exceptions: BTreeMap<String, Vec<String>>,
    /// `name@version` of each older version.
    duplicates: BTreeSet<String>,
}

/// The core touches nothing: no runtime, Matrix client, database driver or HTTP client is in its tree.
#[test]
fn the_core_is_built_without_a_runtime_a_driver_or_a_client() {
    let tree =
        cargo(&["tree", "--package", "kestrel-core", "--edges", "normal", "--prefix", "none"]);
    let names: BTreeSet<_> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains("kestrel-core") && names.contains("serde"), "{tree}");
    for never in ["tokio", "matrix-sdk", "rusqlite", "reqwest", "hyper", "tokio-postgres", "rustls"]
    {
        assert!(!names.contains(never), "kestrel-core needs {never}");
    }
}

fn allowed() -> Allowed {
    let file = fs::read_to_string(crate::tree().join(".deny.toml")).expect(".deny.toml");
    let rules: toml::Table = file.parse().expect(".deny.toml is TOML");
    let words = |value: &toml::Value| -> Vec<String> {
        let words = value.as_array().expect("a list").iter();
        words.map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let exception = |value: &toml::Value| {
        (value["crate"].as_str().expect("a crate").to_owned(), words(&value["allow"]))
    };
    let duplicate = |value: &toml::Value| {
        assert!(value["reason"].as_str().is_some_and(|why| why.len() > 5), "no reason: {value}");
        value["crate"].as_str().expect("a crate").to_owned()
    };
    let (licences, bans) = (&rules["licenses"], &rules["bans"]);
    Allowed {
        licences: words(&licences["allow"]),
        exceptions: licences["exceptions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(exception)
            .collect(),
        duplicates: bans["skip"].as_array().expect("a list").iter().map(duplicate).collect(),
    }
}

/// Whether an SPDX expression allows a licence of this list. `AND` binds more tightly than `OR`; `/` is how old
/// packages write `OR`. A licence `WITH` an exception permits more than the licence alone.
fn permits(expression: &str, licences: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let permitted = any_of(&mut words, licences);
    permitted && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, licences: &[String]) -> bool {
    let mut permitted = all_of(words, licences);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= all_of(words, licences);
    }
    permitted
}

fn all_of(words: &mut Words<'_>, licences: &[String]) -> bool {
    let mut permitted = one(words, licences);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= one(words, licences);
    }
    permitted
}

fn one(words: &mut Words<'_>, licences: &[String]) -> bool {
    let name = words.next().unwrap_or_default();
    if name == "(" {
        let permitted = any_of(words, licences);
        return words.next() == Some(")") && permitted;
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    licences.iter().any(|licence| licence == name.trim_end_matches('+'))
}

#[test]
fn an_expression_is_read_as_spdx_defines_it() {
    let some = ["MIT", "Zlib"].map(str::to_owned);
    for permitted in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND Zlib",
        "(GPL-3.0 OR MIT) AND Zlib",
        "Zlib+",
    ] {
        assert!(permits(permitted, &some), "{permitted}");
    }
    for refused in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT GPL-3.0",
        "(MIT",
        "MIT AND",
        "MIT OR GPL-3.0 AND Zlib )",
    ] {
        assert!(!permits(refused, &some), "{refused}");
    }
    assert!(permits("Zlib OR GPL-3.0 AND GPL-2.0", &some));
    assert!(!permits("(Zlib OR GPL-3.0) AND GPL-2.0", &some));
    assert!(permits("MIT WITH LLVM-exception", &some));
}

#[test]
fn every_licence_is_allowed() {
    let metadata = metadata();
    let allowed = allowed();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let (name, licence) = (text(&package["name"]), text(&package["license"]));
        let own = allowed.exceptions.get(&name).cloned().unwrap_or_default();
        if !permits(&licence, &[allowed.licences.clone(), own].concat()) {
            refused.push(format!("{name}: {licence:?}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_dependency_comes_from_crates_io() {
    let lock = fs::read_to_string(crate::tree().join("Cargo.lock")).expect("Cargo.lock");
    let lock: toml::Table = lock.parse().expect("Cargo.lock is TOML");
    let metadata = metadata();
    let members: Vec<_> = members(&metadata).into_iter().map(|own| text(&own["name"])).collect();
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        match package.get("source") {
            Some(source) => assert_eq!(source.as_str(), Some(CRATES_IO), "{name}"),
            None => assert!(members.iter().any(|own| own == name), "{name} has no source"),
        }
    }
}

/// A second version costs build time and size. Each has a reason, and goes from the list when its reason is gone.
#[test]
fn every_second_version_has_a_reason() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in features(&["--workspace"], "normal,build,dev").into_keys() {
        let mut words = package.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let version = words.next().unwrap_or_default().trim_start_matches('v').to_owned();
        versions.entry(name).or_default().push(version);
    }
    let mut older = BTreeSet::new();
    for (name, mut all) in versions {
        all.sort_by_key(|version| numbers(version));
        all.pop();
        older.extend(all.into_iter().map(|version| format!("{name}@{version}")));
    }
    let listed = allowed().duplicates;
    let unlisted: Vec<_> = older.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&older).collect();
    assert!(unlisted.is_empty(), "second versions without a reason in .deny.toml: {unlisted:?}");
    assert!(gone.is_empty(), "no second versions any more, so not for .deny.toml: {gone:?}");
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}
