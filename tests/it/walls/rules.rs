//! A house and the names in it → every breach of the table in `walls.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::circles;
use super::house::{File, House, Tree};
use super::names::{self, Edges, Names};
use super::{
    CLOCKS, DOORS, FILE_LINES, FUNCTION_LINES, KEPT_TO, NARROW, NESTING, PARAMETERS, PURE,
    PURE_NEVER, UNREDACTED, WIRING,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Wall,
    RoomCircle,
    FileCircle,
    /// A circle that is closed by a type whose methods are in several files.
    MethodCircle,
    ChildOfParent,
    Word,
    LongFile,
    NoHead,
    ManyParameters,
    LongFunction,
    DeepFunction,
    Unredacted,
    ModRs,
    Unreached,
    /// A name that the reader could not follow.
    Lost,
}

#[derive(Debug)]
pub struct Breach {
    pub rule: Rule,
    /// What the list of exceptions calls it.
    pub at: String,
    pub why: String,
}

#[derive(Debug)]
pub struct Inspection {
    pub house: House,
    pub names: Names,
    pub breaches: Vec<Breach>,
}

pub fn inspect(tree: &Tree) -> Inspection {
    let house = House::of(tree);
    let names = names::of(&house);
    let mut inspection = Inspection { house, names, breaches: Vec::new() };
    inspection.walls();
    inspection.room_circles();
    inspection.file_circles();
    inspection.children_of_parents();
    inspection.words();
    inspection.files(tree);
    inspection.functions();
    inspection.unredacted();
    inspection
}

impl Inspection {
    pub fn of(&self, rule: Rule) -> Vec<&Breach> {
        self.breaches.iter().filter(|breach| breach.rule == rule).collect()
    }

    /// Whether a module of `file` defines `item`.
    pub fn defines(&self, file: &str, item: &str) -> bool {
        let modules = self.house.modules.iter();
        let mut of_file = modules.filter(|module| self.house.files[module.file].name == file);
        of_file.any(|module| module.written.items.iter().any(|own| own.name == item))
    }

    fn add(&mut self, rule: Rule, at: impl Into<String>, why: impl Into<String>) {
        self.breaches.push(Breach { rule, at: at.into(), why: why.into() });
    }

    fn file(&self, number: usize) -> &File {
        &self.house.files[number]
    }

    /// A room is seen by what it may see, and of some rooms only a part.
    fn walls(&mut self) {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((from, to), names) in &self.names.sights {
            let (from, to) = (self.file(*from), self.file(*to));
            let seen = not_allowed(from, to, names);
            if from.room != to.room && !seen.is_empty() {
                let at = format!("{} -> {}", from.name, to.room);
                let named = seen.iter().map(|name| format!("{name} ({})", to.name));
                found.entry(at).or_default().extend(named);
            }
        }
        for (at, named) in found {
            self.add(Rule::Wall, at, joined(&named));
        }
    }

    fn room_circles(&mut self) {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in self.names.sights.keys() {
            let (from, to) = (self.file(*from).room.clone(), self.file(*to).room.clone());
            if from != to {
                edges.entry(from).or_default().insert(to);
            }
        }
        for circle in circles::of(&edges) {
            self.add(Rule::RoomCircle, joined(&circle), "these rooms name each other");
        }
    }

    /// One breach a file, so that a circle that shrinks shrinks the list.
    fn file_circles(&mut self) {
        for (rule, with_methods) in [(Rule::FileCircle, false), (Rule::MethodCircle, true)] {
            let ties = self.ties(with_methods);
            for circle in circles_of(&ties) {
                let story = self.story(&circle, &ties);
                for file in circle {
                    let at = self.file(file).name.clone();
                    self.add(rule, at, story.clone());
                }
            }
        }
    }

    /// What ties files to each other.
    pub fn ties(&self, with_methods: bool) -> Edges {
        let mut ties = self.names.items.clone();
        if with_methods {
            for (pair, methods) in &self.names.methods {
                ties.entry(*pair).or_default().extend(methods.iter().cloned());
            }
        }
        ties
    }

    /// A circle, one line a pair of files.
    pub fn story(&self, circle: &BTreeSet<usize>, ties: &Edges) -> String {
        let inside = |(from, to): &(usize, usize)| circle.contains(from) && circle.contains(to);
        let ties = ties.iter().filter(|(pair, _)| inside(pair));
        let line = |((from, to), names): (&(usize, usize), &BTreeSet<String>)| {
            format!("{} -> {}: {}", self.file(*from).name, self.file(*to).name, joined(names))
        };
        ties.map(line).collect::<Vec<_>>().join("\n      ")
    }

    fn children_of_parents(&mut self) {
        for ((from, to), names) in &self.names.of_parents.clone() {
            let at = format!("{} -> {}", self.file(*from).name, self.file(*to).name);
            self.add(Rule::ChildOfParent, at, joined(names));
        }
    }

    fn words(&mut self) {
        let mut said = Vec::new();
        for (number, file) in self.house.files.iter().enumerate() {
            let code = Said::of(self, number);
            for (word, places) in KEPT_TO {
                let kept = places.iter().any(|place| file.name.starts_with(place));
                if !kept && code.holds(word) {
                    said.push((file.name.clone(), *word, format!("is kept to {places:?}")));
                }
            }
            for (word, rooms) in CLOCKS {
                if !rooms.contains(&file.room.as_str()) && code.holds(word) {
                    said.push((file.name.clone(), *word, format!("is kept to {rooms:?}")));
                }
            }
            for (room, more) in PURE.iter().filter(|(room, _)| *room == file.room) {
                for word in PURE_NEVER.iter().chain(*more).filter(|word| code.holds(word)) {
                    said.push((file.name.clone(), word, format!("{room} is pure")));
                }
            }
        }
        for (file, word, why) in said {
            self.add(Rule::Word, format!("{file} says {word}"), why);
        }
    }

    fn files(&mut self, tree: &Tree) {
        let mut found = Vec::new();
        for file in &self.house.files {
            if file.lines > FILE_LINES {
                found.push((Rule::LongFile, file.name.clone(), format!("{} lines", file.lines)));
            }
            if !file.has_head {
                found.push((Rule::NoHead, file.name.clone(), "does not open with //!".into()));
            }
        }
        for path in tree.keys().filter(|path| path.ends_with("/mod.rs")) {
            let beside = format!("{}.rs", path.trim_end_matches("/mod.rs"));
            found.push((Rule::ModRs, path.clone(), format!("belongs into {beside}")));
        }
        for path in &self.house.orphans {
            found.push((Rule::Unreached, path.clone(), "no `mod` line reaches it".into()));
        }
        for lost in &self.names.lost {
            found.push((Rule::Lost, lost.clone(), "this path leads nowhere".into()));
        }
        for (rule, at, why) in found {
            self.add(rule, at, why);
        }
    }

    fn functions(&mut self) {
        let mut found = Vec::new();
        for file in &self.house.files {
            for function in &file.functions {
                let at = format!("{}: {}", file.name, function.name);
                let measured = [
                    (Rule::ManyParameters, function.parameters, PARAMETERS, "parameters"),
                    (Rule::LongFunction, function.lines, FUNCTION_LINES, "lines"),
                    (Rule::DeepFunction, function.depth, NESTING, "blocks inside each other"),
                ];
                for (rule, size, most, what) in measured {
                    if size > most {
                        found.push((rule, at.clone(), format!("{size} {what}, {most} at most")));
                    }
                }
            }
        }
        for (rule, at, why) in found {
            self.add(rule, at, why);
        }
    }

    /// A client's text is seen by its reader and its redaction only.
    fn unredacted(&mut self) {
        let mut found = Vec::new();
        for (item, readers, beside) in UNREDACTED {
            for module in &self.house.modules {
                let file = &self.house.files[module.file].name;
                let open = module.written.items.iter().any(|own| own.name == *item && own.public);
                if readers.contains(&file.as_str()) && open {
                    found.push((format!("{file}: {item}"), "it is `pub`"));
                }
            }
            for ((from, to), names) in &self.names.sights {
                let (from, to) = (&self.file(*from).name, &self.file(*to).name);
                let inside = beside.iter().any(|place| from.starts_with(place));
                if readers.contains(&to.as_str()) && names.contains(*item) && !inside {
                    found.push((format!("{from} -> {to}: {item}"), "reads what is unredacted"));
                }
            }
        }
        for (at, why) in found {
            self.add(Rule::Unredacted, at, why);
        }
    }
}

/// The groups of files that need each other.
pub fn circles_of(ties: &Edges) -> Vec<BTreeSet<usize>> {
    let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (from, to) in ties.keys() {
        edges.entry(*from).or_default().insert(*to);
    }
    circles::of(&edges)
}

/// The names of `to` that `from` may not see.
fn not_allowed(from: &File, to: &File, names: &BTreeSet<String>) -> BTreeSet<String> {
    if WIRING.contains(&from.room.as_str()) {
        return BTreeSet::new();
    }
    let doors = DOORS.iter().find(|(room, _)| *room == from.room);
    if !doors.is_some_and(|(_, doors)| doors.contains(&to.room.as_str())) {
        return names.clone();
    }
    let narrow = NARROW.iter().find(|(room, of, _)| *room == from.room && *of == to.room);
    let Some((_, _, only)) = narrow else { return BTreeSet::new() };
    if only
        .iter()
        .any(|part| part.ends_with('/') && format!("{}/", stem(&to.name)).starts_with(part))
    {
        return BTreeSet::new();
    }
    // The way to an item leads through modules; what is looked at is the item.
    let is_seen = |name: &&String| !only.contains(&name.as_str()) && *name != "the module itself";
    names.iter().filter(is_seen).cloned().collect()
}

fn stem(file: &str) -> &str {
    file.trim_end_matches(".rs").trim_end_matches("/mod")
}

fn joined(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What a file says about other crates.
struct Said<'a> {
    words: BTreeSet<&'a String>,
    paths: BTreeSet<&'a Vec<String>>,
}

impl<'a> Said<'a> {
    fn of(inspection: &'a Inspection, file: usize) -> Self {
        let modules = inspection.house.modules.iter().filter(|module| module.file == file);
        let words = modules.flat_map(|module| &module.written.words).collect();
        let paths = inspection.names.outside.get(&file).into_iter().flatten().collect();
        Self { words, paths }
    }

    /// A single word counts wherever it stands; a path counts whole, under whatever name it was imported, and where
    /// a glob hides it.
    fn holds(&self, word: &str) -> bool {
        let wanted: Vec<_> = word.split("::").collect();
        if wanted.len() == 1 {
            return self.words.iter().any(|said| *said == word);
        }
        self.paths.iter().any(|path| holds(path, &wanted))
    }
}

fn holds(path: &[String], wanted: &[&str]) -> bool {
    if path.windows(wanted.len()).any(|part| part == wanted) {
        return true;
    }
    let Some(before_glob) = path.strip_suffix(&["*".to_owned()]) else { return false };
    let wanted = wanted.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    !before_glob.is_empty() && wanted.starts_with(before_glob)
}
