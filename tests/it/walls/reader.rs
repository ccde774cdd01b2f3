//! The tokens of one module → what it declares, what it imports, and what its code names. It resolves nothing.

use std::collections::BTreeSet;

use super::imports;
pub use super::imports::Import;
use super::lexer::{Kind, Token, after_angles, closing};

/// A module as it is written: the text of a file, or of a `mod x { … }` in it.
#[derive(Debug, Default)]
pub struct Written {
    pub children: Vec<Child>,
    pub items: Vec<Item>,
    pub imports: Vec<Import>,
    pub said: Vec<Said>,
    /// Methods and constants of `impl Type` blocks: the type's path, the name.
    pub methods: Vec<(Vec<String>, String)>,
    /// Every word of its code, for what a room may not say at all.
    pub words: BTreeSet<String>,
}

#[derive(Debug)]
pub struct Child {
    pub name: String,
    /// `#[path = "…"]`
    pub path: Option<String>,
    /// What is in its braces; `None` for `mod x;`.
    pub inline: Option<Written>,
}

#[derive(Debug)]
pub struct Item {
    pub name: String,
    /// `pub` without a restriction.
    pub public: bool,
    pub is_macro: bool,
}

/// A path in the code: `a::b::c`, or one word that may be an import.
#[derive(Debug)]
pub struct Said {
    pub path: Vec<String>,
    /// `self.name()`: counts only where such a method is known.
    pub is_method: bool,
}

const KINDS: &[&str] = &["fn", "struct", "enum", "trait", "union", "type", "const", "static"];

pub fn read(tokens: &[Token]) -> Written {
    let words = tokens.iter().filter(|token| token.is_word()).map(|token| token.text.clone());
    let written = Written { words: words.collect(), ..Written::default() };
    let mut reader = Reader { tokens, at: 0, blocks: Vec::new(), written };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.written
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The braces around `at`, outermost first: for each the type of the `impl` block that it opens.
    blocks: Vec<Option<Block>>,
    written: Written,
}

struct Block {
    of: Vec<String>,
    inherent: bool,
}

impl Reader<'_> {
    fn is(&self, ahead: usize, text: &str) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|token| token.is(text))
    }

    fn was(&self, back: usize, text: &str) -> bool {
        self.at >= back && self.tokens[self.at - back].is(text)
    }

    fn word(&self, ahead: usize) -> Option<String> {
        let token = self.tokens.get(self.at + ahead)?;
        token.is_word().then(|| token.text.clone())
    }

    fn step(&mut self) {
        let token = &self.tokens[self.at];
        if token.is("{") {
            self.blocks.push(None);
        } else if token.is("}") {
            self.blocks.pop();
        } else if token.is("#") {
            self.attribute();
            return;
        } else if token.is_word() {
            self.on_word();
            return;
        }
        self.at += 1;
    }

    /// `#[path = "…"]` is read with its `mod`; of other attributes the words are code, and `with = "a::b"` names.
    fn attribute(&mut self) {
        let end = closing(self.tokens, self.at + 1);
        for at in self.at..end {
            let token = &self.tokens[at];
            let names = token.kind == Kind::Literal && token.text.contains("::");
            if names && self.tokens[at - 1].is("=") {
                self.written.said.push(Said { path: segments(&token.text), is_method: false });
            }
        }
        self.at += 1;
    }

    fn on_word(&mut self) {
        let top = self.blocks.is_empty();
        if self.is(0, "pub") && self.is(1, "(") {
            self.at = closing(self.tokens, self.at + 1) + 1;
        } else if top && self.is(0, "mod") && self.word(1).is_some() {
            self.child();
        } else if self.is(0, "use") && !self.was(1, "+") && !self.is(1, "<") {
            self.import();
        } else if top && self.is(0, "impl") {
            self.implementation();
        } else if self.is(0, "macro_rules") && self.is(1, "!") {
            self.item(2, true);
        } else if KINDS.iter().any(|kind| self.is(0, kind)) && self.word(1).is_some() {
            self.item(1, false);
        } else {
            self.path();
        }
    }

    fn child(&mut self) {
        let name = self.word(1).expect("asked before");
        if self.is(2, ";") {
            self.written.children.push(Child { name, path: self.path_attribute(), inline: None });
            self.at += 3;
            return;
        }
        let end = closing(self.tokens, self.at + 2);
        let inline = read(&self.tokens[self.at + 3..end]);
        self.written.children.push(Child { name, path: None, inline: Some(inline) });
        self.at = end + 1;
    }

    /// The file that the attribute before this `mod` names.
    fn path_attribute(&self) -> Option<String> {
        let from = self.at.saturating_sub(8);
        let window = &self.tokens[from..self.at];
        let path = window.iter().rposition(|token| token.is("path"))?;
        let named = window.get(path + 1)?.is("=") && !window.iter().skip(path).any(|t| t.is(";"));
        named.then(|| window[path + 2].text.clone())
    }

    fn import(&mut self) {
        let shared = self.was(1, "pub") || self.was(1, ")");
        let end = (self.at..self.tokens.len()).find(|at| self.tokens[*at].is(";"));
        let end = end.unwrap_or(self.tokens.len());
        let tree = &self.tokens[self.at + 1..end];
        self.written.imports.extend(imports::of(tree, shared));
        self.at = end + 1;
    }

    /// The head of an `impl`; its paths are read again as code.
    fn implementation(&mut self) {
        let mut at = self.at + 1;
        if self.is(1, "<") {
            at = after_angles(self.tokens, at);
        }
        let mut of = at;
        let mut inherent = true;
        while at < self.tokens.len() && !self.tokens[at].is("{") {
            if self.tokens[at].is("for") && !self.tokens[at + 1].is("<") {
                of = at + 1;
                inherent = false;
            }
            if self.tokens[at].is("<") {
                at = after_angles(self.tokens, at);
            } else {
                at += 1;
            }
        }
        let of = path_at(self.tokens, of).0;
        while self.at + 1 < at {
            self.at += 1;
            if self.tokens[self.at].is_word() {
                self.path();
                self.at -= 1;
            }
        }
        self.blocks.push(Some(Block { of, inherent }));
        self.at = at + 1;
    }

    fn item(&mut self, ahead: usize, is_macro: bool) {
        let Some(name) = self.word(ahead) else {
            self.at += 1;
            return;
        };
        match self.blocks.as_slice() {
            [] => {
                let public = self.is_public();
                self.written.items.push(Item { name, public, is_macro });
            }
            [Some(block)] if block.inherent => {
                self.written.methods.push((block.of.clone(), name));
            }
            _ => {}
        }
        self.at += ahead + 1;
    }

    fn is_public(&self) -> bool {
        let between = ["const", "async", "unsafe", "extern"];
        let mut at = self.at;
        while at > 0 {
            at -= 1;
            let token = &self.tokens[at];
            if token.kind != Kind::Literal && !between.iter().any(|word| token.is(word)) {
                return token.is("pub");
            }
        }
        false
    }

    fn path(&mut self) {
        let (mut path, end) = path_at(self.tokens, self.at);
        let behind_dot = self.was(1, ".");
        let continues = self.was(1, "::");
        if continues && (self.was(2, ">") || self.at >= 2 && self.tokens[self.at - 2].is_word()) {
            self.at = end;
            return;
        }
        if continues {
            path.insert(0, String::new());
        }
        let block = self.blocks.iter().rev().find_map(Option::as_ref);
        if behind_dot {
            let own = self.was(2, "self") && !self.was(3, ".") && self.tokens.get(end).is_some();
            if own
                && self.tokens[end].is("(")
                && let Some(block) = block
            {
                let path = block.of.iter().cloned().chain([path[0].clone()]).collect();
                self.written.said.push(Said { path, is_method: true });
            }
            self.at = end;
            return;
        }
        if path[0] == "Self"
            && path.len() > 1
            && let Some(block) = block
        {
            path.splice(0..1, block.of.iter().cloned());
        }
        if path.len() > 1 || self.is_name(&path[0], end) {
            self.written.said.push(Said { path, is_method: false });
        }
        self.at = end;
    }

    /// Whether one word can stand for an import: a type or a constant, or a function that is called. A variable is
    /// neither.
    fn is_name(&self, word: &str, end: usize) -> bool {
        let after = |text: &str| self.tokens.get(end).is_some_and(|token| token.is(text));
        let capital = word.starts_with(char::is_uppercase);
        capital || ((after("(") || after("!") || after("::")) && !self.was(1, "fn"))
    }
}

/// The path that begins at `at`, and the index after it.
fn path_at(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    while tokens.get(at).is_some_and(|token| !token.is_word() || token.is("dyn")) {
        at += 1;
    }
    let mut path = Vec::new();
    while let Some(token) = tokens.get(at).filter(|token| token.is_word()) {
        path.push(token.text.clone());
        at += 1;
        let more = tokens.get(at).is_some_and(|token| token.is("::"));
        if !more || !tokens.get(at + 1).is_some_and(Token::is_word) {
            break;
        }
        at += 1;
    }
    (path, at)
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}
