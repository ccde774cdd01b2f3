//! The tree as the code walks it → a picture: a column of questions, and to the right of each the verdicts
//! that it gives. Plain SVG for a phone: no script, no font of its own, nothing fetched.

use std::fmt::Write as _;

use super::answer::symptom as name;
use super::page::{escape, visible};
use crate::diagnose::{TreeQuestion, VerdictId};
use crate::evidence::Symptom;

/// The whole picture, in the pixels of a phone held upright.
const WIDTH: usize = 420;
const MARGIN: usize = 12;
/// The column of questions, and how many letters fit into a line of it.
const QUESTION: usize = 214;
const LETTERS: usize = 30;
/// The column of verdicts.
const VERDICT_X: usize = 254;
const VERDICT: usize = 154;
/// Letters of a heading's line.
const HEADING: usize = 48;
/// Between two lines, two boxes, two verdicts.
const LINE: usize = 17;
const GAP: usize = 22;
const PILL: usize = 24;
const PILL_GAP: usize = 6;
/// Above and below a box's text.
const PAD: usize = 10;

const HEAD: &str = "<style>\
    .t{font:13px sans-serif;fill:#1b2430}.h{font:bold 15px sans-serif;fill:#1b2430}\
    .n{font:bold 13px sans-serif;fill:#2d5b88}.v{font:11px monospace;fill:#14401f}\
    .q{fill:#fff;stroke:#2d5b88}.i{fill:#f3f5f7;stroke:#8a97a5;stroke-dasharray:4 3}\
    .p{fill:#e6f3e8;stroke:#4c8a5a}.o{fill:#f6efdd;stroke:#a08a4c}\
    .l{stroke:#5a6675;fill:none}.a{fill:#5a6675}\
    </style>";

/// All branches in one picture, one below the other.
pub fn svg(branches: &[(Symptom, &[TreeQuestion])]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for (symptom, questions) in branches {
        y = branch(&mut body, y, *symptom, questions) + GAP;
    }
    let height = y.saturating_sub(GAP) + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n{HEAD}\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fbfaf6\"/>\n{body}</svg>\n"
    )
}

/// One branch from `y` down; gives where it ends.
fn branch(out: &mut String, mut y: usize, symptom: Symptom, questions: &[TreeQuestion]) -> usize {
    let heading = format!(
        "{}: the first question that decides gives the verdict; a dashed one only informs",
        name(symptom)
    );
    for line in wrapped(&heading, HEADING) {
        text(out, "h", MARGIN, y + LINE, &line);
        y += LINE + 3;
    }
    y += PAD;
    for (number, question) in (1..).zip(questions) {
        let end = row(out, y, number, question);
        arrow_down(out, MARGIN + 24, end, end + GAP);
        y = end + GAP;
    }
    rect(out, "o", (MARGIN, y), (QUESTION, PILL));
    text(out, "v", MARGIN + PAD, y + LINE, VerdictId::Inconclusive.name());
    y + PILL
}

/// One question with its verdicts; gives where it ends.
fn row(out: &mut String, y: usize, number: usize, question: &TreeQuestion) -> usize {
    let lines = wrapped(question.asked, LETTERS);
    let verdicts = question.rules.len();
    let height =
        (lines.len() * LINE + 2 * PAD).max(verdicts * PILL + verdicts.saturating_sub(1) * PILL_GAP);
    let class = if verdicts == 0 { "i" } else { "q" };
    rect(out, class, (MARGIN, y), (QUESTION, height));
    text(out, "n", MARGIN + 8, y + PAD + LINE - 4, &format!("{number}."));
    for (line, at) in lines.iter().zip(0..) {
        let x = if at == 0 { MARGIN + 8 + indent(number) } else { MARGIN + 8 };
        text(out, "t", x, y + PAD + LINE - 4 + at * LINE, line);
    }
    for (rule, at) in question.rules.iter().zip(0..) {
        let top = y + at * (PILL + PILL_GAP);
        arrow_right(out, MARGIN + QUESTION, VERDICT_X, top + PILL / 2);
        rect(out, "p", (VERDICT_X, top), (VERDICT, PILL));
        text(out, "v", VERDICT_X + 7, top + LINE - 1, rule.name());
    }
    y + height
}

/// The room that the number takes in front of the first line.
fn indent(number: usize) -> usize {
    if number < 10 { 17 } else { 25 }
}

fn rect(out: &mut String, class: &str, (x, y): (usize, usize), (width, height): (usize, usize)) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
}

fn text(out: &mut String, class: &str, x: usize, y: usize, words: &str) {
    let words = escape(&visible(words));
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>");
}

fn arrow_right(out: &mut String, from: usize, to: usize, y: usize) {
    let end = to - 6;
    let top = y - 4;
    let low = y + 4;
    let _ = writeln!(out, "<path class=\"l\" d=\"M{from} {y}H{end}\"/>");
    let _ = writeln!(out, "<path class=\"a\" d=\"M{to} {y}L{end} {top}V{low}Z\"/>");
}

fn arrow_down(out: &mut String, x: usize, from: usize, to: usize) {
    let end = to - 6;
    let left = x - 4;
    let right = x + 4;
    let _ = writeln!(out, "<path class=\"l\" d=\"M{x} {from}V{end}\"/>");
    let _ = writeln!(out, "<path class=\"a\" d=\"M{x} {to}L{left} {end}H{right}Z\"/>");
}

/// A text in lines of at most so many letters; a longer word is cut.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // The number takes room in the first line.
    let room = |line: usize| if line == 0 { letters - 3 } else { letters };
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let fits = |line: &str, word: &[char], room: usize| {
            let between = usize::from(!line.is_empty());
            line.chars().count() + between + word.len() <= room
        };
        if !line.is_empty() && !fits(&line, &word, room(lines.len())) {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > room(lines.len()) {
            let rest = word.split_off(room(lines.len()));
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::questions;

    fn all() -> Vec<(Symptom, &'static [TreeQuestion])> {
        Symptom::BRANCHES.into_iter().map(|symptom| (symptom, questions(symptom))).collect()
    }

    #[test]
    fn every_question_and_verdict_stands_in_the_picture() {
        let picture = svg(&all());
        for verdict in VerdictId::ALL {
            assert!(picture.contains(&format!(">{}<", verdict.name())), "{}", verdict.name());
        }
        for (_, questions) in all() {
            for question in questions {
                for line in wrapped(question.asked, LETTERS) {
                    assert!(picture.contains(&escape(&line)), "{line}");
                }
            }
        }
        assert!(!picture.contains("<script") && !picture.contains("href"), "{picture}");
        assert_eq!(picture.matches("<svg").count(), 1);
    }

    #[test]
    fn names_and_lines_fit_into_their_boxes() {
        // 11 px of a monospaced font are at most 6.7 px a letter.
        let longest = VerdictId::ALL.into_iter().map(|id| id.name().len()).max().unwrap();
        assert!(longest * 67 / 10 + 7 <= VERDICT, "{longest} letters");
        for line in wrapped(&"wide words ".repeat(20), LETTERS) {
            assert!(line.chars().count() <= LETTERS, "{line}");
        }
        let long = wrapped(&"x".repeat(100), LETTERS);
        assert!(long.iter().all(|line| line.len() <= LETTERS) && long.concat().len() == 100);
    }

    #[test]
    fn what_would_be_markup_is_text() {
        let mut out = String::new();
        text(&mut out, "t", 0, 0, "<a>&\u{1b}");
        assert!(out.contains(">&lt;a&gt;&amp;\\u{1b}<"), "{out}");
    }
}
