//! Old logs → what the storm watch would have posted, and when: how an admin tunes its thresholds. Nothing
//! is posted and nothing is kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use kestrel::collect::logs;
use kestrel::command;
use kestrel::config::{Config, LogSource};
use kestrel::evidence::shortened;
use kestrel::evidence::sight::Sight;
use kestrel::flow::{Depth, Flow, Judged, SETTLE};
use kestrel::render::View;
use kestrel::storm::{Change, Event, Kind, Sure, Thresholds, Watch, Whose};
use serde_json::json;

use super::{Sources, say, slip};

/// Which logs, and when something is a storm.
#[derive(Debug, Args)]
pub(crate) struct Watching {
    /// An old log of Synapse's; repeat it for the logs of several processes
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    replay: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Refusals of one device and key id that make a storm
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..))]
    refusals: u16,
    /// … within this time
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    within: String,
    /// Devices that start together and become one alert
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    fleet: u16,
    /// … within this time
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    together: String,
    /// Silence after which a storm is over
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    quiet: String,
    /// json prints one object a line
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Text,
    Json,
}

/// Runs the watch over old logs at full speed.
pub(crate) async fn watch(flags: Watching) -> Result<ExitCode> {
    let config = Arc::new(flags.sources.config(&flags.replay)?);
    let thresholds = flags.thresholds()?;
    let (sights, end) = read(&config).await?;
    let mut watch = Watch::new(thresholds);
    let mut teller =
        Teller { flow: Flow::new(Arc::clone(&config)), config, judged: HashMap::new() };
    for sight in sights {
        for event in watch.see(sight) {
            say(&teller.tell(event, &mut watch, flags.format).await)?;
        }
    }
    for event in end.map(|end| watch.tick(end)).unwrap_or_default() {
        say(&teller.tell(event, &mut watch, flags.format).await)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Words events with the verdict of their storms.
struct Teller {
    flow: Flow,
    config: Arc<Config>,
    judged: HashMap<u64, Judged>,
}

impl Teller {
    /// One line, or nothing where nothing is new.
    async fn tell(&mut self, mut event: Event, watch: &mut Watch, format: Form) -> String {
        if let Whose::Address(address) = &mut event.whose
            && !self.config.limits.show_addresses
        {
            *address = shortened(address);
        }
        let known = self.judged.get(&event.storm);
        if known.is_none() || event.change == Change::Cause {
            // What was there at that moment, and a little later: two clients show by taking turns.
            let now = event.at.checked_add(SETTLE).unwrap_or(event.at);
            let new = self.flow.judge_storm(&event, now, Depth::Keys).await;
            let same = known.is_some_and(|known| known.verdict == new.verdict);
            if event.change == Change::Cause && (same || !watch.spend(event.storm, event.at)) {
                return String::new();
            }
            self.judged.insert(event.storm, new);
        }
        let judged = &self.judged[&event.storm];
        match format {
            Form::Json => object(&event, judged),
            Form::Text => line(&event, judged, &self.flow.view()),
        }
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

fn object(event: &Event, judged: &Judged) -> String {
    let (user, device) = match &event.whose {
        Whose::Device { user, device } => (Some(user), Some(device)),
        Whose::Address(_) | Whose::Everybody => (None, None),
    };
    let object = json!({
        "at": event.at,
        "event": change(event.change),
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

fn line(event: &Event, judged: &Judged, view: &View) -> String {
    let whose = match &event.whose {
        // Control characters of a client's text never act on the screen.
        Whose::Device { user, device } => format!("{user} {}", device.escape_debug()),
        Whose::Address(address) => format!("from {}", address.escape_debug()),
        Whose::Everybody => format!("{} devices", event.devices),
    };
    let sure = match judged.sure {
        Sure::Confirmed => "confirmed",
        Sure::Unconfirmed(_) => "unconfirmed",
        Sure::Contradicted(_) => "contradicted",
    };
    let (at, change, kind) = (view.moment(event.at), change(event.change), kind(event.kind));
    format!(
        "{at}  {change:<7}  {kind:<12}  {whose}  {} {sure}, {} so far\n",
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
    fn thresholds(&self) -> Result<Thresholds> {
        let length = |text: &str| -> Result<SignedDuration> {
            Ok(SignedDuration::try_from(command::length(text)?)?)
        };
        Ok(Thresholds {
            refusals: usize::from(self.refusals),
            within: length(&self.within)?,
            fleet: usize::from(self.fleet),
            together: length(&self.together)?,
            quiet: length(&self.quiet)?,
            ..Thresholds::default()
        })
    }
}
