//! What the README and `.github/CONTRIBUTING.md` promise to people who change the code, held against the code.

use std::fs;

/// `--skip lab_` runs what needs no server, on any machine. That a test with another name starts none is checked
/// when it tries (`Lab::start`).
#[test]
fn a_test_that_waits_for_servers_is_named_lab() {
    let mut wrong = Vec::new();
    for file in fs::read_dir(crate::tree().join("tests/it")).expect("tests/it is there").flatten() {
        let text = fs::read_to_string(file.path()).expect("a source file");
        let mut waits = None;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[tokio::test") {
                waits = Some(true);
            } else if line == "#[test]" {
                waits = Some(false);
            }
            let Some((_, name)) = line.split_once("fn ") else { continue };
            if waits.take().is_some_and(|waits| waits != name.starts_with("lab_")) {
                wrong.push(format!("{}: {line}", file.path().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Any Rust from `rust-version` on builds Kestrel, so nothing pins one.
#[test]
fn the_rust_version_is_stated_and_not_pinned() {
    let tree = crate::tree();
    let manifest = fs::read_to_string(tree.join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let version = manifest["workspace"]["package"]["rust-version"].as_str().expect("a version");
    for page in ["README.md", ".github/CONTRIBUTING.md"] {
        let text = fs::read_to_string(tree.join(page)).expect("the page is there");
        assert!(text.contains(&format!("Rust {version} or newer")), "{page} states Rust {version}");
    }
    for pin in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(!tree.join(pin).exists(), "{pin}");
    }
}
