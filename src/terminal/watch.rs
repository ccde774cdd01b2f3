//! Old logs → what the storm watch would have posted, and when: how an admin tunes its thresholds. Logs that
//! grow → the same, as it happens. Nothing is posted and nothing is kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use kestrel::collect::logs;
use kestrel::collect::logs::follow::Follow;
use kestrel::command::{self, Command, Ke1, Span};
use kestrel::config::{Config, LogSource};
use kestrel::evidence::shortened;
use kestrel::evidence::sight::Sight;
use kestrel::flow::{Answer, Flow};
use kestrel::render::View;
use kestrel::storm::{Change, Event, Kind, Thresholds, Watch, Whose};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Sources, say, slip};

/// How much before a storm its first verdict looks.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

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
enum Form {
    Text,
    Json,
}

/// A storm's first verdict.
#[derive(Debug, Clone)]
struct Judged {
    verdict: String,
    /// The database has the device, or the log cannot be forged.
    confirmed: bool,
}

/// Runs the watch, over old logs at full speed or over logs that grow.
pub(crate) async fn watch(flags: Watching) -> Result<ExitCode> {
    let logs = [&flags.replay[..], &flags.follow].concat();
    let config = Arc::new(flags.sources.config(&logs)?);
    let mut watch = Watch::new(flags.thresholds()?);
    let mut teller = Teller::new(config, flags.format);
    if flags.follow.is_empty() {
        let (sights, end) = read(&teller.config).await?;
        let mut events: Vec<Event> =
            sights.into_iter().flat_map(|sight| watch.see(sight)).collect();
        events.extend(end.map(|end| watch.tick(end)).unwrap_or_default());
        teller.tell(events).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut ended, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let sources = teller.config.logs.clone();
    let mut follow = Follow::start(sources, HashMap::new(), Timestamp::now());
    loop {
        let round = tokio::select! {
            round = follow.next() => round,
            _ = ended.recv() => break,
            _ = interrupted.recv() => break,
        };
        for note in &round.notes {
            tracing::warn!("{note}");
        }
        let mut events: Vec<Event> =
            round.sights.into_iter().flat_map(|sight| watch.see(sight)).collect();
        let now = if round.live { Some(Timestamp::now()) } else { round.read_to };
        events.extend(now.map(|now| watch.tick(now)).unwrap_or_default());
        teller.tell(events).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints events with their verdicts.
struct Teller {
    config: Arc<Config>,
    flow: Flow,
    form: Form,
    /// By the storm's number.
    judged: HashMap<u64, Judged>,
}

impl Teller {
    fn new(config: Arc<Config>, form: Form) -> Self {
        Self { flow: Flow::new(Arc::clone(&config)), config, form, judged: HashMap::new() }
    }

    async fn tell(&mut self, events: Vec<Event>) -> Result<()> {
        for mut event in events {
            if let Whose::Address(address) = &mut event.whose
                && !self.config.limits.show_addresses
            {
                *address = shortened(address);
            }
            let judged = match self.judged.get(&event.storm) {
                Some(known) => known.clone(),
                None => {
                    let first = judge(&self.flow, &self.config, &event).await;
                    self.judged.insert(event.storm, first.clone());
                    first
                }
            };
            say(&match self.form {
                Form::Json => object(&event, &judged),
                Form::Text => line(&event, &judged, &self.flow.view()),
            })?;
        }
        Ok(())
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

/// The verdict that the alert would have carried: from what was there at that moment.
async fn judge(flow: &Flow, config: &Config, event: &Event) -> Judged {
    let open = |verdict: &str| Judged { verdict: verdict.into(), confirmed: false };
    let (user, device) = match (&event.whose, event.kind) {
        (Whose::Device { user, device }, _) => (user, device),
        (Whose::Address(_), _) => {
            return open(match &*event.trigger {
                "limited" => "delay-rate-limited",
                "gone" => "delay-gone",
                _ => "delay-homeserver-slow",
            });
        }
        (Whose::Everybody, _) => return open("inconclusive"),
    };
    let Ok(user) = user.as_str().try_into() else { return open("inconclusive") };
    let from = event.first.checked_sub(BEFORE).unwrap_or(event.first);
    let span = Span::Between(from, event.at);
    let typed = Ke1 { user, device: Some(device.as_str().into()), span };
    match flow.answer(&Command::Ke1(typed), event.at).await {
        Answer::Case(case) => {
            let known = case.evidence.devices();
            let rows = known.value().copied().unwrap_or_default();
            let exists = rows.iter().any(|row| row.device.as_str() == device && !row.hidden);
            let confirmed = config.database.is_some() && exists;
            Judged { verdict: case.verdict.id.name().to_owned(), confirmed }
        }
        Answer::Survey(_) | Answer::Words(_) => open("inconclusive"),
    }
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
        "confirmed": judged.confirmed,
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
    let sure = if judged.confirmed { "confirmed" } else { "unconfirmed" };
    let kind = match event.kind {
        Kind::OtkConflict => "otk-conflict",
        Kind::OtkFlood => "otk-flood",
        Kind::Delay => "delay",
        Kind::Fleet => "fleet",
    };
    let (at, change) = (view.moment(event.at), change(event.change));
    format!(
        "{at}  {change:<7}  {kind:<12}  {whose}  {} {sure}, {} so far\n",
        judged.verdict, event.count
    )
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
