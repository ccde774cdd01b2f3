//! The text of a source file → its tokens. Comments are left out. A string is one token, and nobody takes its
//! text for code.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Word,
    Mark,
    Literal,
    Lifetime,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    /// A string's content without its quotes; everything else as it is written.
    pub text: String,
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }

    pub fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// Marks of several characters that must not be read one by one: the `=` of a `let` is none of `=>`.
const LONG_MARKS: &[&str] = &["..=", "::", "->", "=>", "==", "!=", "<=", ">="];

pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text: text.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while lexer.at < lexer.text.len() {
        lexer.step();
    }
    lexer.found
}

/// Where the token at `open` ends its bracket: the index of the closing one, or the last token.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") || token.is("[") || token.is("{") {
            depth += 1;
        }
        if token.is(")") || token.is("]") || token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    tokens.len().saturating_sub(1)
}

/// The index after the `>` that closes the `<` at `open`.
pub fn after_angles(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = open;
    while at < tokens.len() {
        if tokens[at].is("<") {
            depth += 1;
        } else if tokens[at].is(">") {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        } else if tokens[at].is("(") || tokens[at].is("[") || tokens[at].is("{") {
            at = closing(tokens, at);
        }
        at += 1;
    }
    at
}

struct Lexer {
    text: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Lexer {
    fn step(&mut self) {
        let here = self.text[self.at];
        if here.is_whitespace() {
            self.skip(1);
        } else if self.starts_with("//") {
            while self.at < self.text.len() && self.text[self.at] != '\n' {
                self.at += 1;
            }
        } else if self.starts_with("/*") {
            self.block_comment();
        } else if here == '"' {
            self.string(0);
        } else if here == '\'' {
            self.quote();
        } else if here.is_ascii_digit() {
            self.number();
        } else if is_word(here) {
            self.word();
        } else {
            let mark = LONG_MARKS.iter().find(|mark| self.starts_with(mark));
            let length = mark.map_or(1, |mark| mark.len());
            self.take(Kind::Mark, length);
        }
    }

    fn starts_with(&self, mark: &str) -> bool {
        mark.chars().enumerate().all(|(more, c)| self.text.get(self.at + more) == Some(&c))
    }

    fn skip(&mut self, count: usize) {
        let end = (self.at + count).min(self.text.len());
        self.line += self.text[self.at..end].iter().filter(|c| **c == '\n').count();
        self.at = end;
    }

    fn take(&mut self, kind: Kind, length: usize) {
        let end = (self.at + length).min(self.text.len());
        let text = self.text[self.at..end].iter().collect();
        self.found.push(Token { kind, text, line: self.line });
        self.skip(length);
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            if self.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.skip(1);
            }
        }
    }

    /// A string with escapes; `before` is the length of its prefix.
    fn string(&mut self, before: usize) {
        let line = self.line;
        self.skip(before + 1);
        let start = self.at;
        while self.at < self.text.len() && self.text[self.at] != '"' {
            let escaped = usize::from(self.text[self.at] == '\\');
            self.skip(1 + escaped);
        }
        let text = self.text[start..self.at].iter().collect();
        self.found.push(Token { kind: Kind::Literal, text, line });
        self.skip(1);
    }

    fn raw_string(&mut self, before: usize, hashes: usize) {
        let line = self.line;
        let end = format!("\"{}", "#".repeat(hashes));
        self.skip(before + hashes + 1);
        let start = self.at;
        while self.at < self.text.len() && !self.starts_with(&end) {
            self.skip(1);
        }
        let text = self.text[start..self.at].iter().collect();
        self.found.push(Token { kind: Kind::Literal, text, line });
        self.skip(end.len());
    }

    /// A character, or a lifetime: `'a'` or `'a`.
    fn quote(&mut self) {
        let next = self.text.get(self.at + 1).copied().unwrap_or(' ');
        let closed = self.text.get(self.at + 2) == Some(&'\'');
        if next != '\\' && !closed {
            let more = self.text[self.at + 1..].iter().take_while(|c| is_word(**c)).count();
            self.take(Kind::Lifetime, 1 + more);
            return;
        }
        let mut end = self.at + 1;
        while end < self.text.len() && self.text[end] != '\'' {
            end += 1 + usize::from(self.text[end] == '\\');
        }
        self.take(Kind::Literal, end + 1 - self.at);
    }

    fn number(&mut self) {
        let alike = |from: usize| self.text[from..].iter().take_while(|c| is_word(**c)).count();
        let mut length = alike(self.at);
        let after = self.at + length;
        let point = self.text.get(after) == Some(&'.');
        if point && self.text.get(after + 1).is_some_and(char::is_ascii_digit) {
            length += 1 + alike(after + 1);
        }
        self.take(Kind::Literal, length);
    }

    /// A word, or the string or character that it is the prefix of: `r#"…"#`, `b'x'`, `r#type`.
    fn word(&mut self) {
        let length = self.text[self.at..].iter().take_while(|c| is_word(**c)).count();
        let word: String = self.text[self.at..self.at + length].iter().collect();
        let rest = &self.text[self.at + length..];
        let hashes = rest.iter().take_while(|c| **c == '#').count();
        let quoted = rest.get(hashes) == Some(&'"');
        if ["r", "br", "cr"].contains(&word.as_str()) && quoted {
            self.raw_string(length, hashes);
        } else if ["b", "c"].contains(&word.as_str()) && quoted && hashes == 0 {
            self.string(length);
        } else if word == "b" && rest.first() == Some(&'\'') {
            self.skip(length);
            self.quote();
        } else if word == "r" && hashes == 1 {
            self.skip(2);
            self.word();
        } else {
            self.take(Kind::Word, length);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
