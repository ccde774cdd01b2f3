//! A chat line → a `Command`, or a kind word about the slip.
//!
//! One table, `COMMANDS`, is the definition, the documentation and the parser of every command. What a
//! command means on this server (which window, which sources) is the plan's business: nothing here
//! looks anything up, and nothing here formats for a screen.

mod capture;
mod cases;
mod destructive;
mod event_id;
mod foreign;
mod help;
mod ids;
mod message;
mod questions;
mod storms;
mod terminal_flags;
mod tokens;
mod usage_error;
mod window;
mod written_time;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, ServerName};

pub use self::capture::Capture;
pub use self::cases::{Look, case_words, cases_words};
pub use self::event_id::event;
pub use self::foreign::foreign_user;
pub use self::help::{Help, help};
use self::help::{entry, help_words, unknown};
pub use self::storms::{Whom, mute_words, whom_words};
pub use self::terminal_flags::{Flags, length, live, user, window};
use self::tokens::Word;
pub use self::usage_error::Slip;
pub use self::window::LONGEST_DAYS;

/// One command, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!ke1 @user:server DEVICE [window]`: one-time key conflicts of one device.
    Ke1(Ke1),
    /// `!ke2 @user:server DEVICE [@sender] [window] [live 60s]`: media keys that do not arrive.
    Ke2(Ke2),
    /// `!ke3 $event [in !room] [the client's words]`: an event that will not decrypt.
    Ke3(Ke3),
    /// `!ke4 @user:server [window]`: delayed events that time out.
    Ke4(Ke4),
    /// `!triage @user:server [DEVICE] [$event] [window]`: all four, and the chain between them.
    Triage(Triage),
    /// `!fleet [window]`: who is affected now.
    Fleet(Span),
    /// `!report [@user]`: reads the file or the paste that it replies to.
    Report { about: Option<OwnedUserId> },
    /// `!storms`: those that go on, and the newest that ended.
    Storms,
    /// `!mute <storm|@user|all> [time]`: no messages about it for a while.
    Mute { whom: Whom, length: Duration },
    /// `!unmute [storm|@user|all]`: ends that; `None` ends every mute.
    Unmute(Option<Whom>),
    /// `!cases [@user]`: the newest that are kept, of one user or of all.
    Cases(Option<OwnedUserId>),
    /// `!case NUMBER [why | again | delete]`: one of them.
    Case { number: u64, look: Look },
    /// `!capture [start @user [DEVICE] [for 30m] | mark TEXT | stop]`: a call that is watched as it goes wrong.
    Capture(Capture),
    /// `!tree [ke1…ke4]`: the questions that are asked.
    Tree(Option<String>),
    /// `!remedies [verdict]`: what can be done, and what it costs.
    Remedies(Option<String>),
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

/// The words of `!ke2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ke2 {
    pub user: OwnedUserId,
    /// `None` lists the user's devices.
    pub device: Option<OwnedDeviceId>,
    /// Only messages of this sender count.
    pub sender: Option<OwnedUserId>,
    pub span: Span,
    /// How long the inbox is watched while a call runs.
    pub live: Option<Duration>,
}

/// The words of `!ke4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ke4 {
    pub user: OwnedUserId,
    pub span: Span,
}

/// The words of `!triage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triage {
    pub user: OwnedUserId,
    /// `None` takes the device in trouble, or the one seen last.
    pub device: Option<OwnedDeviceId>,
    /// An event that will not decrypt, for KE-3.
    pub event: Option<Ke3>,
    pub span: Span,
}

/// The words of `!ke3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ke3 {
    pub event: OwnedEventId,
    pub room: Option<OwnedRoomId>,
    /// The column in the client's error message, where it was pasted behind the event id.
    pub column: Option<u64>,
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
        parse: questions::ke1,
    },
    Entry {
        name: "ke2",
        usage: "!ke2 @user:server DEVICE [@sender:server] [last 30m | live 60s]",
        doc: "media keys of calls that do not reach a device, or do not decrypt on it",
        notes: &[
            "live 60s watches the device's inbox while a call runs, then judges; at most 5 minutes, one at a time.",
            "With a sender only that user's messages count.",
            "An empty inbox never means that nothing was sent: a device that syncs empties it at once.",
        ],
        example: "!ke2 @alice:example.org ABCDEFGHIJ live 60s",
        parse: questions::ke2,
    },
    Entry {
        name: "ke3",
        usage: "!ke3 $event [in !room] [the client's error message]",
        doc: "an event that will not decrypt: what the server holds of it",
        notes: &[
            "The event may be an id, a matrix.to link, or an id with %24 as logs have it.",
            "The client's message (\u{201c}missing field `algorithm` at line 1 column 138\u{201d}) tells what the client read.",
        ],
        example: "!ke3 $SASBBzoqjH0gk--b2LlNSPRrDChVU9z1Uku_5A-aZll in !room:example.org",
        parse: event_id::ke3,
    },
    Entry {
        name: "ke4",
        usage: "!ke4 @user:server [last 30m | since T | between A and B]",
        doc: "calls that drop: delayed events whose restarts fail or time out",
        notes: &["Name the minutes of the call: latency is told over the window."],
        example: "!ke4 @alice:example.org last 1h",
        parse: questions::ke4,
    },
    Entry {
        name: "triage",
        usage: "!triage @user:server [DEVICE] [$event] [window]",
        doc: "all four at once: which trouble is the root, which follows, what to do first",
        notes: &["Without DEVICE: the user's device in trouble, or the one seen last."],
        example: "!triage @alice:example.org last 1h",
        parse: questions::triage,
    },
    Entry {
        name: "fleet",
        usage: "!fleet [window]",
        doc: "every device in trouble now, worst first, by cause and by client",
        notes: &[
            "It says when many began within minutes: a restored database, or a client release.",
        ],
        example: "!fleet last 24h",
        parse: questions::fleet,
    },
    Entry {
        name: "report",
        usage: "!report [@user:server]",
        doc: "as a reply to a file or a pasted log of a client: what it shows, and what the server says to it",
        notes: &[
            "It reads diagnostics reports (.json), network logs (.har), console logs and rageshakes (.log, .txt), \
             also zipped; secrets are removed before anything is kept.",
            "The user is named where the file names none. A file with the caption !report does the same.",
            "Users send me such files in a direct chat, and get a receipt.",
        ],
        example: "!report @alice:example.org",
        parse: report,
    },
    Entry {
        name: "storms",
        usage: "!storms",
        doc: "storms that go on and the newest that ended: whose, since when, how sure, what is muted",
        notes: &[],
        example: "!storms",
        parse: storms::storms,
    },
    Entry {
        name: "mute",
        usage: "!mute STORM | @user:server | all [1h]",
        doc: "tell nothing of a storm, of a user's devices or of any storm for a while; counting goes on",
        notes: &[
            "STORM is its number: 7, #7 or storm 7. A user is written as everywhere else.",
            "The time is 1m to 31d: 30m, for 2h, 2d; without it an hour. Muting again sets it anew.",
            "!storms shows what is muted and until when; !unmute ends it.",
            "!mute and !unmute need a verified device, unless the config says otherwise.",
        ],
        example: "!mute #7 for 2h",
        parse: storms::mute,
    },
    Entry {
        name: "unmute",
        usage: "!unmute [STORM | @user:server | all]",
        doc: "end a mute; without a word, every mute",
        notes: &["!unmute all ends what !mute all began, and leaves other mutes as they are."],
        example: "!unmute #7",
        parse: storms::unmute,
    },
    Entry {
        name: "cases",
        usage: "!cases [@user:server]",
        doc: "the newest questions that were judged: number, when, whose, verdict, how sure",
        notes: &["How long they are kept is the config's [cases]."],
        example: "!cases @alice:example.org",
        parse: cases::cases,
    },
    Entry {
        name: "case",
        usage: "!case NUMBER [why | again | delete]",
        doc: "a judged question as it was answered then, its whole path, or the same question now",
        notes: &[
            "again asks the same now, over a window of the same length, and says first what changed since.",
            "delete takes it and its evidence out of the store for good; messages in rooms stay.",
            "delete needs a verified device, unless the config says otherwise.",
        ],
        example: "!case 17 again",
        parse: cases::case,
    },
    Entry {
        name: "capture",
        usage: "!capture [start @user:server [DEVICE] [for 30m] | mark TEXT | stop]",
        doc: "watch a call while it goes wrong: a checklist, marks, and everything in one bundle",
        notes: &[
            "Without a word: how the capture that runs stands, and what is still to be done.",
            "mark notes this moment: write what broke, as in !capture mark audio cut.",
            "It ends by stop or after its time, 30m unless said, 1m to 4h; then it judges and bundles.",
            "start and stop need a verified device, unless the config says otherwise.",
        ],
        example: "!capture start @alice:example.org ABCDEFGHIJ for 45m",
        parse: capture::capture,
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
        name: "tree",
        usage: "!tree [ke1 | ke2 | ke3 | ke4]",
        doc: "the questions in their order, and the verdicts they give",
        notes: &[],
        example: "!tree ke1",
        parse: tree,
    },
    Entry {
        name: "remedies",
        usage: "!remedies [verdict]",
        doc: "what can be done about a verdict, and what each remedy costs",
        notes: &[],
        example: "!remedies otk-recreated",
        parse: remedies,
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
    let Some((name, pieces)) = message::spoken(line) else {
        return Ok(None);
    };
    let entry = entry(&name).ok_or_else(|| unknown(&name))?;
    let command = tokens::split(&pieces).and_then(|words| (entry.parse)(&words, context));
    command.map(Some).map_err(|slip| Slip { usage: slip.usage.or(Some(entry.usage)), ..slip })
}

fn why(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    match words.first() {
        None => Ok(Command::Why),
        Some(word) => Err(Slip::new(format!(
            "!why takes no words, so I do not know what {} is for. Send it in the thread of a verdict.",
            usage_error::shown(&word.text)
        ))),
    }
}

fn report(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    match words {
        [] => Ok(Command::Report { about: None }),
        [user] => Ok(Command::Report { about: Some(ids::user_id(user, context)?) }),
        [_, extra, ..] => {
            Err(Slip::new(format!("{} is one word too many.", usage_error::shown(&extra.text))))
        }
    }
}

fn tree(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    at_most_one(words).map(Command::Tree)
}

fn remedies(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    at_most_one(words).map(Command::Remedies)
}

fn at_most_one(words: &[Word]) -> Result<Option<String>, Slip> {
    match words {
        [] => Ok(None),
        [word] => Ok(Some(word.text.to_lowercase())),
        [_, extra, ..] => {
            Err(Slip::new(format!("{} is one word too many.", usage_error::shown(&extra.text))))
        }
    }
}

#[cfg(test)]
mod tests {
    //! Messages as they arrive, and what they come to.

    use ruma::server_name;

    use super::*;

    /// 2026-11-22 is a Sunday; Berlin is at +01:00.
    const NOW: &str = "2026-11-22T13:00:00Z";

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("bundled")
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn read_at(body: &str, formatted: Option<&str>, now: &str) -> Result<Option<Command>, Slip> {
        let context = Context {
            server_name: Some(server_name!("example.org")),
            zone: &berlin(),
            now: time(now),
        };
        parse(&Line { body, formatted }, &context)
    }

    fn read(body: &str) -> Result<Option<Command>, Slip> {
        read_at(body, None, NOW)
    }

    #[track_caller]
    fn ke1_of(read: Result<Option<Command>, Slip>) -> (String, Option<String>, Span) {
        match read {
            Ok(Some(Command::Ke1(Ke1 { user, device, span }))) => {
                (user.to_string(), device.map(|id| id.to_string()), span)
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn user(body: &str) -> String {
        ke1_of(read(body)).0
    }

    #[track_caller]
    fn device(body: &str) -> Option<String> {
        ke1_of(read(body)).1
    }

    #[track_caller]
    fn window(words: &str, now: &str) -> Span {
        ke1_of(read_at(&format!("!ke1 @alice:example.org DEV {words}"), None, now)).2
    }

    #[track_caller]
    fn slip(body: &str) -> String {
        read(body).expect_err(body).to_string()
    }

    #[test]
    fn every_command_is_parsed_from_its_own_example_and_help_lists_all() {
        for entry in COMMANDS {
            let read = read(entry.example);
            assert!(matches!(read, Ok(Some(_))), "{}: {read:?}", entry.example);
            assert!(entry.example.starts_with(&format!("!{}", entry.name)));
            assert!(entry.usage.starts_with(&format!("!{}", entry.name)));
            assert!(help(None).lines.contains(&(entry.usage, entry.doc)));
            assert_eq!(help(Some(entry.name)).lines, [(entry.usage, entry.doc)]);
            assert_eq!(help(Some(entry.name)).example, Some(entry.example));
            assert!(entry.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        }
        assert_eq!(help(None).lines.len(), COMMANDS.len());
        assert_eq!(help(Some("nonsense")), help(None));
    }

    #[test]
    fn only_a_line_that_begins_with_a_mark_is_a_command() {
        for body in [
            "",
            " ",
            "hello",
            "see !ke1",
            "!",
            "!!",
            "!!!",
            "! ke1",
            "!1",
            "!?",
            "> !why",
            "> <@a:b> !why\n",
            "!opsroom:example.org",
            "!ke1abc:example.org",
            "* !why",
            "\u{feff}",
        ] {
            assert_eq!(read(body), Ok(None), "{body}");
        }
        for body in [
            "!why",
            " !why ",
            "!WHY",
            "!why?",
            "\u{feff}!why",
            "\n!why",
            "> <@a:b> !ke1\n\n!why",
            "> a\n > b\n!why",
        ] {
            assert_eq!(read(body), Ok(Some(Command::Why)), "{body}");
        }
    }

    #[test]
    fn help_and_why() {
        assert_eq!(read("!help"), Ok(Some(Command::Help(None))));
        for body in ["!help ke1", "!Help !KE1", "!help\u{a0} ke1"] {
            assert_eq!(read(body), Ok(Some(Command::Help(Some("ke1".into())))), "{body}");
        }
        assert!(slip("!help key1").contains("!ke1"));
        assert!(slip("!help ke1 why").contains("“why”"));
        assert!(slip("!why not").contains("“not”"));
    }

    #[test]
    fn an_unknown_command_gets_the_nearest() {
        for (typed, near) in [
            ("!ke @a:b C", "!ke1"),
            ("!key1", "!ke1"),
            ("!ek1", "!ke1"),
            ("!k1", "!ke1"),
            ("!hlep", "!help"),
            ("!halp", "!help"),
            ("!h", "!help"),
            ("!who", "!why"),
            ("!KE1x", "!ke1"),
        ] {
            let slip = read(typed).expect_err(typed);
            assert!(slip.says.contains(&format!("is {near}.")), "{typed}: {slip}");
            assert!(slip.usage.is_some_and(|usage| usage.starts_with(near)));
        }
        assert!(slip("!restart").ends_with("I do not know “!restart”. !help lists what I can do."));
    }

    #[test]
    fn users_however_they_are_written() {
        for body in [
            "!ke1 @alice:example.org D",
            "!KE1  @alice:example.org\u{a0}D",
            "!ke1@alice:example.org D",
            "!ke1 alice:example.org D",
            "!ke1 alice D",
            "!ke1 Alice D",
            "!ke1 @alice D",
            "!ke1 Alice:example.org D",
            "!ke1 @alice: D",
            "!ke1 \u{2068}@alice:example.org\u{2069} D",
            "!ke1 `@alice:example.org` `D`",
            "!ke1 https://matrix.to/#/@alice:example.org D",
            "!ke1 https://matrix.to/#/%40alice%3Aexample.org?via=x.org D",
            "!ke1 https://app.element.io/#/user/@alice:example.org D",
            "!ke1 matrix:u/alice:example.org?action=chat D",
            "!ke1 MATRIX:u/alice:example.org D",
            "!ke1 [Alice A.](https://matrix.to/#/@alice:example.org) D",
            "!ke1\n@alice:example.org\nD",
        ] {
            let (user, device, span) = ke1_of(read(body));
            assert_eq!(
                (user.as_str(), device.as_deref(), span),
                ("@alice:example.org", Some("D"), Span::Unsaid),
                "{body}"
            );
        }
        assert_eq!(user("!ke1 @Alice D"), "@Alice:example.org");
        assert_eq!(user("!ke1 @a:my–server.org D"), "@a:my-server.org");
        assert_eq!(user("!ke1 @a:[2001:db8::1]:8448 D"), "@a:[2001:db8::1]:8448");
        assert_eq!(user("!ke1 @bob:other.org D"), "@bob:other.org");
    }

    #[test]
    fn pills_keep_what_was_typed_around_them() {
        let pill = r#"<a href="https://matrix.to/#/@alice:example.org">Alice A.</a>"#;
        for (body, html) in [
        ("!ke1 Alice A. MY_DEVICE_1", format!("!ke1 {pill} MY<em>DEVICE</em>1")),
        ("!ke1 Alice A.: MY_DEVICE_1", format!("!ke1 {pill}: MY_DEVICE_1")),
        ("!ke1 @Alice A. MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
        ("!ke1 @alice:example.org MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
        ("!ke1 [Alice A.](https://matrix.to/#/@alice:example.org) MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
        ("!ke1 somebody MY_DEVICE_1", format!("<p>!ke1 {pill} MY_DEVICE_1</p>")),
        ("> <@bob:example.org> Alice A.\n\n!ke1 Alice A. MY_DEVICE_1",
         format!("<mx-reply><blockquote><a href='https://matrix.to/#/@bob:example.org'>Bob</a> hi</blockquote></mx-reply>!ke1 {pill} MY_DEVICE_1")),
        ("!ke1 Alice A. MY_DEVICE_1", "!ke1 <A class='x>y' HREF=https://matrix.to/#/%40alice%3Aexample.org>Alice&nbsp;A.</A> MY_DEVICE_1".into()),
        ("!ke1 Alice A. MY_DEVICE_1", "!ke1 <a href=\"matrix:u/alice:example.org\">Alice A.</a> MY_DEVICE_1".into()),
    ] {
        let (user, device, _) = ke1_of(read_at(body, Some(&html), NOW));
        assert_eq!((user.as_str(), device.as_deref()), ("@alice:example.org", Some("MY_DEVICE_1")), "{body} {html}");
    }
        let room = r#"!ke1 <a href="https://matrix.to/#/!room:example.org">room</a> D"#;
        assert_eq!(ke1_of(read_at("!ke1 room D", Some(room), NOW)).0, "@room:example.org");
        // A display name that also stands in the command's name.
        let html = r#"!ke1 <a href="https://matrix.to/#/@k:example.org">k</a> D last 30m"#;
        assert_eq!(ke1_of(read_at("!ke1 k D last 30m", Some(html), NOW)).0, "@k:example.org");
        let two = format!("!ke1 {pill} {pill}");
        assert!(read_at("!ke1 Alice A. Alice A.", Some(&two), NOW).is_err());
    }

    #[test]
    fn ids_too_long_for_an_answer_are_refused() {
        let long = "a".repeat(40_000);
        assert!(slip(&format!("!ke1 {long} D")).contains("is not a user's Matrix id"));
        assert!(slip(&format!("!ke1 a {long}")).contains("is too long for a device"));
    }

    #[test]
    fn users_that_are_none() {
        for (body, says) in [
            ("!ke1", "Whose device is it?"),
            ("!ke1 ABCDEFGHIJ", "“ABCDEFGHIJ” looks like a device."),
            ("!ke1 https://matrix.to/#/!room:example.org D", "is a link, but not to a user"),
            ("!ke1 https://example.org/x D", "is a link, but not to a user"),
            ("!ke1 @:example.org D", "“@:example.org” is not a user's Matrix id"),
            ("!ke1 @a:bad_server!? D", "is not a user's Matrix id"),
            ("!ke1 https://matrix.to/#/@a%0Ab:example.org D", "is not a user's Matrix id"),
            ("!ke1 https://matrix.to/#/@a%FF:example.org D", "is a link, but not to a user"),
            ("!ke1 \"\" D", "is not a user's Matrix id"),
            ("!ke1 @a\u{202e}b:example.org D", "“@a\\u{202e}b:example.org”"),
        ] {
            let slip = read(body).expect_err(body);
            assert!(slip.says.contains(says), "{body}: {slip}");
            assert_eq!(slip.usage, Some(COMMANDS[0].usage));
        }
        let context = Context { server_name: None, zone: &TimeZone::UTC, now: time(NOW) };
        let line = Line { body: "!ke1 alice D", formatted: None };
        assert!(parse(&line, &context).expect_err("no server").says.contains("has no server name"));
    }

    #[test]
    fn devices_may_hold_anything() {
        for (typed, wanted) in [
            ("ABCDEFGHIJ", "ABCDEFGHIJ"),
            ("Bob's", "Bob's"),
            (r#""MY DEVICE""#, "MY DEVICE"),
            ("“MY DEVICE”", "MY DEVICE"),
            ("„MY DEVICE“", "MY DEVICE"),
            ("\"MY DEVICE”", "MY DEVICE"),
            ("'MY DEVICE'", "MY DEVICE"),
            ("‘MY DEVICE’", "MY DEVICE"),
            ("'Bob's phone'", "Bob's phone"),
            (r#""say ”hi” now""#, "say ”hi” now"),
            (r#""a \"b\" c""#, r#"a "b" c"#),
            (r#""a\\""#, r"a\"),
            (r#""a\n""#, r"a\n"),
            (r"a\b", r"a\b"),
            ("\"  padded \"", "  padded "),
            ("\"\u{a0}x\u{200b}\"", "\u{a0}x\u{200b}"),
            ("io.element:📱x", "io.element:📱x"),
            ("👩‍👩‍👧", "👩‍👩‍👧"),
            ("\"last\"", "last"),
            ("'30m'", "30m"),
            ("'since 14:30'", "since 14:30"),
            ("--x", "--x"),
            ("a–b", "a–b"),
        ] {
            assert_eq!(device(&format!("!ke1 alice {typed}")).as_deref(), Some(wanted), "{typed}");
            let with_window = format!("!ke1 alice {typed} last 30m");
            assert_eq!(
                ke1_of(read(&with_window)).2,
                Span::Last(Duration::from_secs(1800)),
                "{typed}"
            );
        }
        assert_eq!(device("!ke1 alice"), None);
        assert_eq!(device("!ke1 alice last 30m"), None);
        for (body, says) in [
            ("!ke1 alice \"MY DEVICE", "“\"MY DEVICE” is not closed"),
            ("!ke1 alice \"\"", "quotes are empty"),
            ("!ke1 alice 30m", "Is “30m” a window or a device?"),
            ("!ke1 alice MY DEVICE", "what “DEVICE” means"),
            ("!ke1 alice last", "put it in quotes"),
            ("!ke1 alice D \"last\" 30m", "what “last 30m” means"),
        ] {
            assert!(slip(body).contains(says), "{body}: {}", slip(body));
        }
    }

    #[test]
    fn windows_in_the_rooms_zone() {
        let since = |text: &str| Span::Since(time(text));
        let between = |from: &str, to: &str| Span::Between(time(from), time(to));
        for (words, wanted) in [
            ("last 1h30m", Span::Last(Duration::from_secs(5_400))),
            ("LAST 90 s", Span::Last(Duration::from_secs(90))),
            ("—last 1w", Span::Last(Duration::from_secs(604_800))),
            ("2h", Span::Last(Duration::from_secs(7_200))),
            ("since 2026-11-22T10:00:00Z", since("2026-11-22T10:00:00Z")),
            ("since 2026-11-22t10:00:00.5+05:30", since("2026-11-22T04:30:00.5Z")),
            ("since 2026–11–22T10:00:00−01:00", since("2026-11-22T11:00:00Z")),
            ("since 2026-11-22 10:00:00 +01:00", since("2026-11-22T09:00:00Z")),
            ("since 2026-11-20", since("2026-11-19T23:00:00Z")),
            ("since 13:30", since("2026-11-22T12:30:00Z")),
            ("since 9:05", since("2026-11-22T08:05:00Z")),
            ("since 1:30pm", since("2026-11-22T12:30:00Z")),
            ("since 12 AM", since("2026-11-21T23:00:00Z")),
            ("since 14:30", since("2026-11-21T13:30:00Z")),
            ("since 12:30Z", since("2026-11-22T12:30:00Z")),
            ("since 12:30 utc", since("2026-11-22T12:30:00Z")),
            ("since yesterday 14:30", since("2026-11-21T13:30:00Z")),
            ("since yesterday at 14:30", since("2026-11-21T13:30:00Z")),
            ("since yesterday", since("2026-11-20T23:00:00Z")),
            ("from today", since("2026-11-21T23:00:00Z")),
            ("since 2026-11-22 09:15", since("2026-11-22T08:15:00Z")),
            ("since 2026-11-22T09:15:10", since("2026-11-22T08:15:10Z")),
            ("since 2026-11-22 09:15:10,250", since("2026-11-22T08:15:10.25Z")),
            ("since \"2026-11-22 09:15\"", since("2026-11-22T08:15:00Z")),
            ("between 09:00 and 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
            ("from 09:00 to now", between("2026-11-22T08:00:00Z", "2026-11-22T13:00:00Z")),
            ("since 09:00 until 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
            ("from 09:00 – 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
            (
                "between yesterday 09:00 and 10:00",
                between("2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"),
            ),
            ("between 23:30Z and 23:50Z", between("2026-11-21T23:30:00Z", "2026-11-21T23:50:00Z")),
            ("between 23:50 and 00:10", between("2026-11-21T22:50:00Z", "2026-11-21T23:10:00Z")),
            ("between 16:00 and 17:00", between("2026-11-21T15:00:00Z", "2026-11-21T16:00:00Z")),
            (
                "between 2026-11-01 and 2026-11-03",
                between("2026-10-31T23:00:00Z", "2026-11-02T23:00:00Z"),
            ),
            (
                "between 2026-11-01T00:00Z and 2026-11-01T01:00Z",
                between("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"),
            ),
        ] {
            assert_eq!(window(words, NOW), wanted, "{words}");
        }
    }

    #[test]
    fn windows_that_cannot_be_looked_at() {
        for (words, says) in [
            ("last", "“last” alone is no window"),
            ("last 30", "“30” as a length of time"),
            ("last 0m", "no length"),
            ("last 32d", "longer than 31 days"),
            ("since", "“since” alone is no window"),
            ("since now", "not past yet"),
            ("since Teatime", "“Teatime” as a time"),
            ("since 25:00", "“25:00” as a time"),
            ("since 2026-02-30", "as a time"),
            ("since 22/11/2026", "as a time"),
            ("since 2026-11-22 09:15 foo", "as a time"),
            ("since 2026-11-23", "not past yet"),
            ("since 2026-10-01", "longer than 31 days"),
            ("between 09:00", "needs an “and”"),
            ("between 09:00 and", "A time is missing"),
            ("between and 09:00", "A time is missing"),
            ("between 13:00 and 15:00", "not past yet"),
            ("between 10:00 and 09:00", "is not after"),
            ("between yesterday 13:30 and 13:00", "is not after"),
            ("between 2026-09-01 and 2026-11-01", "longer than 31 days"),
        ] {
            let body = format!("!ke1 alice D {words}");
            assert!(slip(&body).contains(says), "{words}: {}", slip(&body));
        }
    }

    #[test]
    fn a_changing_clock_is_asked_about() {
        let gap = read_at("!ke1 alice D since 2026-03-29 02:30", None, "2026-03-30T10:00:00Z");
        assert!(
            gap.expect_err("gap")
                .says
                .contains("There was no 2026-03-29 02:30:00 in Europe/Berlin")
        );
        let fold =
            read_at("!ke1 alice D since 02:30", None, "2026-10-25T10:00:00Z").expect_err("fold");
        assert!(
            fold.says.contains("2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
            "{fold}"
        );
        let answered = "!ke1 alice D since 2026-10-25T02:30:00+02:00";
        assert_eq!(
            ke1_of(read_at(answered, None, "2026-10-25T10:00:00Z")).2,
            Span::Since(time("2026-10-25T00:30:00Z"))
        );
        // The day of the change is 25 hours long.
        assert_eq!(
            window("since 2026-10-25", "2026-10-25T10:00:00Z"),
            Span::Since(time("2026-10-24T22:00:00Z"))
        );
    }

    #[test]
    fn a_foreign_user_is_sent_home() {
        let command = read("!ke1 @bob:other.org D").expect("parses").expect("a command");
        let slip = foreign_user(&command, server_name!("example.org")).expect("foreign");
        assert!(slip.says.contains("“@bob:other.org” lives on “other.org”"), "{slip}");
        assert_eq!(foreign_user(&command, server_name!("other.org")), None);
        assert_eq!(foreign_user(&Command::Why, server_name!("example.org")), None);
    }

    #[test]
    fn a_slip_quotes_what_was_typed_but_safely() {
        let long = "x".repeat(5000);
        let says = slip(&format!("!ke1 alice D {long}"));
        assert!(says.contains(&format!("“{}…”", "x".repeat(80))), "{says}");
        let says = slip("!ke1 alice D since <b>@room</b>\u{202e}\u{7}x");
        assert!(says.contains("“<b>@room</b>\\u{202e}\\u{7}x”"), "{says}");
        let said = slip(&format!("!{}", "é".repeat(3000)));
        assert!(said.chars().count() < 200, "{said}");
    }

    /// Hostile text, glued from pieces that mean something to some reader. A fixed seed: a failure repeats.
    #[test]
    fn no_message_is_too_strange() {
        const PIECES: &[&str] = &[
            "!ke1",
            "!help",
            "!",
            " ",
            "\n",
            "> ",
            "@",
            ":",
            "alice",
            "@alice:example.org",
            "\"",
            "'",
            "“",
            "”",
            "`",
            "\\",
            "last",
            "since",
            "between",
            "and",
            "30m",
            "14:30",
            "2026-11-22",
            "T",
            "Z",
            "+05:30",
            "99999999999999999999",
            "-",
            "–",
            "w",
            "é",
            "👩‍👩‍👧",
            "\u{202e}",
            "\u{a0}",
            "\u{0}",
            "\u{feff}",
            "%4",
            "%",
            "%+1",
            "https://matrix.to/#/",
            "matrix:u/",
            "[",
            "](",
            ")",
            "<",
            ">",
            "</a>",
            "<a href=",
            "<a href='https://matrix.to/#/@a:b'>",
            "<mx-reply>",
            "</mx-reply>",
            "&",
            "&amp;",
            "&#",
            "&#x110000;",
            "&#xd800;",
            ";",
            "?",
            "=",
            "0",
            "-009999",
            "-01-01",
            "9999-12-31",
            "am",
            "pm",
            "yesterday",
            "ß",
            "İ",
        ];
        let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut next = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % u64::try_from(below).expect("small")).expect("small")
        };
        for round in 0..30_000 {
            let mut text = |start: &str| {
                let mut text = start.to_owned();
                for _ in 0..next(14) {
                    text.push_str(PIECES[next(PIECES.len())]);
                }
                text
            };
            let body = text(if round % 2 == 0 { "!ke1 alice D " } else { "!ke1 " });
            let html = text("!ke1 ");
            let said = read_at(&body, Some(&html), NOW);
            if let Err(slip) = said {
                assert!(
                    !slip.says.contains(super::usage_error::is_invisible),
                    "{body:?}: {slip:?}"
                );
            }
            let _ = read_at(&text(""), None, "-009999-01-02T01:59:59Z");
            let _ = read_at(&text("!ke1 alice D since "), None, "9999-12-30T22:00:00Z");
        }
    }

    #[test]
    fn a_long_hostile_message_takes_no_long_time() {
        for piece in [
            "<",
            "<a ",
            "](",
            "[](",
            "'",
            "\"a ",
            "> ",
            "&",
            "%",
            "\\",
            "<a href='matrix:u/a:b'>",
            "!",
            ": ",
            "<blockquote>",
        ] {
            let long = format!("!ke1 {}", piece.repeat(65_536 / piece.len()));
            let _ = read_at(&long, Some(&long), NOW);
        }
    }
}
