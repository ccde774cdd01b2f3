//! A line's bytes → whether it is worth reading. Runs on every line of a log, so it only searches.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use regex::bytes::Regex;

/// Words of the lines that matter; `/sync` only matters beside the subject's name.
const WORDS: [&str; 15] = [
    "synapse.handlers.e2e_keys",
    "already exists",
    "would leave the device",
    "/keys/upload",
    "/upload_keys_for_user",
    "cached result for",
    "STARTING SERVER",
    "Attempted to login as",
    "Got login request",
    "Logging in user",
    "validation error",
    "errors.pydantic.dev",
    "To-device message for",
    "%0A",
    "%0a",
];
static NEEDLES: LazyLock<Regex> = LazyLock::new(|| any(&WORDS));

/// These, and what everybody's moments are read off beside them: one search for lines of which most say
/// nothing.
static SPEAKS: LazyLock<Regex> =
    LazyLock::new(|| any(&[&WORDS[..], &["/delayed_events/"]].concat()));

/// Plain words alone are searched all at once, without an automaton.
fn any(words: &[&str]) -> Regex {
    let escaped: Vec<_> = words.iter().map(|word| regex::escape(word)).collect();
    Regex::new(&escaped.join("|")).expect("constants")
}

static SYNC: LazyLock<Finder> = LazyLock::new(|| Finder::new("/sync"));
static PYDANTIC: LazyLock<Finder> = LazyLock::new(|| Finder::new("errors.pydantic.dev"));

/// Whether a line may say something of the user's keys, or that a client's text follows.
pub(super) fn matters(line: &[u8], user: &Finder) -> bool {
    NEEDLES.is_match(line) || SYNC.find(line).is_some() && user.find(line).is_some()
}

/// Of an access line only the request speaks.
static REQUESTS: LazyLock<Regex> =
    LazyLock::new(|| any(&["/keys/upload", "/upload_keys_for_user", "/delayed_events/"]));

/// Whether a line may say anything to one who watches everybody. Nearly every line is an access line.
pub(super) fn speaks(line: &[u8], is_access: bool) -> bool {
    if !is_access {
        return SPEAKS.is_match(line);
    }
    // The first quote stands before the request, or in a forwarded address before that.
    memchr::memchr(b'"', line).is_some_and(|quote| REQUESTS.is_match(&line[quote..]))
}

/// Whether one of pydantic's errors ends here.
pub(super) fn ends_pydantic(line: &[u8]) -> bool {
    PYDANTIC.find(line).is_some()
}
