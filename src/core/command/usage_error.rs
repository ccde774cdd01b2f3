//! What was not understood → one kind sentence. Quotes what was typed, clipped and with nothing
//! invisible in it; escaping for HTML is the renderer's.

/// Longest quotation of what was typed, in characters.
const LONGEST_QUOTE: usize = 80;

/// The user's slip: not an error of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// One or two sentences; they quote the user's words unescaped.
    pub says: String,
    /// How the command is written.
    pub usage: Option<&'static str>,
}

impl Slip {
    pub(super) fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), usage: None }
    }
}

impl std::fmt::Display for Slip {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.says)?;
        match self.usage {
            Some(usage) => write!(out, "\nUsage: {usage}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Slip {}

/// What was typed, fit to stand in a sentence: in “quotes”, clipped, and with control and direction
/// characters spelled out, so that a sentence of ours can be neither broken nor turned around.
pub(super) fn shown(typed: &str) -> String {
    let mut out = String::from("“");
    for (at, c) in typed.chars().enumerate() {
        if at == LONGEST_QUOTE {
            out.push('…');
            break;
        }
        if is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out.push('”');
    out
}

/// Characters that show nothing, or that change how others show. The joiner U+200D is not among them:
/// it holds emoji together.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200c}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
