//! The table of commands: how each is written, what it does, an example, and what reads its words. `!help`, the
//! usage line of an error and the parser all come from it.

use super::capture::capture;
use super::cases::{case, cases};
use super::commands::{Command, CommandName};
use super::context::Context;
use super::ids::user_id;
use super::questions::{fleet, ke1, ke2, ke3, ke4, triage};
use super::storms::{mute, unmute};
use super::tokens::Word;
use super::usage_error::{UsageError, extra_word, in_quotes};
use crate::evidence::Symptom;

/// One command's definition, documentation and parser.
#[derive(Debug)]
pub struct Row {
    pub name: CommandName,
    /// The command's first word: without the `!`, in lower case.
    pub word: &'static str,
    pub usage: &'static str,
    /// One line for the list of all commands.
    pub doc: &'static str,
    /// What `!help NAME` adds.
    pub notes: &'static [&'static str],
    /// A line that works without a change.
    pub example: &'static str,
    pub(super) parse: fn(&[Word], &Context<'_>) -> Result<Command, UsageError>,
}

/// Every command there is, in the order of `CommandName`.
pub const COMMANDS: [Row; CommandName::COUNT] = [
    Row {
        name: CommandName::Ke1,
        word: "ke1",
        usage: "!ke1 @user:server DEVICE [last 30m | since T | between A and B]",
        doc: "one-time key conflicts of one device: what is wrong, how certain, how to fix it",
        notes: &[
            "Without DEVICE, Kestrel lists the user's devices, those with problems first.",
            "The user can be a mention, a matrix.to link, or a bare name on this server.",
            "Quote a device ID that has spaces or reads like a time: \"MY PHONE\".",
            "A window is at most 31 days long: last 30m, last 1h30m, last 3d.",
            "Times: 14:30, yesterday 14:30, 2026-11-22 14:30, 2026-11-22 or 2026-11-22T14:30:00Z.",
        ],
        example: "!ke1 @alice:example.org ABCDEFGHIJ last 30m",
        parse: |words, context| ke1(words, context).map(Command::Ask),
    },
    Row {
        name: CommandName::Ke2,
        word: "ke2",
        usage: "!ke2 @user:server DEVICE [@sender:server] [last 30m | live 60s]",
        doc: "call media keys that do not reach a device, or do not decrypt on it",
        notes: &[
            "live 60s watches the device's inbox during a call, then gives a verdict. The maximum is 5 minutes, one watch \
             at a time.",
            "With a sender, only that user's messages count.",
            "An empty inbox does not mean that nothing was sent: an online device fetches its messages at once.",
        ],
        example: "!ke2 @alice:example.org ABCDEFGHIJ live 60s",
        parse: |words, context| ke2(words, context).map(Command::Ask),
    },
    Row {
        name: CommandName::Ke3,
        word: "ke3",
        usage: "!ke3 $event [in !room] [the client's error message]",
        doc: "an event that does not decrypt: what the server stores for it",
        notes: &[
            "The event can be an event ID, a matrix.to link, or an ID with %24 as logs show it.",
            "The client's message (\u{201c}missing field `algorithm` at line 1 column 138\u{201d}) shows what the \
             client read.",
        ],
        example: "!ke3 $SASBBzoqjH0gk--b2LlNSPRrDChVU9z1Uku_5A-aZll in !room:example.org",
        parse: |words, _| ke3(words).map(Command::Ask),
    },
    Row {
        name: CommandName::Ke4,
        word: "ke4",
        usage: "!ke4 @user:server [last 30m | since T | between A and B]",
        doc: "calls that drop: delayed events whose restarts fail or time out",
        notes: &["Use the minutes of the call as the window: latency is measured over it."],
        example: "!ke4 @alice:example.org last 1h",
        parse: |words, context| ke4(words, context).map(Command::Ask),
    },
    Row {
        name: CommandName::Triage,
        word: "triage",
        usage: "!triage @user:server [DEVICE] [$event] [window]",
        doc: "all four checks at once: the root cause, what follows from it, what to do first",
        notes: &[
            "Without DEVICE, Kestrel checks the user's device that has a problem, or the one seen last.",
        ],
        example: "!triage @alice:example.org last 1h",
        parse: |words, context| triage(words, context).map(Command::Ask),
    },
    Row {
        name: CommandName::Fleet,
        word: "fleet",
        usage: "!fleet [window]",
        doc: "all devices with problems now, worst first, by cause and by client",
        notes: &[
            "It also reports when many problems started within minutes, as after a database restore or a client release.",
        ],
        example: "!fleet last 24h",
        parse: |words, context| fleet(words, context).map(Command::Ask),
    },
    Row {
        name: CommandName::Report,
        word: "report",
        usage: "!report [@user:server]",
        doc: "as a reply to a client's file or pasted log: what it shows, and what the server shows for the same \
              time",
        notes: &[
            "It reads diagnostics reports (.json), network logs (.har), console logs and rageshakes (.log, .txt), \
             also zipped. Secrets are removed before anything is stored.",
            "Name the user if the file names none. A file with the caption !report works the same way.",
            "Users can send these files to Kestrel in a direct chat. They get a receipt.",
        ],
        example: "!report @alice:example.org",
        parse: report,
    },
    Row {
        name: CommandName::Storms,
        word: "storms",
        usage: "!storms",
        doc: "ongoing storms and the latest resolved ones: who, since when, certainty, mutes",
        notes: &[],
        example: "!storms",
        parse: |words, _| no_words(words, "").map(|()| Command::Storms),
    },
    Row {
        name: CommandName::Mute,
        word: "mute",
        usage: "!mute STORM | @user:server | all [1h]",
        doc: "mute alerts about a storm, a user's devices or every storm for a while; counting continues",
        notes: &[
            "STORM is its number: 7, #7 or storm 7. The user is written as in the other commands.",
            "The time is 1m to 31d: 30m, for 2h, 2d. The default is 1h. A new mute replaces the old one.",
            "!storms shows what is muted and until when. !unmute ends a mute.",
            "!mute and !unmute need a verified device, unless the config says otherwise.",
        ],
        example: "!mute #7 for 2h",
        parse: |words, context| {
            let (target, length) = mute(words, context)?;
            Ok(Command::Mute { target, length })
        },
    },
    Row {
        name: CommandName::Unmute,
        word: "unmute",
        usage: "!unmute [STORM | @user:server | all]",
        doc: "end a mute; without a name, end every mute",
        notes: &["!unmute all ends what !mute all started. Other mutes stay as they are."],
        example: "!unmute #7",
        parse: |words, context| unmute(words, context).map(Command::Unmute),
    },
    Row {
        name: CommandName::Cases,
        word: "cases",
        usage: "!cases [@user:server]",
        doc: "the newest cases (questions with a verdict): number, time, user, verdict, certainty",
        notes: &["[cases] in the config sets how long cases are stored."],
        example: "!cases @alice:example.org",
        parse: |words, context| cases(words, context).map(Command::Cases),
    },
    Row {
        name: CommandName::Case,
        word: "case",
        usage: "!case NUMBER [why | again | delete]",
        doc: "one case: its answer at that time, its whole path, or the same question asked again now",
        notes: &[
            "again asks the same question now, over a window of the same length, and says first what changed.",
            "delete removes the case and its evidence from the store for good. Messages in rooms stay.",
            "delete needs a verified device, unless the config says otherwise.",
        ],
        example: "!case 17 again",
        parse: |words, _| {
            let (number, action) = case(words)?;
            Ok(Command::Case { number, action })
        },
    },
    Row {
        name: CommandName::Capture,
        word: "capture",
        usage: "!capture [start @user:server [DEVICE] [for 30m] | mark TEXT | stop]",
        doc: "record a call while it fails: a checklist, marks, and everything in one bundle",
        notes: &[
            "!capture alone shows the running capture and what is still to do.",
            "mark notes this moment: write what broke, as in !capture mark audio cut.",
            "A capture ends with stop or after its time: 1m to 4h, 30m by default. Then Kestrel gives a verdict \
             and a bundle.",
            "start and stop need a verified device, unless the config says otherwise.",
        ],
        example: "!capture start @alice:example.org ABCDEFGHIJ for 45m",
        parse: |words, context| capture(words, context).map(Command::Capture),
    },
    Row {
        name: CommandName::Why,
        word: "why",
        usage: "!why",
        doc: "in the thread of a verdict: every question, its answer, and the query that shows it",
        notes: &[],
        example: "!why",
        parse: |words, _| {
            no_words(words, " Send !why alone, in the thread of a verdict.").map(|()| Command::Why)
        },
    },
    Row {
        name: CommandName::Tree,
        word: "tree",
        usage: "!tree [ke1 | ke2 | ke3 | ke4]",
        doc: "the questions of each check in order, and the verdicts they lead to",
        notes: &[],
        example: "!tree ke1",
        parse: tree,
    },
    Row {
        name: CommandName::Remedies,
        word: "remedies",
        usage: "!remedies [verdict]",
        doc: "what can be done about a verdict, and the impact of each remedy",
        notes: &[],
        example: "!remedies otk-recreated",
        parse: |words, _| {
            let verdict = at_most_one(words)?;
            Ok(Command::Remedies(verdict.map(|word| word.text.to_lowercase())))
        },
    },
    Row {
        name: CommandName::Help,
        word: "help",
        usage: "!help [command]",
        doc: "this list, or the details of one command",
        notes: &[],
        example: "!help ke1",
        parse: help,
    },
];

// A name without a row, or a row out of place, does not compile.
const _: () = {
    let mut at = 0;
    while at < COMMANDS.len() {
        assert!(COMMANDS[at].name as usize == at, "the rows are not in the order of the names");
        at += 1;
    }
};

/// The row of a name.
pub(super) fn row(name: CommandName) -> &'static Row {
    const ROWS: &[Row; CommandName::COUNT] = &COMMANDS;
    &ROWS[name as usize]
}

/// The command that is written so, with or without its `!`.
pub(super) fn find(word: &str) -> Option<&'static Row> {
    let word = word.trim_start_matches('!');
    rows().find(|row| row.word.eq_ignore_ascii_case(word))
}

/// The command that was probably meant. The names are short, so one typing error (two neighbours swapped count
/// as one) is near and two are a different word.
pub(super) fn nearest(word: &str) -> Option<&'static Row> {
    const LONGEST: usize = 20;
    let word = word.trim_start_matches('!').to_lowercase();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    rows()
        .find(|row| row.word.starts_with(&word))
        .or_else(|| rows().find(|row| strsim::damerau_levenshtein(&word, row.word) <= 1))
}

/// For a word that is no command.
pub(super) fn unknown(word: &str) -> UsageError {
    let typed = in_quotes(&format!("!{}", word.trim_start_matches('!')));
    UsageError::new(match nearest(word) {
        Some(near) => format!("There is no command {typed}. Did you mean !{}?", near.word),
        None => format!("There is no command {typed}. !help lists the commands."),
    })
}

fn rows() -> impl Iterator<Item = &'static Row> {
    const ROWS: &[Row; CommandName::COUNT] = &COMMANDS;
    ROWS.iter()
}

/// Reads `[@user:server]`.
fn report(words: &[Word], context: &Context<'_>) -> Result<Command, UsageError> {
    let user = at_most_one(words)?;
    let about = user.map(|user| user_id(user, context)).transpose()?;
    Ok(Command::Report { about })
}

/// Reads `[ke1 | ke2 | ke3 | ke4]`.
fn tree(words: &[Word], _: &Context<'_>) -> Result<Command, UsageError> {
    let Some(word) = at_most_one(words)? else {
        return Ok(Command::Tree(None));
    };
    let typed = word.text.to_lowercase();
    match Symptom::BRANCHES.into_iter().find(|branch| branch.name() == typed) {
        Some(branch) => Ok(Command::Tree(Some(branch))),
        None => Err(UsageError::new(format!(
            "There is no tree {}. The trees are ke1, ke2, ke3 and ke4.",
            in_quotes(&word.text)
        ))),
    }
}

/// Reads `[command]`.
fn help(words: &[Word], _: &Context<'_>) -> Result<Command, UsageError> {
    let Some(word) = at_most_one(words)? else {
        return Ok(Command::Help(None));
    };
    let row = find(&word.text).ok_or_else(|| unknown(&word.text))?;
    Ok(Command::Help(Some(row.name)))
}

fn at_most_one(words: &[Word]) -> Result<Option<&Word>, UsageError> {
    match words {
        [] => Ok(None),
        [word] => Ok(Some(word)),
        [_, extra, ..] => Err(extra_word(&extra.text, "")),
    }
}

fn no_words(words: &[Word], advice: &str) -> Result<(), UsageError> {
    match words.first() {
        None => Ok(()),
        Some(extra) => Err(extra_word(&extra.text, advice)),
    }
}
