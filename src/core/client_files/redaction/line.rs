//! One line of a client's log → the same line without what must not be stored. It still shows what it is a sign of.

use crate::client_files::redaction::safe;
use crate::client_files::signs;
use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::scrubber::{ROUNDS, Scrubber};

impl Scrubber {
    /// The line as it may be stored; redacting it again changes nothing.
    pub(crate) fn line(&mut self, line: &str) -> String {
        let mut kept = self.line_once(line);
        for _ in 0..ROUNDS {
            let again = self.line_once(&kept);
            if again == kept {
                return kept;
            }
            kept = again;
        }
        signs::sign(line).map_or(CUT, signs::words_of).to_owned()
    }

    fn line_once(&mut self, line: &str) -> String {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = line.trim();
        let unescaped = line.replace("\\\"", "\"");
        let found = signs::refused(line).map(|found| (line, found));
        let found = found.or_else(|| Some((unescaped.as_str(), signs::refused(&unescaped)?)));
        let kept = match found {
            Some((line, refused)) => {
                let before = self.safe(&line[..refused.from]);
                let after = self.safe(&line[refused.to..]);
                format!("{before}{}{after}", self.refusal(&refused))
            }
            None => self.safe(line),
        };
        let Some(sign) = signs::sign(line) else { return kept };
        // Cuts may remove the words that identify the line.
        if signs::sign(&kept) == Some(sign) { kept } else { signs::words_of(sign).to_owned() }
    }

    /// Any text of a log line.
    fn safe(&mut self, text: &str) -> String {
        let text = self.text(text);
        safe::kept(&text, &mut self.removed)
    }
}
