//! A few lines of text with emphasis → plain text, HTML, Markdown or a terminal.
//!
//! Everything foreign passes through here: control and direction characters are made visible, HTML is
//! escaped, long ids are cut. Nothing foreign is ever read as markup.

use serde::{Deserialize, Serialize};

use crate::evidence::hidden::is_spelled_out;

/// One message, ready to send: both bodies say the same. Everything foreign in `html` is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub plain: String,
    pub html: String,
}

/// Characters of a foreign id that are shown; Synapse takes device ids of up to 512.
const SHOWN_ID: usize = 80;
/// Links go to rooms and messages, and nowhere else.
const OURS: &str = "https://matrix.to/#/";

/// How a piece of text is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Piece {
    Text(String),
    Strong(String),
    Code(String),
    /// A statement or command on its own lines.
    Block(String),
    /// A text and where it leads.
    Link(String, String),
}

/// The lines between two gaps.
type Paragraph = Vec<Vec<Piece>>;

/// Lines of a message, one after another, in paragraphs where there is room for them. It serialises, so that
/// a message can be edited after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    lines: Vec<Vec<Piece>>,
    /// Numbers of the lines that begin a paragraph.
    gaps: Vec<usize>,
}

/// Whether a terminal takes colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Colour,
}

impl Page {
    /// Begins a line with a label in bold, and a colon where it is no question.
    pub fn label(&mut self, label: &str) -> &mut Self {
        let colon = if label.ends_with('?') { "" } else { ":" };
        let label = Piece::Strong(format!("{}{colon}", visible(label)));
        self.lines.push(vec![label, Piece::Text(" ".into())]);
        self
    }

    /// Begins a line.
    pub fn line(&mut self) -> &mut Self {
        self.lines.push(Vec::new());
        self
    }

    /// The next line begins a paragraph: a little air in HTML, nothing in plain text.
    pub fn gap(&mut self) {
        self.gaps.push(self.lines.len());
    }

    /// Goes on with text.
    pub fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.push(Piece::Text(visible(text.as_ref())))
    }

    /// Goes on in bold.
    pub fn strong(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.push(Piece::Strong(visible(text.as_ref())))
    }

    /// Goes on with an id or a name, set apart and cut where it is long.
    pub fn code(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.push(Piece::Code(clip(&visible(text.as_ref()), SHOWN_ID)))
    }

    /// Goes on with a line of ours to type, never cut.
    pub fn usage(&mut self, text: &str) -> &mut Self {
        self.push(Piece::Code(text.to_owned()))
    }

    /// Goes on with a command to paste, never cut. A user ID in it may be foreign.
    pub fn command(&mut self, text: &str) -> &mut Self {
        self.push(Piece::Code(visible(text)))
    }

    /// Goes on with a link to a room or message; any other address is not shown.
    pub fn link(&mut self, text: impl AsRef<str>, url: &str) -> &mut Self {
        let is_plain = |letter: char| letter.is_ascii_graphic() && !"\"'<>()[]`\\".contains(letter);
        if url.starts_with(OURS) && url.chars().all(is_plain) {
            return self.push(Piece::Link(visible(text.as_ref()), url.to_owned()));
        }
        self.text(text)
    }

    /// A statement or command on its own lines; its line breaks are kept.
    pub fn block(&mut self, text: impl AsRef<str>) -> &mut Self {
        let lines: Vec<_> = text.as_ref().split('\n').map(visible).collect();
        self.lines.push(vec![Piece::Block(lines.join("\n"))]);
        self
    }

    /// Another page's lines, as a paragraph of their own.
    pub fn append(&mut self, other: Self) {
        let before = self.lines.len();
        self.gap();
        self.gaps.extend(other.gaps.iter().map(|gap| gap + before));
        self.lines.extend(other.lines);
    }

    /// Its first lines, at most so many.
    pub fn shorter(mut self, most: usize) -> Self {
        self.lines.truncate(most);
        self
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn push(&mut self, piece: Piece) -> &mut Self {
        match self.lines.last_mut() {
            Some(line) => line.push(piece),
            None => self.lines.push(vec![piece]),
        }
        self
    }

    /// Both bodies of a Matrix message.
    pub fn reply(&self) -> Reply {
        Reply { plain: self.plain(), html: self.html() }
    }

    fn plain(&self) -> String {
        self.each_line(|out, piece| match piece {
            Piece::Text(text) | Piece::Strong(text) | Piece::Code(text) => out.push_str(text),
            Piece::Block(text) => out.push_str(&indented(text)),
            Piece::Link(text, url) => out.push_str(&format!("{text} ({url})")),
        })
    }

    fn html(&self) -> String {
        let paragraphs: Vec<_> = self.paragraphs().map(html_lines).collect();
        match paragraphs.as_slice() {
            [only] => only.clone(),
            several => several.iter().map(|lines| format!("<p>{lines}</p>\n")).collect(),
        }
    }

    fn paragraphs(&self) -> impl Iterator<Item = Paragraph> {
        let begins = |(number, _): &(usize, _)| self.gaps.contains(number);
        let mut paragraphs: Vec<Paragraph> = vec![Vec::new()];
        for line in self.lines.iter().enumerate() {
            match (begins(&line), paragraphs.last_mut()) {
                (false, Some(last)) => last.push(line.1.clone()),
                _ => paragraphs.push(vec![line.1.clone()]),
            }
        }
        paragraphs.into_iter().filter(|lines| !lines.is_empty())
    }

    /// Markdown for a ticket.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            for piece in line {
                match piece {
                    Piece::Text(text) => out.push_str(&escape_markdown(text)),
                    Piece::Strong(text) => out.push_str(&format!("**{}**", escape_markdown(text))),
                    Piece::Code(text) => out.push_str(&fenced(text)),
                    Piece::Link(text, url) => {
                        out.push_str(&format!("[{}]({url})", escape_markdown(text)));
                    }
                    Piece::Block(text) => {
                        let fence = "`".repeat(3.max(longest_run(text) + 1));
                        out.push_str(&format!("\n{fence}\n{text}\n{fence}"));
                    }
                }
            }
            out.push_str("  \n");
        }
        out
    }

    /// Lines for a terminal.
    pub fn terminal(&self, ink: Ink) -> String {
        if ink == Ink::Plain {
            return self.plain() + "\n";
        }
        let paint = |code: &str, text: &str| format!("\u{1b}[{code}m{text}\u{1b}[0m");
        self.each_line(|out, piece| match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Strong(text) => out.push_str(&paint("1", text)),
            Piece::Code(text) => out.push_str(&paint("36", text)),
            Piece::Block(text) => out.push_str(&paint("2", &indented(text))),
            Piece::Link(text, url) => out.push_str(&format!("{text} ({url})")),
        }) + "\n"
    }

    fn each_line(&self, write: impl Fn(&mut String, &Piece)) -> String {
        let line = |pieces: &Vec<Piece>| {
            let mut out = String::new();
            pieces.iter().for_each(|piece| write(&mut out, piece));
            out
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn indented(text: &str) -> String {
    format!("    {}", text.replace('\n', "\n    "))
}

fn html_lines(lines: Paragraph) -> String {
    let mut out = String::new();
    let mut open = false;
    for line in lines {
        let block = matches!(line.as_slice(), [Piece::Block(_)]);
        if open && !block {
            out.push_str("<br>\n");
        }
        open = !block;
        out.extend(line.iter().map(|piece| match piece {
            Piece::Text(text) => ticked(text),
            Piece::Strong(text) => format!("<strong>{}</strong>", escape(text)),
            Piece::Code(text) => format!("<code>{}</code>", escape(text)),
            Piece::Block(text) => format!("<pre><code>{}</code></pre>\n", escape(text)),
            Piece::Link(text, url) => {
                format!("<a href=\"{}\">{}</a>", escape(url), escape(text))
            }
        }));
    }
    out
}

/// What is between backticks is code, as people write it; a single one stays what it is.
fn ticked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (code, after))) =
        rest.split_once('`').and_then(|(before, rest)| Some((before, rest.split_once('`')?)))
    {
        out.push_str(&format!("{}<code>{}</code>", escape(before), escape(code)));
        rest = after;
    }
    out + escape(rest).as_str()
}

/// Makes control and direction characters visible: an id may hold escapes for a terminal, or letters
/// that turn the line around.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_spelled_out(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Cuts a text to so many characters, and shows that it did.
pub(super) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Text as markup takes it, in HTML and in SVG.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '&') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_never_markup() {
        let mut page = Page::default();
        page.label("Device").code("<b>`x`</b>\u{1b}[31m\u{202e}\n@room");
        let reply = page.reply();
        assert!(
            reply
                .html
                .contains("<code>&lt;b&gt;`x`&lt;/b&gt;\\u{1b}[31m\\u{202e}\\u{a}@room</code>")
        );
        assert!(!reply.plain.contains('\u{1b}') && !reply.plain.contains('\n'));
        assert!(page.markdown().contains("``<b>`x`</b>"));
        assert!(!page.terminal(Ink::Colour).contains("\u{1b}[31m"));
    }

    #[test]
    fn links_lead_to_messages_only() {
        let url = "https://matrix.to/#/!r%3Ax/%24event?via=x&via=y";
        let mut page = Page::default();
        page.line().link("<Storm> 7", url);
        let reply = page.reply();
        assert_eq!(reply.plain, format!("<Storm> 7 ({url})"));
        let escaped = url.replace('&', "&amp;");
        assert_eq!(reply.html, format!("<a href=\"{escaped}\">&lt;Storm&gt; 7</a>"));
        assert_eq!(page.markdown(), format!("[\\<Storm\\> 7]({url})  \n"));
        for other in ["https://evil.example/", "javascript:x", "https://matrix.to/#/a\" onclick=\""]
        {
            let mut page = Page::default();
            page.line().link("Storm 7", other);
            assert_eq!(page.reply().html, "Storm 7");
        }
    }

    #[test]
    fn a_page_comes_back_as_it_was() {
        let mut page = Page::default();
        page.label("Device").code("<b>").gap();
        page.block("a\nb").link("Storm 7", "https://matrix.to/#/!r%3Ax");
        let text = serde_json::to_string(&page).unwrap();
        assert_eq!(serde_json::from_str::<Page>(&text).unwrap(), page);
    }

    #[test]
    fn long_ids_are_cut_between_characters() {
        assert_eq!(clip("ääää", 3), "äää…");
        assert_eq!(clip("äää", 3), "äää");
    }
}
