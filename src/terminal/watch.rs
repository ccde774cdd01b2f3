//! Old logs → what the storm watch would have posted, and when: how an admin tunes its thresholds. Logs that
//! grow → the same, as it happens. Where old logs end, what was held back until then is printed too. Nothing
//! is posted and nothing is kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use kestrel::collect::logs;
use kestrel::collect::logs::follow::Follow;
use kestrel::config::{Config, LogSource};
use kestrel::flow::{Depth, Flow, Judged, SETTLE};
use kestrel_core::command;
use kestrel_core::evidence::log_event::Sight;
use kestrel_core::evidence::shortened;
use kestrel_core::render::View;
use kestrel_core::storm::{Change, Event, Kind, Sure, Thresholds, Watch, Whose};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Sources, say, slip};

/// Which logs, and when something is a storm.
#[derive(Debug, Args)]
pub(crate) struct Watching {
    /// An old log of Synapse's; repeat it for the logs of several processes
    #[arg(long, value_name = "FILE", required_unless_present = "follow", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// A log that is being written: each alert is printed as it happens, until Kestrel is ended
    #[arg(long, value_name = "FILE", conflicts_with = "replay", num_args = 1..)]
    follow: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Refusals of one device that make a storm (3)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    refusals: Option<u16>,
    /// … within this time (10m)
    #[arg(long, value_name = "SPAN")]
    within: Option<String>,
    /// Devices that start together and become one alert (10)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    fleet: Option<u16>,
    /// … within this time (5m)
    #[arg(long, value_name = "SPAN")]
    together: Option<String>,
    /// Silence after which a storm is over (10m)
    #[arg(long, value_name = "SPAN")]
    quiet: Option<String>,
    /// json prints one object a line
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Text,
    Json,
}

/// Runs the watch, over old logs at full speed or over logs that grow.
pub(crate) async fn watch(flags: Watching) -> Result<ExitCode> {
    let logs = [&flags.replay[..], &flags.follow].concat();
    let config = Arc::new(flags.sources.config(&logs)?);
    let watch = Watch::new(flags.thresholds(&config)?);
    let flow = Flow::new(Arc::clone(&config));
    let mut teller = Teller { watch, flow, config, form: flags.format, judged: HashMap::new() };
    if !flags.follow.is_empty() {
        return teller.follow().await;
    }
    let (sights, end) = read(&teller.config).await?;
    for sight in sights {
        teller.see(sight).await?;
    }
    if let Some(end) = end {
        teller.tick(end).await?;
    }
    teller.tell_held().await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints events with their verdicts.
struct Teller {
    watch: Watch,
    flow: Flow,
    config: Arc<Config>,
    form: Form,
    /// By the storm's number.
    judged: HashMap<u64, Judged>,
}

impl Teller {
    /// Until somebody ends it.
    async fn follow(mut self) -> Result<ExitCode> {
        let (mut ended, mut interrupted) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        for log in self.flow.blind_logs(Timestamp::now()).await {
            tracing::warn!("the watch cannot see every storm: {}. {}", log.text, log.how);
        }
        let mut follow = Follow::start(self.config.logs.clone(), HashMap::new(), Timestamp::now());
        loop {
            let round = tokio::select! {
                round = follow.next() => round,
                _ = ended.recv() => return Ok(ExitCode::SUCCESS),
                _ = interrupted.recv() => return Ok(ExitCode::SUCCESS),
            };
            for note in &round.notes {
                tracing::warn!("{note}");
            }
            let now = Timestamp::now();
            let reached = round.reached(now);
            for mut sight in round.sights {
                // A line may be dated ahead, by a clock or by a client.
                sight.at = sight.at.min(now);
                self.see(sight).await?;
            }
            if let Some(at) = reached {
                self.tick(at).await?;
            }
        }
    }

    async fn see(&mut self, sight: Sight) -> Result<()> {
        for event in self.watch.see(sight) {
            self.tell(event, None).await?;
        }
        Ok(())
    }

    async fn tick(&mut self, now: Timestamp) -> Result<()> {
        for event in self.watch.tick(now) {
            self.tell(event, None).await?;
        }
        Ok(())
    }

    /// Storms that are still held back where the logs end: whether a crowd follows stands in no log any more.
    async fn tell_held(&mut self) -> Result<()> {
        for event in self.watch.release() {
            self.tell(event, Some("held")).await?;
        }
        Ok(())
    }

    /// One line, or nothing where nothing is new. `named` takes the place of the change's own name.
    async fn tell(&mut self, mut event: Event, named: Option<&str>) -> Result<()> {
        if let Whose::Address(address) = &mut event.whose
            && !self.config.limits.show_addresses
        {
            *address = shortened(address);
        }
        let known = self.judged.get(&event.storm);
        let due = known.and_then(|known| known.again).is_some_and(|again| event.at >= again);
        if known.is_none() || due || event.change == Change::Cause {
            // What was there at that moment, and a little later: two clients show by taking turns.
            let now = event.at.checked_add(SETTLE).unwrap_or(event.at);
            let new = self.flow.judge_storm(&event, now, Depth::Keys).await;
            let same = known.is_some_and(|known| known.verdict == new.verdict);
            if event.change == Change::Cause && (same || !self.watch.spend(event.storm, event.at)) {
                return Ok(());
            }
            self.judged.insert(event.storm, new);
        }
        let judged = &self.judged[&event.storm];
        let named = named.unwrap_or_else(|| change(event.change));
        say(&match self.form {
            Form::Json => object(&event, named, judged),
            Form::Text => line(&event, named, judged, &self.flow.view()),
        })
    }
}

/// All logs' sights in order, and the last moment that any of them holds.
async fn read(config: &Config) -> Result<(Vec<Sight>, Option<Timestamp>)> {
    let (mut all, mut end) = (Vec::new(), None);
    for source in logs::distinct(&config.logs) {
        let (name, source) = (source.path.display().to_string(), LogSource::clone(source));
        let read = tokio::task::spawn_blocking(move || logs::replay(&source)).await?;
        let read = read.map_err(slip)?;
        for note in &read.notes {
            tracing::info!("{name}: {note}");
        }
        all.extend(read.sights.sorted());
        end = end.max(read.span.map(|(_, last)| last));
    }
    all.sort_by_key(|sight| sight.at);
    Ok((all, end))
}

fn object(event: &Event, named: &str, judged: &Judged) -> String {
    let (user, device) = match &event.whose {
        Whose::Device { user, device } => (Some(user), Some(device)),
        Whose::Address(_) | Whose::Everybody | Whose::Server => (None, None),
    };
    let object = json!({
        "at": event.at,
        "event": named,
        "kind": event.kind,
        "storm": event.storm,
        "user": user,
        "device": device,
        "verdict": judged.verdict,
        "count": event.count,
        "devices": event.devices,
        "first": event.first,
        "last": event.last,
        "confirmed": judged.sure == Sure::Confirmed,
    });
    format!("{object}\n")
}

fn line(event: &Event, named: &str, judged: &Judged, view: &View) -> String {
    let whose = match &event.whose {
        // Control characters of a client's text never act on the screen.
        Whose::Device { user, device } => format!("{user} {}", device.escape_debug()),
        Whose::Address(address) => format!("from {}", address.escape_debug()),
        Whose::Everybody => format!("{} devices", event.devices),
        Whose::Server => "the homeserver".to_owned(),
    };
    let sure = match judged.sure {
        Sure::Confirmed => "confirmed",
        Sure::Unconfirmed(_) => "unconfirmed",
        Sure::Contradicted(_) => "contradicted",
    };
    let at = view.moment(event.at);
    let kind = kind(event.kind);
    format!(
        "{at}  {named:<7}  {kind:<12}  {whose}  {} {sure}, {} so far\n",
        judged.verdict, event.count
    )
}

/// A kind's name.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::OtkConflict => "otk-conflict",
        Kind::OtkFlood => "otk-flood",
        Kind::Delay => "delay",
        Kind::Fleet => "fleet",
        Kind::DeadIdentity => "dead-identity",
        Kind::Backlog => "backlog",
        Kind::Auth => "auth",
    }
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Started => "started",
        Change::Worse | Change::Spread | Change::Cause | Change::Resumed => "update",
        Change::Ended => "ended",
    }
}

impl Watching {
    /// Those of the config file's [watch], or the defaults, with the flags on top.
    fn thresholds(&self, config: &Config) -> Result<Thresholds> {
        let length = |text: &Option<String>, unsaid: SignedDuration| -> Result<SignedDuration> {
            match text {
                Some(text) => Ok(SignedDuration::try_from(command::length(text)?)?),
                None => Ok(unsaid),
            }
        };
        let unsaid = kestrel::bot::thresholds(&config.watch);
        Ok(Thresholds {
            refusals: self.refusals.map_or(unsaid.refusals, usize::from),
            within: length(&self.within, unsaid.within)?,
            fleet: self.fleet.map_or(unsaid.fleet, usize::from),
            together: length(&self.together, unsaid.together)?,
            quiet: length(&self.quiet, unsaid.quiet)?,
            ..unsaid
        })
    }
}
