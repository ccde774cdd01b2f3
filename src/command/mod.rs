//! A chat line → a `Command`, or a kind word about the slip.
//!
//! One table, `COMMANDS`, is the definition, the documentation and the parser of every command. What a
//! command means on this server (which window, which sources) is the plan's business: nothing here
//! looks anything up, and nothing here formats for a screen.

mod flags;
mod links;
mod moment;
mod slip;
mod span;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::{OwnedDeviceId, OwnedUserId, ServerName, UserId};

pub use self::flags::{Flags, flags};
pub use self::slip::Slip;
pub use self::span::LONGEST_DAYS;
use self::words::Word;

/// One command, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!ke1 @user:server DEVICE [window]`: one-time key conflicts of one device.
    Ke1(Ke1),
    /// `!why`: the whole path and every query of the verdict in this thread.
    Why,
    /// `!help [command]`; the name is one of the table's.
    Help(Option<String>),
}

/// The words of `!ke1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ke1 {
    pub user: OwnedUserId,
    /// `None` lists the user's devices, those in trouble first.
    pub device: Option<OwnedDeviceId>,
    pub span: Span,
}

/// The window as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// None was named: the configured default, ending now.
    Unsaid,
    Last(Duration),
    Since(Timestamp),
    Between(Timestamp, Timestamp),
}

/// A message as Matrix carries it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The plain text: what was typed, except that a pill is only its display name here.
    pub body: &'a str,
    /// The HTML, where a pill still says which user it is.
    pub formatted: Option<&'a str>,
}

/// What the words are read against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Completes a bare `alice`.
    pub server_name: Option<&'a ServerName>,
    /// The zone of times written without an offset.
    pub zone: &'a TimeZone,
    pub now: Timestamp,
}

/// One command's definition, doc and parser.
#[derive(Debug)]
pub struct Entry {
    /// Without the `!`, in lower case.
    pub name: &'static str,
    pub usage: &'static str,
    /// One line for the list of all commands.
    pub doc: &'static str,
    /// What `!help NAME` adds.
    pub notes: &'static [&'static str],
    /// A line that works as it stands.
    pub example: &'static str,
    parse: fn(&[Word], &Context<'_>) -> Result<Command, Slip>,
}

/// Every command there is.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "ke1",
        usage: "!ke1 @user:server DEVICE [last 30m | since T | between A and B]",
        doc: "one-time key conflicts of one device: what is wrong, how sure, what to do",
        notes: &[
            "Without DEVICE: the user's devices, those in trouble first.",
            "The user may be a mention, a matrix.to link, or a bare name of this server.",
            "A device id with spaces, or one that reads like a window, goes in quotes: \"MY PHONE\".",
            "A window is at most 31 days long: last 30m, last 1h30m, last 3d.",
            "A time is 14:30, yesterday 14:30, 2026-11-22 14:30, 2026-11-22 or 2026-11-22T14:30:00Z.",
        ],
        example: "!ke1 @alice:example.org ABCDEFGHIJ last 30m",
        parse: ke1,
    },
    Entry {
        name: "why",
        usage: "!why",
        doc: "in the thread of a verdict: every question asked, its answer, and the query that shows it",
        notes: &[],
        example: "!why",
        parse: why,
    },
    Entry {
        name: "help",
        usage: "!help [command]",
        doc: "this list, or more about one command",
        notes: &[],
        example: "!help ke1",
        parse: help_words,
    },
];

/// Reads one message. `Ok(None)`: it is no command, because it does not begin with `!` or only quotes.
pub fn parse(line: &Line<'_>, context: &Context<'_>) -> Result<Option<Command>, Slip> {
    let Some((name, pieces)) = links::spoken(line) else {
        return Ok(None);
    };
    let entry = entry(&name).ok_or_else(|| unknown(&name))?;
    let command = words::split(&pieces).and_then(|words| (entry.parse)(&words, context));
    command.map(Some).map_err(|slip| Slip { usage: slip.usage.or(Some(entry.usage)), ..slip })
}

/// What `!help` says, for a renderer to format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// Usage and doc of each command, in the table's order.
    pub lines: Vec<(&'static str, &'static str)>,
    /// Sentences below the list.
    pub notes: Vec<&'static str>,
    /// A line that works as it stands; only for one command.
    pub example: Option<&'static str>,
}

/// Help on one command, or on all of them. A name that is none of the table's gets the whole list.
pub fn help(about: Option<&str>) -> Help {
    match about.and_then(entry) {
        Some(entry) => Help {
            lines: vec![(entry.usage, entry.doc)],
            notes: entry.notes.to_vec(),
            example: Some(entry.example),
        },
        None => Help {
            lines: COMMANDS.iter().map(|one| (one.usage, one.doc)).collect(),
            notes: vec!["!help ke1 says how users, devices and times can be written."],
            example: None,
        },
    }
}

/// The line about a user of another homeserver, whose keys this server cannot judge: it only holds
/// copies of the public ones, and none of the log lines.
pub fn foreign_user(command: &Command, server_name: &ServerName) -> Option<Slip> {
    let Command::Ke1(Ke1 { user, .. }) = command else {
        return None;
    };
    let theirs = user.server_name();
    (theirs != server_name).then(|| {
        Slip::new(format!(
            "{} lives on {}: the keys and the log are kept there, not on {server_name}. Ask the admins of {} to look.",
            slip::shown(user.as_str()),
            slip::shown(theirs.as_str()),
            slip::shown(theirs.as_str()),
        ))
    })
}

fn entry(name: &str) -> Option<&'static Entry> {
    let name = name.trim_start_matches('!');
    COMMANDS.iter().find(|one| one.name.eq_ignore_ascii_case(name))
}

/// The table's name that was probably meant. Command names are short, so one slip of the finger (two
/// neighbours swapped count as one) is near and two are a different word.
fn nearest(name: &str) -> Option<&'static Entry> {
    let name = name.trim_start_matches('!').to_lowercase();
    if name.is_empty() || name.len() > 20 {
        return None;
    }
    COMMANDS
        .iter()
        .find(|one| one.name.starts_with(&name))
        .or_else(|| COMMANDS.iter().find(|one| strsim::damerau_levenshtein(&name, one.name) <= 1))
}

fn unknown(name: &str) -> Slip {
    let typed = slip::shown(&format!("!{}", name.trim_start_matches('!')));
    match nearest(name) {
        Some(near) => Slip {
            says: format!("I do not know {typed}. The nearest I know is !{}.", near.name),
            usage: Some(near.usage),
        },
        None => {
            Slip { says: format!("I do not know {typed}. !help lists what I can do."), usage: None }
        }
    }
}

fn ke1(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let Some((user, rest)) = words.split_first() else {
        return Err(Slip::new("Whose device is it? Name a user and a device."));
    };
    let user = user_id(user, context)?;
    let (device, window) = match rest.split_first() {
        Some((word, window)) if !span::opens(word) => (Some(device_id(word)?), window),
        _ => (None, rest),
    };
    let span = span::span(window, context)?;
    Ok(Command::Ke1(Ke1 { user, device, span }))
}

fn why(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    match words.first() {
        None => Ok(Command::Why),
        Some(word) => Err(Slip::new(format!(
            "!why takes no words, so I do not know what {} is for. Send it in the thread of a verdict.",
            slip::shown(&word.text)
        ))),
    }
}

fn help_words(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    match words {
        [] => Ok(Command::Help(None)),
        [word] => match entry(&word.text) {
            Some(entry) => Ok(Command::Help(Some(entry.name.to_owned()))),
            None => Err(unknown(&word.text)),
        },
        [_, extra, ..] => Err(Slip::new(format!(
            "!help takes one command's name; {} is one word too many.",
            slip::shown(&extra.text)
        ))),
    }
}

fn user_id(word: &Word, context: &Context<'_>) -> Result<OwnedUserId, Slip> {
    let typed = slip::shown(&word.text);
    if word.is_pill() {
        return whole_user_id(&word.text).ok_or_else(|| not_a_user(&typed));
    }
    if let Some(linked) = links::user_of_link(&word.text) {
        return whole_user_id(&linked).ok_or_else(|| not_a_user(&typed));
    }
    if links::is_link(&word.text) {
        return Err(Slip::new(format!("{typed} is a link, but not to a user.")));
    }
    // Clients complete a mention with a colon or a comma, and phones turn hyphens into dashes; neither
    // can stand in a server name.
    let text = moment::plain_dashes(word.text.trim_end_matches([':', ',']));
    if text.contains(':') {
        let sigil = if text.starts_with('@') { "" } else { "@" };
        return whole_user_id(&format!("{sigil}{text}")).ok_or_else(|| not_a_user(&typed));
    }
    if looks_like_device(&text) {
        return Err(Slip::new(format!(
            "{typed} looks like a device. Whose is it? The user comes first."
        )));
    }
    let Some(server) = context.server_name else {
        return Err(Slip::new(format!(
            "{typed} has no server name. Write the whole id, as in @alice:example.org."
        )));
    };
    // Synapse registers lower-case names only, and phones begin a word with a capital. Whoever has an
    // older name with capitals writes the @, which keeps them.
    let localpart = match text.strip_prefix('@') {
        Some(exact) => exact.to_owned(),
        None => text.to_lowercase(),
    };
    whole_user_id(&format!("@{localpart}:{server}")).ok_or_else(|| not_a_user(&typed))
}

/// A user id that a person can read: ruma also accepts controls and spaces, which no server registers
/// and which only serve to deceive.
fn whole_user_id(text: &str) -> Option<OwnedUserId> {
    let unreadable = |c: char| c.is_whitespace() || slip::is_invisible(c);
    if text.contains(unreadable) {
        return None;
    }
    UserId::parse(text).ok()
}

fn not_a_user(typed: &str) -> Slip {
    Slip::new(format!("{typed} is not a user's Matrix id. One looks like @alice:example.org."))
}

/// Synapse's own device ids: ten capitals.
fn looks_like_device(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn device_id(word: &Word) -> Result<OwnedDeviceId, Slip> {
    let typed = slip::shown(&word.text);
    if word.text.is_empty() {
        return Err(Slip::new("The device's quotes are empty."));
    }
    if word.is_pill() {
        return Err(Slip::new(format!("{typed} is a second user; a device goes there.")));
    }
    if word.is_bare() && span::duration(&word.text).is_ok() {
        return Err(Slip::new(format!(
            "Is {typed} a window or a device? Write last {typed} for a window, or put a device in quotes."
        )));
    }
    Ok(word.text.as_str().into())
}

#[cfg(test)]
mod tests;
