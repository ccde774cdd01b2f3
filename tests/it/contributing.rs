//! What the README and the pages in `.github` say, checked against the code.

use std::fs;
use std::path::{Path, PathBuf};

use kestrel_core::diagnose::VerdictId;

/// `--skip lab_` runs what needs no server, on any machine. That a test with another name starts none is checked
/// when it tries (`Lab::start`).
#[test]
fn a_test_that_waits_for_servers_is_named_lab() {
    let mut wrong = Vec::new();
    for file in sources(&crate::tree().join("tests/it")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let mut waits = None;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[tokio::test") {
                waits = Some(true);
            } else if line == "#[test]" {
                waits = Some(false);
            }
            let Some((_, name)) = line.split_once("fn ") else { continue };
            if waits.take().is_some_and(|waits| waits != name.starts_with("lab_")) {
                wrong.push(format!("{}: {line}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The Rust files of a folder and of the folders in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Each list says which files to touch, and each of them is there.
#[test]
fn the_lists_name_files_that_are_there() {
    let tree = crate::tree();
    let page = fs::read_to_string(tree.join(".github/CONTRIBUTING.md")).expect("the page is there");
    let lists = page.split_once("## How to add a verdict").expect("the lists").1;
    for list in ["a source", "a report format", "a lab fault"] {
        assert!(lists.contains(&format!("## How to add {list}")), "{list}");
    }
    let quoted = lists.split('`').skip(1).step_by(2);
    let paths: Vec<_> =
        quoted.filter(|word| word.contains(['/', '.']) && !word.contains(' ')).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let bare = ["redaction.rs", "facts.rs"];
    let missing: Vec<_> =
        paths.iter().filter(|path| !bare.contains(path) && !tree.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
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

/// The page of verdicts has a row for each of them.
#[test]
fn the_page_of_verdicts_has_them_all() {
    let page = fs::read_to_string(crate::tree().join(".github/VERDICTS.md")).expect("the page");
    let row = |id: &VerdictId| format!("\n| `{}` |", id.name());
    let missing: Vec<_> =
        VerdictId::ALL.into_iter().filter(|id| !page.contains(&row(id))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every relative link of a page leads to a file, and every anchor to a heading of that page.
#[test]
fn the_links_of_the_pages_lead_somewhere() {
    let tree = crate::tree();
    for page in ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/VERDICTS.md"] {
        let text = fs::read_to_string(tree.join(page)).expect("the page is there");
        let folder = tree.join(page).parent().expect("a folder").to_owned();
        let headings: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix('#')).map(anchor).collect();
        let ends = [("](", ')'), ("src=\"", '"')];
        let targets = ends.iter().flat_map(|(start, end)| {
            let rest = text.split(start).skip(1);
            rest.filter_map(|rest| rest.split_once(*end)).map(|(target, _)| target)
        });
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let found = match target.strip_prefix('#') {
                Some(heading) => headings.iter().any(|known| known == heading),
                None => folder.join(target).exists(),
            };
            assert!(found, "{page}: {target}");
        }
    }
}

/// The anchor that a forge makes of a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}
