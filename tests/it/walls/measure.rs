//! The tokens of a file → its functions: how long, how wide, how deep.

use super::lexer::{Token, after_angles, closing};

#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// From `fn` to the closing brace.
    pub lines: usize,
    /// `self` is one.
    pub parameters: usize,
    /// Blocks of `if`, `else`, `match`, loops and closures inside each other.
    pub depth: usize,
}

pub fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let named = tokens.get(at + 1).filter(|next| next.is_word());
        if let (true, Some(name)) = (tokens[at].is("fn"), named) {
            found.extend(function(tokens, at, name.text.clone()));
        }
    }
    found
}

fn function(tokens: &[Token], start: usize, name: String) -> Option<Function> {
    let mut at = start + 2;
    if tokens.get(at)?.is("<") {
        at = after_angles(tokens, at);
    }
    if !tokens.get(at)?.is("(") {
        return None;
    }
    let end = closing(tokens, at);
    let parameters = count(&tokens[at + 1..end]);
    let mut body = end + 1;
    while !tokens.get(body)?.is("{") && !tokens[body].is(";") {
        if tokens[body].is("(") || tokens[body].is("[") {
            body = closing(tokens, body);
        }
        body += 1;
    }
    let (mut last, mut depth) = (body, 0);
    if tokens[body].is("{") {
        last = closing(tokens, body);
        depth = Depth::default().of(&tokens[body + 1..last]);
    }
    let lines = tokens[last].line + 1 - tokens[start].line;
    Some(Function { name, lines, parameters, depth })
}

fn count(list: &[Token]) -> usize {
    let mut count = 0;
    let mut is_open = false;
    let mut at = 0;
    while at < list.len() {
        if list[at].is(",") {
            is_open = false;
            at += 1;
            continue;
        }
        if !is_open {
            count += 1;
            is_open = true;
        }
        if list[at].is("<") {
            at = after_angles(list, at);
        } else if list[at].is("(") || list[at].is("[") || list[at].is("{") {
            at = closing(list, at) + 1;
        } else {
            at += 1;
        }
    }
    count
}

/// Reads a body and remembers what each brace is: a block that nests, or a literal, a pattern, a match arm.
#[derive(Default)]
struct Depth {
    braces: Vec<bool>,
    heads: Vec<Head>,
    round: usize,
    deepest: usize,
}

/// From a keyword to the block that it opens.
struct Head {
    round: usize,
    braces: usize,
    /// In the pattern of a `let` or a `for`, whose braces are no block.
    in_pattern: bool,
}

impl Depth {
    fn of(mut self, body: &[Token]) -> usize {
        for at in 0..body.len() {
            self.step(body, at);
        }
        self.deepest
    }

    fn step(&mut self, body: &[Token], at: usize) {
        let token = &body[at];
        let text = if token.is(&token.text) { token.text.as_str() } else { "" };
        match text {
            "(" | "[" => self.round += 1,
            ")" | "]" => {
                self.round = self.round.saturating_sub(1);
                self.heads.retain(|head| head.round <= self.round);
            }
            "if" | "while" | "match" | "loop" | "else" => self.open(body, at),
            "for" if !body.get(at + 1).is_some_and(|next| next.is("<")) => self.open(body, at),
            "let" => self.pattern(true),
            "=" | "in" => self.pattern(false),
            // A guard of a match arm has no block.
            "=>" => {
                let here = (self.round, self.braces.len());
                self.heads.retain(|head| (head.round, head.braces) != here);
            }
            "{" => self.brace(body, at),
            "}" => {
                self.braces.pop();
                let open = self.braces.len();
                self.heads.retain(|head| head.braces <= open);
            }
            _ => {}
        }
    }

    fn here(&self, head: &Head) -> bool {
        head.round == self.round && head.braces == self.braces.len()
    }

    fn open(&mut self, body: &[Token], at: usize) {
        let is_else_if = body[at].is("else") && body.get(at + 1).is_some_and(|next| next.is("if"));
        if !is_else_if {
            let in_pattern = body[at].is("for");
            let braces = self.braces.len();
            self.heads.push(Head { round: self.round, braces, in_pattern });
        }
    }

    fn pattern(&mut self, begins: bool) {
        let braces = self.braces.len();
        let here = self.heads.last_mut();
        if let Some(head) = here.filter(|head| head.round == self.round && head.braces == braces) {
            head.in_pattern = begins;
        }
    }

    fn brace(&mut self, body: &[Token], at: usize) {
        let opens = self.heads.last().is_some_and(|head| self.here(head) && !head.in_pattern);
        if opens {
            self.heads.pop();
        }
        let is_closure = at > 0 && body[at - 1].is("|");
        self.braces.push(opens || is_closure);
        let depth = self.braces.iter().filter(|counts| **counts).count();
        self.deepest = self.deepest.max(depth);
    }
}
