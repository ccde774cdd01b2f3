//! The ledger beside a running bot → the list of storms, and mutes that hold at once: the bot reads them
//! anew before each message. Takes no lock, asks no source, and makes no ledger where there is none.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel::store::{Known, Ledger};
use kestrel_core::command::{self, Context, MuteTarget};
use kestrel_core::evidence::shortened;
use kestrel_core::render::View;
use kestrel_core::storm::{Mute, Muted, Sure, Whose};
use serde_json::{Value, json};

use super::watch::{Form, kind};
use super::{say, slip};
use crate::Configured;

/// How many storms are read, and how many of those that ended are shown.
const READ: usize = 1000;
const ENDED: usize = 20;

/// The list of storms.
#[derive(Debug, Args)]
pub(crate) struct Storms {
    #[command(flatten)]
    configured: Configured,
    /// json prints one object
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// What to be silent about, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Muting {
    /// A storm's number, a user (a whole Matrix id, or a bare name of the config's server), or `all`
    whom: String,
    /// A minute to 31 days: 30m, 2h, 2d [default: 1h]
    time: Vec<String>,
    #[command(flatten)]
    configured: Configured,
}

/// Which mute to end.
#[derive(Debug, Args)]
pub(crate) struct Unmuting {
    /// As it was muted; without it every mute ends
    whom: Vec<String>,
    #[command(flatten)]
    configured: Configured,
}

/// Storms that go on first, then the newest that ended.
pub(crate) fn storms(flags: &Storms) -> Result<ExitCode> {
    let config = Config::load(&flags.configured.config)?;
    let (mut storms, mut mutes) = (Vec::new(), Vec::new());
    let there = Ledger::is_in(&config.store)?;
    if there {
        let ledger = Ledger::open(&config.store)?;
        (storms, mutes) = (ledger.storms(READ)?, ledger.mutes(Timestamp::now())?);
    }
    let (going_on, mut ended): (Vec<_>, Vec<_>) =
        storms.into_iter().partition(|known| known.ended.is_none());
    ended.truncate(ENDED);
    let list = List { going_on, ended, mutes, addresses: config.limits.show_addresses };
    say(&match (flags.format, there) {
        (Form::Json, _) => format!("{:#}\n", list.json()),
        (Form::Text, true) => list.text(&View::of(config.limits.timezone)),
        (Form::Text, false) => format!("{}\n", no_ledger(&config.store)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Begins a mute, or sets it anew.
pub(crate) fn mute(flags: &Muting) -> Result<ExitCode> {
    let (config, ledger) = beside(&flags.configured)?;
    let now = Timestamp::now();
    let text = format!("{} {}", flags.whom, flags.time.join(" "));
    let (target, length) =
        command::mute_words(&text, &context(&config, now)).map_err(without_usage)?;
    if let MuteTarget::Storm(number) = target
        && ledger.storm(number)?.is_none()
    {
        let says = format!("There is no storm {number}; `kestrel storms` shows them.");
        return Err(slip(says).into());
    }
    let (what, until) = (muted(target), now.checked_add(length)?);
    ledger.mute(&Mute { what: what.clone(), until, by: asker() })?;
    let view = View::of(config.limits.timezone);
    say(&format!("{} until {}.\n", is_muted(&what), view.moment(until)))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends one mute, or all.
pub(crate) fn unmute(flags: &Unmuting) -> Result<ExitCode> {
    let (config, ledger) = beside(&flags.configured)?;
    let context = context(&config, Timestamp::now());
    let target = command::unmute_words(&flags.whom.join(" "), &context).map_err(without_usage)?;
    let said = match target.map(muted) {
        None => match ledger.unmute_everything()? {
            0 => "Nothing was muted.".to_owned(),
            1 => "One mute ended.".to_owned(),
            count => format!("{count} mutes ended."),
        },
        Some(what) if ledger.unmute(&what)? => format!("{} no longer.", is_muted(&what)),
        Some(what) => format!("{}: there was no such mute.", subject(&what)),
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
    format!("No storm was kept yet: there is no ledger in {store}. `kestrel run` makes it.")
}

fn context(config: &Config, now: Timestamp) -> Context<'_> {
    let server_name = config.server.name.as_deref();
    Context { server_name, zone: &config.limits.timezone, now }
}

/// The usage line of the room is not a terminal's.
fn without_usage(error: command::UsageError) -> command::UsageError {
    command::UsageError { usage: None, ..error }
}

/// Who asked, as far as a terminal can tell.
fn asker() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    match name {
        Ok(name) if !name.is_empty() => format!("{name} on a terminal"),
        _ => "somebody on a terminal".to_owned(),
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

fn is_muted(what: &Muted) -> String {
    let verb = if *what == Muted::All { "are" } else { "is" };
    format!("{} {verb} muted", subject(what))
}

/// What clients wrote never acts on the screen, nor turns a line around.
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
    going_on: Vec<Known>,
    ended: Vec<Known>,
    mutes: Vec<Mute>,
    /// Whether addresses are shown in full.
    addresses: bool,
}

impl List {
    fn text(&self, view: &View) -> String {
        let mut out = String::new();
        if self.going_on.is_empty() {
            out.push_str("No storm goes on.\n");
        }
        for (head, storms) in [("Going on:", &self.going_on), ("Ended:", &self.ended)] {
            if !storms.is_empty() {
                out.push_str(&format!("{head}\n"));
            }
            storms.iter().for_each(|known| out.push_str(&self.storm(known, view)));
        }
        for mute in &self.mutes {
            let (what, until) = (is_muted(&mute.what), view.moment(mute.until));
            out.push_str(&format!("{what} until {until}, by {}.\n", shown(&mute.by)));
        }
        out
    }

    fn storm(&self, known: &Known, view: &View) -> String {
        let event = &known.event;
        let (kind, whose) = (kind(event.kind), self.whose(&event.whose, event.devices));
        let mut lines =
            vec![format!("  #{}  {kind}  {whose}  {} so far", event.storm, event.count)];
        lines.push(match known.ended {
            Some(ended) => {
                format!("{}; over at {}", view.span(event.first, event.last), view.moment(ended))
            }
            None => format!("since {}, last {}", view.moment(event.first), view.moment(event.last)),
        });
        lines.push(match (&known.verdict, &known.sure) {
            (Some(verdict), Some(sure)) => format!("{}, {}", shown(verdict), told(sure)),
            _ => "not judged yet".to_owned(),
        });
        lines.push(match &known.root {
            Some((room, _)) => format!("told in {}", shown(room.as_str())),
            None => "not told in a room".to_owned(),
        });
        if let Some(mute) = self.mute_of(known) {
            lines.push(format!("muted until {}", view.moment(mute.until)));
        }
        lines.join("\n      ") + "\n"
    }

    fn whose(&self, whose: &Whose, devices: u64) -> String {
        match whose {
            Whose::Device { user, device } => format!("{} {}", shown(user), shown(device)),
            Whose::Address(address) => format!("from {}", shown(&self.address(address))),
            Whose::Everybody => format!("{devices} devices"),
            Whose::Server => "the homeserver".to_owned(),
        }
    }

    fn address(&self, address: &str) -> String {
        if self.addresses { address.to_owned() } else { shortened(address) }
    }

    /// The mute that holds longest of those that cover the storm.
    fn mute_of(&self, known: &Known) -> Option<&Mute> {
        let covers = |mute: &&Mute| match (&mute.what, &known.event.whose) {
            (Muted::All, _) => true,
            (Muted::Storm(number), _) => *number == known.event.storm,
            (Muted::User(muted), Whose::Device { user, .. }) => muted.as_str() == user,
            (Muted::User(_), _) => false,
        };
        self.mutes.iter().filter(covers).max_by_key(|mute| mute.until)
    }

    fn json(&self) -> Value {
        let storms: Vec<_> =
            self.going_on.iter().chain(&self.ended).map(|known| self.object(known)).collect();
        let mutes: Vec<_> = self.mutes.iter().map(mute_object).collect();
        json!({ "schema": 1, "storms": storms, "mutes": mutes })
    }

    fn object(&self, known: &Known) -> Value {
        let event = &known.event;
        let (user, device, address) = match &event.whose {
            Whose::Device { user, device } => (Some(user), Some(device), None),
            Whose::Address(address) => (None, None, Some(self.address(address))),
            Whose::Everybody | Whose::Server => (None, None, None),
        };
        let (sure, because) = match &known.sure {
            Some(Sure::Confirmed) => (Some("confirmed"), None),
            Some(Sure::Unconfirmed(why)) => (Some("unconfirmed"), Some(why)),
            Some(Sure::Contradicted(why)) => (Some("contradicted"), Some(why)),
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

fn told(sure: &Sure) -> String {
    match sure {
        Sure::Confirmed => "confirmed".to_owned(),
        Sure::Unconfirmed(why) => format!("unconfirmed: {}", shown(why)),
        Sure::Contradicted(why) => format!("contradicted, so nobody was told: {}", shown(why)),
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
