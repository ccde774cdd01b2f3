//! Characters that nobody sees, or that change how others show: one list for what a page spells out and for what a
//! typed word may not hold.

/// Control, direction and zero-width characters: they can hide in a line or turn it around.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a page spells out. The joiner U+200D is among them: in an ID it hides a difference.
pub fn is_spelled_out(c: char) -> bool {
    steers(c) || c == '\u{200d}'
}

/// What means nothing in typed text. The joiner U+200D is not among them: it holds emoji together.
pub fn is_invisible(c: char) -> bool {
    steers(c)
        || matches!(c,
            '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{206a}'..='\u{206f}'
            | '\u{3164}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joiner_is_spelled_out_and_may_be_typed() {
        assert!(is_spelled_out('\u{200d}') && !is_invisible('\u{200d}'));
        for c in ['\u{0}', '\n', '\u{200b}', '\u{202e}', '\u{2069}', '\u{feff}', '\u{61c}'] {
            assert!(is_spelled_out(c) && is_invisible(c), "{c:?}");
        }
        for c in ['\u{ad}', '\u{206f}', '\u{3164}', '\u{e0041}'] {
            assert!(!is_spelled_out(c) && is_invisible(c), "{c:?}");
        }
        assert!(['a', ' ', 'é', '🔴'].into_iter().all(|c| !is_spelled_out(c) && !is_invisible(c)));
    }
}
