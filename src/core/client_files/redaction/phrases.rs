//! Whether a text begins with words that the SDKs themselves write: the sentences of their log lines, with places for
//! numbers, and the names of their modules and functions.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Digits of a number in a sentence; a phone number has more.
const DIGITS: usize = 7;

/// Bytes of the known words that the text begins with; of the longest if there are several.
pub(crate) fn at_start(text: &str) -> Option<usize> {
    let word = word_of(text);
    let function = (word.contains('_') && MODULES.contains(word)).then_some(word.len());
    let sentences = SENTENCES.get(word).into_iter().flatten();
    sentences.filter_map(|parts| ends(parts, text)).max().max(function)
}

/// Whether it is a module or a function of the Rust SDK.
pub(crate) fn is_module(name: &str) -> bool {
    MODULES.contains(name)
}

/// The word that the text begins with; its first letter if that is not a word.
fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let first = text.chars().next().map_or(0, char::len_utf8);
    &text[..end.max(first)]
}

/// Where the sentence ends in the text that begins with it: its parts with a number between each two.
fn ends(parts: &[&str], text: &str) -> Option<usize> {
    let (first, others) = parts.split_first()?;
    let mut rest = text.strip_prefix(*first)?;
    for part in others {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest = rest.get(digits..).filter(|_| (1..=DIGITS).contains(&digits))?;
        rest = rest.strip_prefix(*part)?;
    }
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let end = text.len() - rest.len();
    let cut = is_word(text[..end].chars().next_back()) && is_word(rest.chars().next());
    (!cut).then_some(end)
}

fn listed(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with("//"))
}

/// The sentences by their first word, each as the parts between its numbers.
static SENTENCES: LazyLock<HashMap<&'static str, Vec<Vec<&'static str>>>> = LazyLock::new(|| {
    let mut known: HashMap<_, Vec<Vec<_>>> = HashMap::new();
    for sentence in listed(include_str!("phrases.txt")) {
        known.entry(word_of(sentence)).or_default().push(sentence.split('#').collect());
    }
    known
});
static MODULES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| listed(include_str!("modules.txt")).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_sentence_is_found_and_no_part_of_a_word() {
        for (text, found) in [
            ("missing key at index 3 for", Some("missing key at index 3")),
            ("missing key at index x", Some("missing key at index")),
            ("missing key at index 12345678", Some("missing key at index")),
            ("MissingKey: x", Some("MissingKey")),
            ("MissingKeyx", None),
            ("[MembershipManager] x", Some("[MembershipManager]")),
            ("share_room_key{", Some("share_room_key")),
            ("share_room_keyring", None),
            ("event x", None),
            ("", None),
        ] {
            assert_eq!(at_start(text).map(|end| &text[..end]), found, "{text}");
        }
    }
}
