//! A Matrix message → the command's name, and the text and pills after it. Reads just enough HTML to
//! find a mention; it never renders, and never trusts that the two bodies say the same.

use super::Line;

/// A stretch of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// A mention: its text, and the user it links to.
    Pill {
        name: String,
        user: String,
    },
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

/// The user that a link names: matrix.to, another permalink host, or a `matrix:` URI.
pub(super) fn user_of_link(text: &str) -> Option<String> {
    if !is_link(text) {
        return None;
    }
    let path = |text: &str| percent_decoded(text.split('?').next().unwrap_or_default());
    if let Some((_, fragment)) = text.split_once("#/") {
        let id = path(fragment.strip_prefix("user/").unwrap_or(fragment))?;
        let id = id.trim_end_matches('/');
        return id.starts_with('@').then(|| id.to_owned());
    }
    let (_, uri) = text.split_once(':')?;
    let id = uri.strip_prefix("u/").or_else(|| uri.strip_prefix("user/"))?;
    Some(format!("@{}", path(id)?))
}

/// The room and the event that a permalink names, percent-escapes undone.
pub(super) fn event_of_link(text: &str) -> Option<(String, String)> {
    let (_, fragment) = text.split_once("#/").filter(|_| is_link(text))?;
    let (room, event) = fragment.split('?').next()?.split_once('/')?;
    Some((percent_decoded(room)?, percent_decoded(event)?))
}

/// Whether the word is a link at all. `matrix:` alone may be somebody's name.
pub(super) fn is_link(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("https://") || begins("http://") || (begins("matrix:") && text.contains('/'))
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
    let text =
        text.trim_start_matches(|c: char| c.is_whitespace() || super::usage_error::is_invisible(c));
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

/// Puts the pills of the HTML back where their names stand in the plain text. The plain text is what
/// was typed; the HTML has been through Markdown, which eats `_` and `*` of device ids, so it only
/// stands in where a name is not found.
fn with_pills(rest: &str, html: &str) -> Vec<Piece> {
    let told = html_pieces(html);
    let mut pieces = Vec::new();
    let mut left = rest;
    for piece in &told {
        let Piece::Pill { name, user } = piece else {
            continue;
        };
        let Some((before, after)) = around(left, name).or_else(|| around(left, user)) else {
            return after_name(told);
        };
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(piece.clone());
        left = after;
    }
    pieces.push(Piece::Text(left.to_owned()));
    pieces
}

/// The text before and after `name` where it stands as words of its own.
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
fn after_name(mut told: Vec<Piece>) -> Vec<Piece> {
    for piece in &mut told {
        let Piece::Text(text) = piece else { break };
        if let Some((_, rest)) = command_name(text) {
            *text = rest.to_owned();
            break;
        }
    }
    told
}

/// HTML as text and pills, without what a reply quotes.
fn html_pieces(html: &str) -> Vec<Piece> {
    let mut reading = Reading::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let Some(end) = tag_end(&rest[at..]).map(|end| at + end) else {
            break;
        };
        reading.text(&rest[..at]);
        reading.tag(&rest[at + 1..end]);
        rest = &rest[end + 1..];
    }
    reading.text(rest);
    reading.close_text();
    reading.pieces
}

#[derive(Default)]
struct Reading {
    pieces: Vec<Piece>,
    text: String,
    /// How many quotations are open around this place.
    quoting: usize,
    /// The user of the link that is open.
    link: Option<String>,
}

impl Reading {
    fn text(&mut self, html: &str) {
        if self.quoting == 0 {
            self.text.push_str(&entities_decoded(html));
        }
    }

    fn tag(&mut self, tag: &str) {
        let (closes, tag) = match tag.strip_prefix('/') {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let end = tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
        match (tag[..end].to_ascii_lowercase().as_str(), closes) {
            ("mx-reply" | "blockquote", false) => self.quoting += 1,
            ("mx-reply" | "blockquote", true) => self.quoting = self.quoting.saturating_sub(1),
            ("a", false) if self.quoting == 0 => self.open_link(&tag[end..]),
            ("a", true) => self.close_link(),
            ("br" | "p" | "div" | "li", _) => self.text("\n"),
            _ => {}
        }
    }

    fn open_link(&mut self, attributes: &str) {
        self.close_link();
        if let Some(user) = attribute(attributes, "href").and_then(|href| user_of_link(&href)) {
            self.close_text();
            self.link = Some(user);
        }
    }

    fn close_link(&mut self) {
        if let Some(user) = self.link.take() {
            let name = std::mem::take(&mut self.text);
            self.pieces.push(Piece::Pill { name, user });
        }
    }

    fn close_text(&mut self) {
        self.close_link();
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }
}

/// Where the tag that starts here ends; a `>` inside an attribute's quotes does not end it.
fn tag_end(html: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            _ => {}
        }
    }
    None
}

fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    while let Some((name, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote)?,
            None => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        let name = name.split_whitespace().last().unwrap_or_default();
        if name.eq_ignore_ascii_case(wanted) {
            return Some(entities_decoded(value));
        }
        rest = after;
    }
    None
}

/// The entities that clients write; any other stays as it is.
fn entities_decoded(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The longest entity read here is `&#x10ffff;`.
        let end = rest.bytes().take(10).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        "nbsp" => return Some('\u{a0}'),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

/// `%40alice%3Aexample.org` → `@alice:example.org`; `None` if it is no UTF-8 then.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|hex| first == b'%' && !hex.starts_with('+'))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = &after[if byte.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(out).ok()
}
