//! Lists storms and manages mutes while the bot runs: the bot reads mutes before each message. It takes no
//! lock, queries no source, and creates no ledger.

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel::flow::storm_list::{listed, thread_link, was_suppressed};
use kestrel::store::{Ledger, StoredStorm};
use kestrel_core::command::{self, Context, MuteTarget, UsageError};
use kestrel_core::render::storm;
use kestrel_core::render::{Page, View};
use kestrel_core::storm::{Confirmation, Mute, Muted, Whose};
use serde_json::{Value, json};

use super::configured::Configured;
use super::list_format::ListFormat;
use super::output::{say, show};
use super::slip::slip;

/// How many storms are read, and how many ended ones are shown.
const READ: usize = 1000;
const ENDED: usize = 20;

/// The list of storms.
#[derive(Debug, Args)]
pub(crate) struct Storms {
    #[command(flatten)]
    configured: Configured,
    /// json prints one object
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    format: ListFormat,
}

/// What to mute, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Muting {
    /// A storm's number, a user (a full Matrix ID, or just the name on the config's server), or `all`
    target: String,
    /// A minute to 31 days: 30m, 2h, 2d [default: 1h]
    time: Vec<String>,
    #[command(flatten)]
    configured: Configured,
}

/// Which mute to remove.
#[derive(Debug, Args)]
pub(crate) struct Unmuting {
    /// A storm, a user or `all`, as given to `mute`; without it, all mutes are removed
    target: Vec<String>,
    #[command(flatten)]
    configured: Configured,
}

/// Lists ongoing storms first, then the newest that ended.
pub(crate) fn storms(flags: &Storms) -> Result<ExitCode> {
    let config = Config::load(&flags.configured.config)?;
    let mut storms = Vec::new();
    let mut mutes = Vec::new();
    let there = Ledger::is_in(&config.store)?;
    if there {
        let ledger = Ledger::open(&config.store)?;
        storms = ledger.storms(READ)?;
        mutes = ledger.mutes(Timestamp::now())?;
    }
    if !config.limits.show_addresses {
        storms.iter_mut().for_each(|known| known.event.hide_address());
    }
    let (going_on, mut ended): (Vec<_>, Vec<_>) =
        storms.into_iter().partition(|known| known.ended.is_none());
    ended.truncate(ENDED);
    let list = List { going_on, ended, mutes };
    match (flags.format, there) {
        (ListFormat::Json, _) => say(&format!("{:#}\n", list.json()))?,
        (ListFormat::Text, true) => show(&list.page(&View::in_zone(config.limits.timezone)))?,
        (ListFormat::Text, false) => say(&format!("{}\n", no_ledger(&config.store)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds or replaces a mute.
pub(crate) fn mute(flags: &Muting) -> Result<ExitCode> {
    let (config, ledger) = beside(&flags.configured)?;
    let now = Timestamp::now();
    let text = format!("{} {}", flags.target, flags.time.join(" "));
    let (target, length) =
        command::mute_words(&text, &context(&config, now)).map_err(without_usage)?;
    if let MuteTarget::Storm(number) = target
        && ledger.storm(number)?.is_none()
    {
        let says = format!("There is no storm {number}. `kestrel storms` lists them.");
        return Err(slip(says).into());
    }
    let what = muted(target);
    let until = now.checked_add(length)?;
    ledger.mute(&Mute { what: what.clone(), until, by: asker() })?;
    let view = View::in_zone(config.limits.timezone);
    say(&format!("{} muted until {}.\n", is(&what), view.moment(until)))?;
    Ok(ExitCode::SUCCESS)
}

/// Removes one mute, or all.
pub(crate) fn unmute(flags: &Unmuting) -> Result<ExitCode> {
    let (config, ledger) = beside(&flags.configured)?;
    let context = context(&config, Timestamp::now());
    let target = command::unmute_words(&flags.target.join(" "), &context).map_err(without_usage)?;
    let said = match target.map(muted) {
        None => match ledger.unmute_everything()? {
            0 => "Nothing was muted.".to_owned(),
            1 => "One mute ended.".to_owned(),
            count => format!("{count} mutes ended."),
        },
        Some(what) if ledger.unmute(&what)? => format!("{} no longer muted.", is(&what)),
        Some(what) => format!("{}: not muted.", subject(&what)),
    };
    say(&format!("{said}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn beside(configured: &Configured) -> Result<(Config, Ledger)> {
    let config = Config::load(&configured.config)?;
    if !Ledger::is_in(&config.store)? {
        return Err(slip(no_ledger(&config.store)).into());
    }
    let ledger = Ledger::open(&config.store)?;
    Ok((config, ledger))
}

fn no_ledger(store: &Path) -> String {
    let store = store.display();
    format!("No storms yet: there is no ledger in {store}. `kestrel run` creates it.")
}

fn context(config: &Config, now: Timestamp) -> Context<'_> {
    let server_name = config.server.name.as_deref();
    Context { server_name, zone: &config.limits.timezone, now }
}

/// The room's usage line does not fit a terminal.
fn without_usage(error: UsageError) -> UsageError {
    UsageError { usage: None, ..error }
}

/// The user of the terminal.
fn asker() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    match name {
        Ok(name) if !name.is_empty() => format!("{name} on a terminal"),
        _ => "someone on a terminal".to_owned(),
    }
}

fn muted(target: MuteTarget) -> Muted {
    match target {
        MuteTarget::Storm(number) => Muted::Storm(number),
        MuteTarget::User(user) => Muted::User(user),
        MuteTarget::All => Muted::All,
    }
}

fn subject(what: &Muted) -> String {
    match what {
        Muted::Storm(number) => format!("Storm {number}"),
        Muted::User(user) => shown(user.as_str()),
        Muted::All => "All storms".to_owned(),
    }
}

fn is(what: &Muted) -> String {
    let verb = if *what == Muted::All { "are" } else { "is" };
    format!("{} {verb}", subject(what))
}

/// Text from clients must not control the screen or reverse a line.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\'' | '"' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// What is listed.
struct List {
    going_on: Vec<StoredStorm>,
    ended: Vec<StoredStorm>,
    mutes: Vec<Mute>,
}

impl List {
    /// The same list as in a room, with every ongoing storm.
    fn page(&self, view: &View) -> Page {
        let links: Vec<_> = self.going_on.iter().chain(&self.ended).map(thread_link).collect();
        let (going_links, ended_links) = links.split_at(self.going_on.len());
        let mut going_on = Vec::new();
        let mut ended = Vec::new();
        let mut suppressed = Vec::new();
        for (known, link) in self.going_on.iter().zip(going_links) {
            let list = if was_suppressed(known) { &mut suppressed } else { &mut going_on };
            list.push(listed(known, link.as_deref()));
        }
        for (known, link) in self.ended.iter().zip(ended_links) {
            let list = if was_suppressed(known) { &mut suppressed } else { &mut ended };
            list.push(listed(known, link.as_deref()));
        }
        going_on.sort_by_key(|storm| Reverse((storm.event.devices, storm.event.count)));
        let mut page = storm::list_at_most(READ, &going_on, &ended, &self.mutes, view);
        page.append(storm::dropped(&suppressed, view));
        page
    }

    /// The longest of the mutes that cover the storm.
    fn mute_of(&self, known: &StoredStorm) -> Option<&Mute> {
        let covers = |mute: &&Mute| mute.what.covers(&known.event);
        self.mutes.iter().filter(covers).max_by_key(|mute| mute.until)
    }

    fn json(&self) -> Value {
        let storms: Vec<_> =
            self.going_on.iter().chain(&self.ended).map(|known| self.object(known)).collect();
        let mutes: Vec<_> = self.mutes.iter().map(mute_object).collect();
        json!({ "schema": 1, "storms": storms, "mutes": mutes })
    }

    fn object(&self, known: &StoredStorm) -> Value {
        let event = &known.event;
        let (user, device, address) = match &event.whose {
            Whose::Device { user, device } => (Some(user), Some(device), None),
            Whose::Address(address) => (None, None, Some(address)),
            Whose::Everybody | Whose::Server => (None, None, None),
        };
        let (sure, because) = match &known.sure {
            Some(Confirmation::Confirmed) => (Some("confirmed"), None),
            Some(Confirmation::Unconfirmed(why)) => (Some("unconfirmed"), Some(why)),
            Some(Confirmation::Contradicted(why)) => (Some("contradicted"), Some(why)),
            None => (None, None),
        };
        json!({
            "storm": event.storm,
            "kind": event.kind,
            "user": user,
            "device": device,
            "address": address,
            "devices": event.devices,
            "count": event.count,
            "first": event.first,
            "last": event.last,
            "started": known.started,
            "ended": known.ended,
            "verdict": known.verdict,
            "sure": sure,
            "because": because,
            "room": known.root.as_ref().map(|(room, _)| room),
            "root": known.root.as_ref().map(|(_, root)| root),
            "muted_until": self.mute_of(known).map(|mute| mute.until),
        })
    }
}

fn mute_object(mute: &Mute) -> Value {
    let (what, storm, user) = match &mute.what {
        Muted::Storm(number) => ("storm", Some(number), None),
        Muted::User(user) => ("user", None, Some(user)),
        Muted::All => ("all", None, None),
    };
    json!({ "what": what, "storm": storm, "user": user, "until": mute.until, "by": mute.by })
}
