//! The tokens of a file → those of its production code, and those of its tests. An item under `#[cfg(test)]` is a
//! test, and so is everything that the compiler leaves out when it builds no tests.

use super::lexer::{Token, closing};

pub struct Split {
    pub production: Vec<Token>,
    pub tests: Vec<Token>,
    /// Lines that are no test, those without code included.
    pub lines: usize,
}

pub fn split(tokens: Vec<Token>, text: &str) -> Split {
    let all = text.lines().count();
    let mut split = Split { production: Vec::new(), tests: Vec::new(), lines: all };
    if is_test_whole(&tokens) {
        return Split { tests: tokens, lines: 0, ..split };
    }
    let mut at = 0;
    while at < tokens.len() {
        if !opens_test(&tokens, at) {
            split.production.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = item_end(&tokens, at);
        let cut = tokens[end - 1].line + 1 - tokens[at].line;
        split.lines = split.lines.saturating_sub(cut);
        split.tests.extend_from_slice(&tokens[at..end]);
        at = end;
    }
    split
}

/// `#![cfg(test)]` at the head of a file.
fn is_test_whole(tokens: &[Token]) -> bool {
    let mut at = 0;
    while tokens.len() > at + 2 && tokens[at].is("#") && tokens[at + 1].is("!") {
        let end = closing(tokens, at + 2);
        if is_test_attribute(&tokens[at + 3..end]) {
            return true;
        }
        at = end + 1;
    }
    false
}

fn opens_test(tokens: &[Token], at: usize) -> bool {
    let opens = tokens[at].is("#") && tokens.get(at + 1).is_some_and(|next| next.is("["));
    opens && is_test_attribute(&tokens[at + 2..closing(tokens, at + 1)])
}

fn is_test_attribute(inside: &[Token]) -> bool {
    let Some(first) = inside.first() else { return false };
    if first.is("cfg") && inside.len() > 2 {
        return !may_hold(&inside[2..inside.len() - 1]);
    }
    let path: Vec<_> = inside.iter().take_while(|token| !token.is("(")).collect();
    path.last().is_some_and(|last| last.is("test")) && path.iter().all(|part| !part.is("="))
}

/// Whether a condition of `cfg` can hold in a build without tests.
fn may_hold(condition: &[Token]) -> bool {
    let Some(first) = condition.first() else { return true };
    if condition.len() == 1 {
        return !first.is("test");
    }
    if condition.len() < 3 || !condition[1].is("(") {
        return true;
    }
    let parts = parts(&condition[2..condition.len() - 1]);
    if first.is("all") {
        return parts.iter().all(|part| may_hold(part));
    }
    if first.is("any") {
        return parts.iter().any(|part| may_hold(part));
    }
    true
}

fn parts(list: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < list.len() {
        if list[at].is("(") {
            at = closing(list, at);
        } else if list[at].is(",") {
            parts.push(&list[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The index after the item whose first attribute is at `at`.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.is("#")) {
        at = closing(tokens, at + 1) + 1;
    }
    if tokens.get(at).is_some_and(|token| token.is("pub")) {
        at += 1;
        if tokens.get(at).is_some_and(|token| token.is("(")) {
            at = closing(tokens, at) + 1;
        }
    }
    let word = tokens.get(at).map_or("", |token| token.text.as_str());
    let next = tokens.get(at + 1).map_or("", |token| token.text.as_str());
    let is_value = ["use", "type", "static", "let"].contains(&word)
        || (word == "const" && !["fn", "unsafe", "async", "extern"].contains(&next))
        || (word == "extern" && next == "crate");
    let has_body = [
        "fn",
        "mod",
        "impl",
        "struct",
        "enum",
        "trait",
        "union",
        "unsafe",
        "async",
        "const",
        "extern",
        "macro_rules",
    ];
    if is_value {
        return end(tokens, at, &[";"], false);
    }
    if has_body.contains(&word) {
        return end(tokens, at, &[";"], true);
    }
    end(tokens, at, &[",", ";"], next != ":")
}

/// The index after the first of `marks` outside all brackets, or after the first block if `block` ends it, or where
/// the brackets around it close.
fn end(tokens: &[Token], mut at: usize, marks: &[&str], block: bool) -> usize {
    let mut angles = 0_i32;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is("{") || token.is("(") || token.is("[") {
            let is_block = token.is("{");
            at = closing(tokens, at);
            if is_block && block {
                let comma = tokens.get(at + 1).is_some_and(|next| next.is(","));
                return at + 1 + usize::from(comma);
            }
        } else if token.is("}") || token.is(")") || token.is("]") {
            return at;
        } else if token.is("<") {
            angles += 1;
        } else if token.is(">") {
            angles -= 1;
        } else if marks.iter().any(|mark| token.is(mark)) && (angles <= 0 || token.is(";")) {
            return at + 1;
        }
        at += 1;
    }
    tokens.len()
}
