//! A Matrix message → the command's word, and the text and mentions after it. It never trusts that the plain body
//! and the HTML say the same.

use super::html::{Piece, pieces};
use super::permalinks::user_of_link;
use crate::evidence::hidden::is_invisible;

/// A message as Matrix carries it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The plain text: what was typed, except that a mention is only its display name here.
    pub body: &'a str,
    /// The HTML, where a mention still says which user it is.
    pub formatted: Option<&'a str>,
}

/// The name after the `!`, and the rest of the message. `None` when it is no command.
pub(super) fn spoken(line: &Line<'_>) -> Option<(String, Vec<Piece>)> {
    let (name, rest) = command_name(unquoted(line.body))?;
    let pieces = match markdown_links(rest) {
        Some(pieces) => pieces,
        None => with_pills(rest, line.formatted.unwrap_or_default()),
    };
    Some((name.to_owned(), pieces))
}

/// The message without the quotation that a reply carries in front.
fn unquoted(body: &str) -> &str {
    let mut rest = body;
    while rest.trim_start().starts_with('>') {
        rest = rest.find('\n').map_or("", |end| &rest[end + 1..]);
    }
    rest
}

/// `!ke1 …` → `ke1` and the rest. A room id (`!abc:server`) and an exclamation (`!!!`) are no commands.
fn command_name(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let text = text.strip_prefix('!')?;
    let end =
        text.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let after = rest.trim_start_matches(['?', '.', ',', '!', ':', ';']);
    let ends = after.is_empty()
        || after.starts_with(char::is_whitespace)
        || (after.starts_with('@') && after == rest);
    (ends && name.contains(char::is_alphabetic)).then_some((name, after))
}

/// `[Alice](https://matrix.to/#/@alice:example.org)` as some clients leave it in the plain body.
fn markdown_links(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(middle) = text[from..].find("](").map(|at| at + from) {
        from = middle + 2;
        let Some(end) = text[from..].find(')').map(|at| at + from) else {
            break;
        };
        let Some(open) = text[done..middle].rfind('[').map(|at| at + done) else {
            continue;
        };
        if let Some(user) = user_of_link(text[from..end].trim_matches(['<', '>'])) {
            pieces.push(Piece::Text(text[done..open].to_owned()));
            let name = text[open + 1..middle].to_owned();
            pieces.push(Piece::Pill { name, user });
            done = end + 1;
            from = done;
        }
    }
    if pieces.is_empty() {
        return None;
    }
    pieces.push(Piece::Text(text[done..].to_owned()));
    Some(pieces)
}

/// Puts the pills of the HTML back where their names are in the plain text. The plain text is what
/// was typed; the HTML has been through Markdown, which removes `_` and `*` from device IDs, so it is
/// used only if a name is not found.
fn with_pills(rest: &str, html: &str) -> Vec<Piece> {
    let from_html = pieces(html);
    let mut placed = Vec::new();
    let mut left = rest;
    for piece in &from_html {
        let Piece::Pill { name, user } = piece else {
            continue;
        };
        let Some((before, after)) = around(left, name).or_else(|| around(left, user)) else {
            return after_name(from_html);
        };
        placed.push(Piece::Text(before.to_owned()));
        placed.push(piece.clone());
        left = after;
    }
    placed.push(Piece::Text(left.to_owned()));
    placed
}

/// The text before and after `name`, if it is made of whole words.
fn around<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    text.match_indices(name).find_map(|(at, _)| {
        let before = text[..at].strip_suffix('@').unwrap_or(&text[..at]);
        let after = &text[at + name.len()..];
        let starts = before.is_empty() || before.ends_with(char::is_whitespace);
        let unpunctuated = after.strip_prefix([':', ',']).unwrap_or(after);
        let ends = unpunctuated.is_empty() || unpunctuated.starts_with(char::is_whitespace);
        (starts && ends).then_some((before, after))
    })
}

/// The HTML's pieces without the command's name, which the first text begins with.
fn after_name(mut from_html: Vec<Piece>) -> Vec<Piece> {
    for piece in &mut from_html {
        let Piece::Text(text) = piece else { break };
        if let Some((_, rest)) = command_name(text) {
            *text = rest.to_owned();
            break;
        }
    }
    from_html
}
