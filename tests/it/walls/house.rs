//! The files of a source tree → its modules, by the `mod` lines from each crate's root on. It reads no disk: a tree
//! is a map, so that a test can build a house with a hole in its wall.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::lexer::{self, Token};
use super::measure::{self, Function};
use super::production::{self, Split};
use super::reader::{self, Child, Written};

/// Path below the repository → text.
pub type Tree = BTreeMap<String, String>;

/// What a crate is called in paths, and its root file. `main` is the program beside the library.
const CRATES: &[(&str, &str)] =
    &[("kestrel_core", "src/core/lib.rs"), ("kestrel", "src/lib.rs"), ("main", "src/main.rs")];

#[derive(Debug, Default)]
pub struct House {
    pub files: Vec<File>,
    pub modules: Vec<Module>,
    /// Crate name → its root module.
    pub roots: BTreeMap<String, usize>,
    /// Files that no `mod` line reaches.
    pub orphans: BTreeSet<String>,
}

#[derive(Debug)]
pub struct File {
    /// Below `src`, without `core/` but for the core's own `lib.rs`: how people name it, before the move and after.
    pub name: String,
    pub room: String,
    pub lines: usize,
    /// Opens with `//!`.
    pub has_head: bool,
    pub functions: Vec<Function>,
}

#[derive(Debug)]
pub struct Module {
    pub root: usize,
    pub parent: Option<usize>,
    pub file: usize,
    pub children: BTreeMap<String, usize>,
    pub written: Written,
}

/// Reads every Rust file below `src`.
pub fn on_disk(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![top.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let below = path.strip_prefix(top).expect("below the top").to_string_lossy();
                let text = fs::read_to_string(&path).expect("a source is text");
                tree.insert(below.into_owned(), text);
            }
        }
    }
    assert!(tree.len() > 20, "the sources were not found");
    tree
}

impl House {
    pub fn of(tree: &Tree) -> Self {
        let mut house = Self::default();
        let mut reached = BTreeSet::new();
        for (name, root) in CRATES {
            if tree.contains_key(*root) {
                let mut builder = Builder { tree, house: &mut house, reached: &mut reached };
                let module = builder.file(root, None, false).expect("the root is there");
                house.roots.insert((*name).to_owned(), module);
            }
        }
        house.orphans = tree.keys().filter(|path| !reached.contains(*path)).cloned().collect();
        house
    }

    pub fn file_of(&self, module: usize) -> &File {
        &self.files[self.modules[module].file]
    }

    /// Whether `module` stands below `above`.
    pub fn is_below(&self, module: usize, above: usize) -> bool {
        let mut at = self.modules[module].parent;
        while let Some(parent) = at {
            if parent == above {
                return true;
            }
            at = self.modules[parent].parent;
        }
        false
    }
}

struct Builder<'a> {
    tree: &'a Tree,
    house: &'a mut House,
    reached: &'a mut BTreeSet<String>,
}

impl Builder<'_> {
    /// Reads a file and what it declares. A test's file is marked as reached, and that is all.
    fn file(&mut self, path: &str, parent: Option<usize>, own_folder: bool) -> Option<usize> {
        let text = self.tree.get(path)?;
        self.reached.insert(path.to_owned());
        let Split { production, tests, lines } = production::split(lexer::tokens(text), text);
        let folder = folder_of(path, own_folder);
        self.reach_tests(&tests, &folder);
        let file = self.house.files.len();
        let name = name_of(path);
        self.house.files.push(File {
            room: room_of(&name),
            name,
            lines,
            has_head: text.starts_with("//!"),
            functions: measure::functions(&production),
        });
        Some(self.module(reader::read(&production), parent, file, &folder))
    }

    fn module(
        &mut self,
        mut written: Written,
        parent: Option<usize>,
        file: usize,
        folder: &str,
    ) -> usize {
        let number = self.house.modules.len();
        let root = parent.map_or(number, |parent| self.house.modules[parent].root);
        let declared = std::mem::take(&mut written.children);
        let children = BTreeMap::new();
        self.house.modules.push(Module { root, parent, file, children, written });
        for child in declared {
            let name = child.name.clone();
            if let Some(module) = self.child(child, number, folder) {
                self.house.modules[number].children.insert(name, module);
            }
        }
        number
    }

    fn child(&mut self, child: Child, parent: usize, folder: &str) -> Option<usize> {
        let Child { name, path, inline } = child;
        if let Some(inline) = inline {
            let file = self.house.modules[parent].file;
            return Some(self.module(inline, Some(parent), file, &format!("{folder}/{name}")));
        }
        let found = candidates(&name, path.as_deref(), folder)
            .into_iter()
            .find(|path| self.tree.contains_key(path))?;
        self.file(&found, Some(parent), path.is_some())
    }

    /// Marks the files that tests declare, and the files that those declare.
    fn reach_tests(&mut self, tests: &[Token], folder: &str) {
        let mut open = vec![(reader::read(tests), folder.to_owned())];
        while let Some((written, folder)) = open.pop() {
            for Child { name, path, inline } in written.children {
                if let Some(inline) = inline {
                    open.push((inline, format!("{folder}/{name}")));
                    continue;
                }
                let found = candidates(&name, path.as_deref(), &folder)
                    .into_iter()
                    .find(|path| self.tree.contains_key(path));
                if let Some(found) = found {
                    let below = folder_of(&found, path.is_some());
                    open.push((reader::read(&lexer::tokens(&self.tree[&found])), below));
                    self.reached.insert(found);
                }
            }
        }
    }
}

/// Where the file of `mod name;` may be.
fn candidates(name: &str, path: Option<&str>, folder: &str) -> Vec<String> {
    match path {
        Some(path) => {
            let beside = folder.rsplit_once('/').map_or("", |(above, _)| above);
            vec![format!("{folder}/{path}"), format!("{beside}/{path}")]
        }
        None => vec![format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")],
    }
}

/// The folder of a file's children: `a/b.rs` keeps them in `a/b`, a root or a `mod.rs` beside itself.
fn folder_of(path: &str, own_folder: bool) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if own_folder || ["lib.rs", "main.rs", "mod.rs"].contains(&name) {
        return folder.to_owned();
    }
    path.trim_end_matches(".rs").to_owned()
}

fn name_of(path: &str) -> String {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let inner = below.strip_prefix("core/").filter(|inner| *inner != "lib.rs");
    inner.unwrap_or(below).to_owned()
}

fn room_of(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    if first == "core" {
        return "lib".to_owned();
    }
    first.to_owned()
}
