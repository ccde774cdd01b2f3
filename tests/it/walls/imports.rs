//! The tokens between `use` and `;` → one import for each name.

use super::lexer::{Token, closing};

#[derive(Debug, Clone)]
pub struct Import {
    /// From the crate's root, the module or a crate's name on; begins with an empty word for `::a`.
    pub path: Vec<String>,
    /// How the importing module calls it; `*` for a glob, `_` for a trait without a name.
    pub name: String,
    /// `pub`, to whomever.
    pub shared: bool,
}

pub fn of(tree: &[Token], shared: bool) -> Vec<Import> {
    let mut found = Vec::new();
    read(tree, &[], shared, &mut found);
    found
}

fn read(tree: &[Token], before: &[String], shared: bool, found: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while at < tree.len() {
        let token = &tree[at];
        if token.is("{") {
            for branch in branches(&tree[at + 1..closing(tree, at)]) {
                read(branch, &path, shared, found);
            }
            return;
        }
        if token.is("*") {
            found.push(Import { path, name: "*".into(), shared });
            return;
        }
        if token.is("as") {
            break;
        }
        if token.is("::") && path.is_empty() {
            path.push(String::new());
        }
        let is_own = token.is("self") && !path.is_empty();
        if token.is_word() && !is_own {
            path.push(token.text.clone());
        }
        at += 1;
    }
    let renamed = tree.get(at + 1).map(|token| token.text.clone());
    if let Some(name) = renamed.or_else(|| path.last().cloned()) {
        found.push(Import { path, name, shared });
    }
}

fn branches(group: &[Token]) -> Vec<&[Token]> {
    let mut branches = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < group.len() {
        if group[at].is("{") {
            at = closing(group, at);
        } else if group[at].is(",") {
            branches.push(&group[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    branches.push(&group[start.min(group.len())..]);
    branches.retain(|branch| !branch.is_empty());
    branches
}
