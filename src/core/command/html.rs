//! The HTML of a message → its text and its mentions. It reads just enough to find a mention and never renders.

use super::permalinks::user_of_link;

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

/// HTML as text and pills, without what a reply quotes.
pub(super) fn pieces(html: &str) -> Vec<Piece> {
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
