//! A path as a module says it → the module or the item that it means, through `use`, `pub use` and globs, and what
//! each file needs of each other.

use std::collections::{BTreeMap, BTreeSet};

use super::house::House;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Module(usize),
    /// An item, the module that defines it, and what the path says after it (a variant, a method).
    Item {
        module: usize,
        name: String,
        rest: Vec<String>,
    },
    /// A path of another crate, or of the language, its renames undone.
    Outside(Vec<String>),
}

/// From a file to another: the names that are used.
pub type Edges = BTreeMap<(usize, usize), BTreeSet<String>>;

#[derive(Debug, Default)]
pub struct Names {
    /// Items of another file; what a parent shares of its children is not among them.
    pub items: Edges,
    /// Methods that are in another file than their type, or than their caller: `self.method()` needs that file
    /// as much as an import does.
    pub methods: Edges,
    /// Everything that one file sees of another, modules and shared names included.
    pub sights: Edges,
    /// The items among `items` that a module above the file defines.
    pub of_parents: Edges,
    /// Paths into other crates, by file.
    pub outside: BTreeMap<usize, BTreeSet<Vec<String>>>,
    /// Paths of our own that lead nowhere: the reader's fault, or a macro's.
    pub lost: BTreeSet<String>,
}

/// Reads what every file names.
pub fn of(house: &House) -> Names {
    let mut resolver = Resolver { house, methods: BTreeMap::new(), macros: BTreeMap::new() };
    resolver.learn();
    let mut names = Names::default();
    for module in 0..house.modules.len() {
        resolver.imports(module, &mut names);
        resolver.said(module, &mut names);
    }
    names
}

struct Resolver<'a> {
    house: &'a House,
    /// The module and name of a type, a method's name → the modules of the `impl` blocks that hold it.
    methods: BTreeMap<(usize, String, String), BTreeSet<usize>>,
    /// `macro_rules!` by name: they are seen beyond their module.
    macros: BTreeMap<String, usize>,
}

/// The names that a search is at, so that a circle of globs ends.
type Trail = BTreeSet<(usize, String)>;

impl Resolver<'_> {
    fn learn(&mut self) {
        for module in 0..self.house.modules.len() {
            let written = &self.house.modules[module].written;
            for item in written.items.iter().filter(|item| item.is_macro) {
                self.macros.insert(item.name.clone(), module);
            }
            for (of, method) in &written.methods {
                for place in self.places(module, of) {
                    if let Place::Item { module: owner, name, .. } = place {
                        let key = (owner, name, method.clone());
                        self.methods.entry(key).or_default().insert(module);
                    }
                }
            }
        }
    }

    fn places(&self, module: usize, path: &[String]) -> Vec<Place> {
        let mut seen = Trail::new();
        self.resolve(module, path, &mut seen, &mut BTreeSet::new())
    }

    /// Everything that `path` can mean in `module`; `through` gathers the modules that it passes.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Trail,
        through: &mut BTreeSet<usize>,
    ) -> Vec<Place> {
        let Some(first) = path.first() else { return Vec::new() };
        let mut places = self.first(module, path, seen, through);
        let at = 1 + usize::from(first.is_empty());
        for segment in path.iter().skip(at) {
            // A function may be called like the module beside it; only the module has members.
            if places.iter().any(|place| matches!(place, Place::Module(_))) {
                places.retain(|place| matches!(place, Place::Module(_)));
            }
            let mut next = Vec::new();
            for place in places {
                next.extend(self.step(place, segment, seen, through));
            }
            places = next;
        }
        places
    }

    fn first(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Trail,
        through: &mut BTreeSet<usize>,
    ) -> Vec<Place> {
        let here = &self.house.modules[module];
        match path[0].as_str() {
            "crate" => vec![Place::Module(here.root)],
            "self" => vec![Place::Module(module)],
            "super" => here.parent.map(Place::Module).into_iter().collect(),
            "" => self.foreign(path.get(1).map_or("", String::as_str)),
            name => {
                let found = self.lookup(module, name, seen, through);
                if found.is_empty() {
                    return self.foreign(name);
                }
                found
            }
        }
    }

    fn foreign(&self, name: &str) -> Vec<Place> {
        let own = self.house.roots.get(name).filter(|_| name != "main");
        vec![own.map_or_else(|| Place::Outside(vec![name.into()]), |root| Place::Module(*root))]
    }

    fn step(
        &self,
        place: Place,
        segment: &str,
        seen: &mut Trail,
        through: &mut BTreeSet<usize>,
    ) -> Vec<Place> {
        match place {
            Place::Outside(mut path) => {
                path.push(segment.into());
                vec![Place::Outside(path)]
            }
            Place::Item { module, name, mut rest } => {
                rest.push(segment.into());
                vec![Place::Item { module, name, rest }]
            }
            Place::Module(at) => {
                through.insert(at);
                if segment == "super" {
                    return self.house.modules[at].parent.map(Place::Module).into_iter().collect();
                }
                if segment == "self" {
                    return vec![Place::Module(at)];
                }
                self.lookup(at, segment, seen, through)
            }
        }
    }

    /// What `name` means as a member of `module`: a child, an item of its own, an import.
    fn lookup(
        &self,
        module: usize,
        name: &str,
        seen: &mut Trail,
        through: &mut BTreeSet<usize>,
    ) -> Vec<Place> {
        let here = &self.house.modules[module];
        let mut found: Vec<_> =
            here.children.get(name).map(|at| Place::Module(*at)).into_iter().collect();
        if here.written.items.iter().any(|item| item.name == name) {
            found.push(Place::Item { module, name: name.into(), rest: Vec::new() });
        }
        if !seen.insert((module, name.into())) {
            return found;
        }
        for import in here.written.imports.iter().filter(|import| import.name == name) {
            found.extend(self.resolve(module, &import.path, seen, through));
        }
        if found.is_empty() {
            found.extend(self.by_glob(module, name, seen, through));
        }
        seen.remove(&(module, name.into()));
        found
    }

    fn by_glob(
        &self,
        module: usize,
        name: &str,
        seen: &mut Trail,
        through: &mut BTreeSet<usize>,
    ) -> Vec<Place> {
        let mut found = Vec::new();
        let imports = &self.house.modules[module].written.imports;
        for import in imports.iter().filter(|import| import.name == "*") {
            let from = self.resolve(module, &import.path, seen, through);
            for place in from {
                if let Place::Module(at) = place
                    && at != module
                {
                    found.extend(self.lookup(at, name, seen, through));
                }
            }
        }
        found
    }

    fn imports(&self, module: usize, names: &mut Names) {
        for import in &self.house.modules[module].written.imports {
            let mut through = BTreeSet::new();
            // A name may be that of its own import: `use self::answer::answer`.
            let mut seen = Trail::from([(module, import.name.clone())]);
            if import.path.first() != Some(&import.name) {
                seen.clear();
            }
            let places = self.resolve(module, &import.path, &mut seen, &mut through);
            self.note_lost(module, &import.path, &places, names);
            self.note_through(module, &through, names);
            for place in places {
                let shares = import.shared
                    && matches!(&place, Place::Item { module: of, .. } if self.house.is_below(*of, module));
                let is_glob = import.name == "*";
                self.note(module, place, shares, is_glob, names);
            }
        }
    }

    fn said(&self, module: usize, names: &mut Names) {
        for said in &self.house.modules[module].written.said {
            let mut through = BTreeSet::new();
            let places = self.resolve(module, &said.path, &mut Trail::new(), &mut through);
            if said.is_method {
                self.note_methods(module, &places, names);
                continue;
            }
            if said.path.len() > 1 {
                self.note_lost(module, &said.path, &places, names);
                self.note_through(module, &through, names);
            }
            self.note_methods(module, &places, names);
            let is_item = places.iter().any(|place| matches!(place, Place::Item { .. }));
            for place in places {
                match place {
                    Place::Module(_) if is_item || said.path.len() == 1 => {}
                    // `#[serde(with = "super::pairs")]`
                    Place::Module(at) => self.item(module, at, "the module itself", names),
                    place => self.note(module, place, false, false, names),
                }
            }
            if let [name] = said.path.as_slice()
                && let Some(at) = self.macros.get(name)
            {
                self.item(module, *at, &format!("{name}!"), names);
            }
        }
    }

    fn note(&self, module: usize, place: Place, shares: bool, is_glob: bool, names: &mut Names) {
        let file = self.house.modules[module].file;
        match place {
            Place::Outside(mut path) => {
                if is_glob {
                    path.push("*".into());
                }
                names.outside.entry(file).or_default().insert(path);
            }
            Place::Module(at) => self.see(module, at, "the module itself", names),
            Place::Item { module: of, name, .. } if shares => self.see(module, of, &name, names),
            Place::Item { module: of, name, .. } => self.item(module, of, &name, names),
        }
    }

    /// `Type::method` needs the file of the method's `impl` block, too.
    fn note_methods(&self, module: usize, places: &[Place], names: &mut Names) {
        for place in places {
            let Place::Item { module: owner, name, rest } = place else { continue };
            let Some(method) = rest.first() else { continue };
            let key = (*owner, name.clone(), method.clone());
            for at in self.methods.get(&key).into_iter().flatten() {
                let (from, to) = (self.house.modules[module].file, self.house.modules[*at].file);
                if from != to {
                    let called = format!("{name}::{method}");
                    names.methods.entry((from, to)).or_default().insert(called);
                }
            }
        }
    }

    fn note_through(&self, module: usize, through: &BTreeSet<usize>, names: &mut Names) {
        for at in through.iter().filter(|at| self.house.modules[**at].parent.is_some()) {
            self.see(module, *at, "the module itself", names);
        }
    }

    fn note_lost(&self, module: usize, path: &[String], places: &[Place], names: &mut Names) {
        let ours = ["crate", "self", "super"].contains(&path[0].as_str());
        if places.is_empty() && ours {
            let file = &self.house.file_of(module).name;
            names.lost.insert(format!("{file}: {}", path.join("::")));
        }
    }

    fn see(&self, module: usize, other: usize, name: &str, names: &mut Names) {
        let (from, to) = (self.house.modules[module].file, self.house.modules[other].file);
        if from != to {
            names.sights.entry((from, to)).or_default().insert(name.to_owned());
        }
    }

    fn item(&self, module: usize, other: usize, name: &str, names: &mut Names) {
        self.see(module, other, name, names);
        let (from, to) = (self.house.modules[module].file, self.house.modules[other].file);
        if from == to {
            return;
        }
        names.items.entry((from, to)).or_default().insert(name.to_owned());
        if self.house.is_below(module, other) {
            names.of_parents.entry((from, to)).or_default().insert(name.to_owned());
        }
    }
}
