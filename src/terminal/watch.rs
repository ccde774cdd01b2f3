//! `kestrel watch`: prints what the storm watch would have posted for old logs, so that an admin can tune its
//! thresholds; or for growing logs, as it happens. At the end of old logs it also prints alerts that were
//! held back. It posts and stores nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use kestrel::collect::logs;
use kestrel::collect::logs::follow::Follower;
use kestrel::config::{Config, LogSource};
use kestrel::flow::{Depth, Flow, Judged, SETTLE};
use kestrel_core::command;
use kestrel_core::evidence::log_event::LogEvent;
use kestrel_core::evidence::storm_thresholds::Thresholds;
use kestrel_core::render::View;
use kestrel_core::storm::{Change, Confirmation, Event, StormKind, StormWatch, Whose};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::list_format::ListFormat;
use super::output::say;
use super::slip::slip;
use super::sources::Sources;

/// Which logs, and what counts as a storm.
#[derive(Debug, Args)]
pub(crate) struct Watching {
    /// An old Synapse log; repeat it for several processes
    #[arg(long, value_name = "FILE", required_unless_present = "follow", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// A log that is being written: alerts are printed as they happen, until Kestrel is stopped
    #[arg(long, value_name = "FILE", conflicts_with = "replay", num_args = 1..)]
    follow: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// How many rejected uploads of one device start a storm (3)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    refusals: Option<u16>,
    /// The time span for --refusals (10m)
    #[arg(long, value_name = "SPAN")]
    within: Option<String>,
    /// If storms start on at least this many devices within --together, they are reported in one alert (10)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..))]
    fleet: Option<u16>,
    /// The time span for --fleet (5m)
    #[arg(long, value_name = "SPAN")]
    together: Option<String>,
    /// A storm is over when nothing happened for this long (10m)
    #[arg(long, value_name = "SPAN")]
    quiet: Option<String>,
    /// json prints one object a line
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    format: ListFormat,
}

/// Runs the watch on old logs at full speed, or on growing logs.
pub(crate) async fn watch(flags: Watching) -> Result<ExitCode> {
    let logs = [&flags.replay[..], &flags.follow].concat();
    let config = Arc::new(flags.sources.config(&logs)?);
    let watch = StormWatch::new(flags.thresholds(&config)?);
    let flow = Flow::new(Arc::clone(&config));
    let mut teller = Teller { watch, flow, config, form: flags.format, judged: HashMap::new() };
    if !flags.follow.is_empty() {
        return teller.follow().await;
    }
    let (log_events, end) = read(&teller.config).await?;
    for log_event in log_events {
        teller.see(log_event).await?;
    }
    if let Some(end) = end {
        teller.tick(end).await?;
    }
    teller.tell_held().await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints events with their verdicts.
struct Teller {
    watch: StormWatch,
    flow: Flow,
    config: Arc<Config>,
    form: ListFormat,
    /// By the storm's number.
    judged: HashMap<u64, Judged>,
}

impl Teller {
    /// Runs until it is stopped.
    async fn follow(mut self) -> Result<ExitCode> {
        let mut ended = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        for log in self.flow.blind_logs(Timestamp::now()).await {
            tracing::warn!("the watch cannot detect every storm: {}. {}", log.text, log.how);
        }
        let mut follow =
            Follower::start(self.config.logs.clone(), HashMap::new(), Timestamp::now());
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
            for mut log_event in round.log_events {
                // A line may be dated in the future, by a clock or a client.
                log_event.at = log_event.at.min(now);
                self.see(log_event).await?;
            }
            if let Some(at) = reached {
                self.tick(at).await?;
            }
        }
    }

    async fn see(&mut self, log_event: LogEvent) -> Result<()> {
        for event in self.watch.see(log_event) {
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

    /// Storms that are still held back at the end of the logs: nothing more will show whether a crowd
    /// follows.
    async fn tell_held(&mut self) -> Result<()> {
        for event in self.watch.release() {
            self.tell(event, Some("held")).await?;
        }
        Ok(())
    }

    /// One line, or nothing if there is no news. `named` replaces the name of the change.
    async fn tell(&mut self, mut event: Event, named: Option<&str>) -> Result<()> {
        if !self.config.limits.show_addresses {
            event.hide_address();
        }
        let known = self.judged.get(&event.storm);
        let due = known.and_then(|known| known.again).is_some_and(|again| event.at >= again);
        if known.is_none() || due || event.change == Change::Cause {
            // The state at that moment and a little later: two clients show themselves by alternating.
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
            ListFormat::Json => object(&event, named, judged),
            ListFormat::Text => line(&event, named, judged, &self.flow.view()),
        })
    }
}

/// The events of all logs in order, and the time of the last record.
async fn read(config: &Config) -> Result<(Vec<LogEvent>, Option<Timestamp>)> {
    let mut all = Vec::new();
    let mut end = None;
    for source in logs::distinct(&config.logs) {
        let name = source.path.display().to_string();
        let source = LogSource::clone(source);
        let read = tokio::task::spawn_blocking(move || logs::replay(&source)).await?;
        let read = read.map_err(slip)?;
        for note in &read.notes {
            tracing::info!("{name}: {note}");
        }
        all.extend(read.log_events.sorted());
        end = end.max(read.span.map(|(_, last)| last));
    }
    all.sort_by_key(|log_event| log_event.at);
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
        "verdict": judged.verdict.name(),
        "count": event.count,
        "devices": event.devices,
        "first": event.first,
        "last": event.last,
        "confirmed": judged.sure == Confirmation::Confirmed,
    });
    format!("{object}\n")
}

fn line(event: &Event, named: &str, judged: &Judged, view: &View) -> String {
    let whose = match &event.whose {
        // Control characters from clients must not control the screen.
        Whose::Device { user, device } => format!("{user} {}", device.as_str().escape_debug()),
        Whose::Address(address) => format!("from {}", address.escape_debug()),
        Whose::Everybody => format!("{} devices", event.devices),
        Whose::Server => "the homeserver".to_owned(),
    };
    let sure = match judged.sure {
        Confirmation::Confirmed => "confirmed",
        Confirmation::Unconfirmed(_) => "unconfirmed",
        Confirmation::Contradicted(_) => "contradicted",
    };
    let at = view.moment(event.at);
    let kind = kind(event.kind);
    format!(
        "{at}  {named:<7}  {kind:<12}  {whose}  {} {sure}, {} so far\n",
        judged.verdict.name(),
        event.count
    )
}

/// A kind's name.
fn kind(kind: StormKind) -> &'static str {
    match kind {
        StormKind::OtkConflict => "otk-conflict",
        StormKind::OtkFlood => "otk-flood",
        StormKind::Delay => "delay",
        StormKind::Fleet => "fleet",
        StormKind::DeadIdentity => "dead-identity",
        StormKind::Backlog => "backlog",
        StormKind::Auth => "auth",
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
    /// The thresholds of the config file's [watch], or the defaults, with the flags applied.
    fn thresholds(&self, config: &Config) -> Result<Thresholds> {
        let length = |text: &Option<String>, unsaid: SignedDuration| -> Result<SignedDuration> {
            match text {
                Some(text) => Ok(SignedDuration::try_from(command::length(text)?)?),
                None => Ok(unsaid),
            }
        };
        let unsaid = config.watch.thresholds.clone();
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
