//! Lists, shows or deletes cases while the bot runs. It takes no lock, queries no source, and creates no
//! ledger.
//!
//! `kestrel triage` stores no case: its result belongs to the terminal, and `--save` keeps it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel::flow;
use kestrel::store::{Kept, Ledger};
use kestrel_core::command::{self, CaseAction, Context, UsageError};
use kestrel_core::render::View;
use kestrel_core::render::case;
use serde_json::{Value, json};

use super::configured::Configured;
use super::list_format::ListFormat;
use super::output::{say, show};
use super::slip::slip;

/// Cases that are listed, as in a room.
const LISTED: usize = 20;

/// The list of cases.
#[derive(Debug, Args)]
pub(crate) struct Cases {
    /// Only cases about this user: a full Matrix ID, or just the name on the config's server
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    configured: Configured,
    /// json prints one object
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    format: ListFormat,
}

/// One case.
#[derive(Debug, Args)]
pub(crate) struct OneCase {
    /// Its number in `kestrel cases`
    number: String,
    /// why: show every step and query; delete: delete it and its evidence for good
    look: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

/// The newest cases, of one user or of all.
pub(crate) fn cases(flags: &Cases) -> Result<ExitCode> {
    let config = Config::load(&flags.configured.config)?;
    let text = flags.user.as_deref().unwrap_or_default();
    let user = command::cases_words(text, &context(&config)).map_err(without_usage)?;
    let there = Ledger::is_in(&config.store)?;
    let mut cases = Vec::new();
    if there {
        cases = Ledger::open(&config.store)?.cases(user.as_deref(), LISTED)?;
    }
    let view = View::in_zone(config.limits.timezone);
    let lines: Vec<_> = cases.iter().map(|kept| flow::case_line(kept, None)).collect();
    match (flags.format, there) {
        (ListFormat::Json, _) => {
            let cases: Vec<_> = cases.iter().map(object).collect();
            say(&format!("{:#}\n", json!({ "schema": 1, "cases": cases })))?;
        }
        (ListFormat::Text, true) => {
            show(&case::cases(&lines, user.as_ref().map(|user| user.as_str()), &view))?;
        }
        (ListFormat::Text, false) => say(&format!("{}\n", no_ledger(&config.store)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a case as it was answered, or every step of it, or deletes it.
pub(crate) fn case(flags: &OneCase) -> Result<ExitCode> {
    let config = Config::load(&flags.configured.config)?;
    let text = format!("{} {}", flags.number, flags.look.as_deref().unwrap_or_default());
    let (number, action) = command::case_words(&text).map_err(without_usage)?;
    if action == CaseAction::Again {
        let says = "`again` works only in a room. On a terminal, use `kestrel triage`.";
        return Err(slip(says.into()).into());
    }
    if !Ledger::is_in(&config.store)? {
        return Err(slip(no_ledger(&config.store)).into());
    }
    let ledger = Ledger::open(&config.store)?;
    let none = || slip(format!("There is no case {number}. `kestrel cases` lists the newest."));
    if action == CaseAction::Delete {
        if !ledger.forget_case(number)? {
            return Err(none().into());
        }
        say(&format!("Case {number} and its evidence are deleted. Messages in the room stay.\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (kept, evidence) = ledger.case(number)?.ok_or_else(none)?;
    let judgement = flow::judge(&evidence);
    let view = View::in_zone(config.limits.timezone);
    show(&match action {
        CaseAction::Why => flow::why(&evidence, &judgement, &view),
        _ => case::kept(
            &flow::case_line(&kept, None),
            flow::page(&evidence, &judgement, &view),
            &view,
        ),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn no_ledger(store: &Path) -> String {
    let store = store.display();
    format!("No cases yet: there is no ledger in {store}. `kestrel run` creates it.")
}

fn context(config: &Config) -> Context<'_> {
    let server_name = config.server.name.as_deref();
    Context { server_name, zone: &config.limits.timezone, now: Timestamp::now() }
}

/// The room's usage line does not fit a terminal.
fn without_usage(error: UsageError) -> UsageError {
    UsageError { usage: None, ..error }
}

fn object(kept: &Kept) -> Value {
    json!({
        "case": kept.number,
        "at": kept.at,
        "symptom": kept.symptom,
        "subject": kept.about,
        "verdict": kept.verdict,
        "certainty": kept.certainty,
        "room": kept.room,
        "thread": kept.thread,
        "asker": kept.asker,
    })
}
