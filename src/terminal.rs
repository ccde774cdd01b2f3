//! The same flow on a terminal: flags in, a verdict on standard output, an exit status for scripts.
//!
//! Exit status: 0 a verdict was reached, whatever it says; 3 not enough evidence; 2 bad usage; 1 our
//! own fault.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kestrel::command::{self, Command, Ke1};
use kestrel::config::{Config, Database, Limits, LogSource, Server};
use kestrel::diagnose::{Certainty, Verdict, diagnose, questions};
use kestrel::evidence::{self, Evidence, Fact, SCHEMA, State};
use kestrel::flow::{Answer, Flow};
use kestrel::plan::Plan;
use kestrel::render::{self, Ink, View};

/// Not enough evidence for a verdict.
const UNDECIDED: u8 = 3;

/// What to judge, and from what.
#[derive(Debug, Args)]
pub(super) struct Triage {
    symptom: Symptom,
    /// ke1: the user, a whole Matrix id, or a bare name with a config that names the server. ke3: the event
    #[arg(value_name = "USER|EVENT")]
    subject: String,
    /// ke1: the device id, exactly; without it the user's devices are listed
    device: Option<String>,
    /// ke3: the client's error message about the event
    #[arg(long, value_name = "TEXT")]
    client_says: Option<String>,
    /// A Synapse log file; repeat it for the logs of several processes
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Synapse's database: postgresql://role@host/synapse
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The zone of the logs' local times and of times in flags: an IANA name or an offset
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The window, counted back from now or from --until: 30m, 2h, 3d
    #[arg(long, value_name = "SPAN", conflicts_with = "since")]
    last: Option<String>,
    /// The window's start
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The window's end, and the time that the verdict is judged at
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Take sources and limits from a config file; flags go before it
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the evidence, for `kestrel replay`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

/// A saved case.
#[derive(Debug, Args)]
pub(super) struct Replay {
    evidence: PathBuf,
    #[command(flatten)]
    shown: Shown,
}

/// Which tree, and how.
#[derive(Debug, Args)]
pub(super) struct Tree {
    /// One branch; without it all of them
    symptom: Option<Symptom>,
    #[arg(long, value_enum, default_value_t = Chart::Text)]
    format: Chart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chart {
    Text,
    Mermaid,
}

#[derive(Debug, Args)]
struct Shown {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show every step and every query
    #[arg(long)]
    why: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Symptom {
    /// One-time key conflicts of one device
    Ke1,
    /// An event that will not decrypt
    Ke3,
}

/// Judges one device or one event from the flags.
pub(super) async fn triage(flags: Triage) -> Result<ExitCode> {
    let config = Arc::new(flags.config()?);
    let (asked, now) = flags.command(&config)?;
    let server = config.server.name.as_ref();
    if let Some(slip) = server.and_then(|name| command::foreign_user(&asked, name)) {
        return Err(slip.into());
    }
    let flow = Flow::new(Arc::clone(&config));
    let case = match flow.answer(&asked, now).await {
        Answer::Case(case) => case,
        // No device was named: the user's devices are listed.
        Answer::Words(reply) => {
            say(&format!("{}\n", reply.plain))?;
            return Ok(UNDECIDED.into());
        }
    };
    if let Some(file) = &flags.save {
        std::fs::write(file, flow.evidence_json(&case.evidence) + "\n")
            .with_context(|| format!("the evidence cannot be kept in {}", file.display()))?;
    }
    print(&case.evidence, &case.verdict, &flags.shown, &flow.view())
}

/// Judges a saved case again.
pub(super) fn replay(flags: &Replay) -> Result<ExitCode> {
    let file = flags.evidence.display();
    let text = std::fs::read_to_string(&flags.evidence)
        .with_context(|| format!("{file} cannot be read"))?;
    let evidence: Evidence = serde_json::from_str(&text)
        .with_context(|| format!("{file} is not a saved evidence.json"))?;
    if evidence.schema != SCHEMA {
        bail!("{file} has schema {}; this Kestrel reads {SCHEMA}", evidence.schema);
    }
    let view = View { zone: TimeZone::UTC };
    print(&evidence, &diagnose(&evidence), &flags.shown, &view)
}

/// Shows the tree that the code walks.
pub(super) fn tree(flags: &Tree) -> Result<ExitCode> {
    let ink = if coloured(&std::io::stdout()) { Ink::Colour } else { Ink::Plain };
    let named = match flags.symptom {
        Some(Symptom::Ke1) => Some(evidence::Symptom::Ke1),
        Some(Symptom::Ke3) => Some(evidence::Symptom::Ke3),
        None => None,
    };
    for symptom in
        evidence::Symptom::ALL.into_iter().filter(|one| named.is_none_or(|named| named == *one))
    {
        let questions = questions(symptom);
        say(&match flags.format {
            Chart::Text => render::tree(symptom, questions).terminal(ink) + "\n",
            Chart::Mermaid => render::mermaid(symptom, questions),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks every configured source for nothing much, and says how it answered.
pub(super) async fn doctor(config: &Config) -> Result<ExitCode> {
    let user = match &config.matrix {
        Some(matrix) => matrix.user.clone(),
        None => bail!("the config has no [matrix] section"),
    };
    let typed = Ke1 { user, device: None, span: command::Span::Unsaid };
    let now = Timestamp::now();
    let plan = Plan::ke1(&typed, "doctor".into(), config.limits.window, now);
    let evidence = Flow::new(Arc::new(config.clone())).collect(&plan).await;
    let mut well = true;
    for answer in &evidence.gathered {
        let (mark, why) = match &answer.state {
            State::Found | State::Empty => ("ok", answer.what.as_str()),
            State::Failed(why) => ("FAILED", why.as_str()),
            State::NotAsked(why) => ("not configured", why.as_str()),
        };
        well &= !matches!(answer.state, State::Failed(_));
        say(&format!("{mark:>14}  {} {:?}: {why}\n", answer.source, answer.need))?;
        if let Some(Fact::KeyLog(log)) = &answer.fact {
            for coverage in &log.coverage {
                say(&format!("{:>14}  times: {}\n", "", coverage.zone))?;
                for note in &coverage.notes {
                    say(&format!("{:>14}  {note}\n", ""))?;
                }
            }
        }
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes to standard output. A reader that has read enough, as in `| head -1`, is no fault.
pub(super) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said.context("standard output cannot be written"),
    }
}

/// Whether a stream is for eyes that want colour: <https://no-color.org>.
pub(super) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print(evidence: &Evidence, verdict: &Verdict, shown: &Shown, view: &View) -> Result<ExitCode> {
    let text = match (shown.format, shown.why) {
        (Format::Json, _) => format!("{:#}\n", render::json::json(evidence, verdict)),
        (format, why) => page(evidence, verdict, view, format, why),
    };
    say(&text)?;
    Ok(match verdict.certainty {
        Certainty::NotEnoughEvidence => UNDECIDED.into(),
        Certainty::Consistent | Certainty::Proven => ExitCode::SUCCESS,
    })
}

fn page(evidence: &Evidence, verdict: &Verdict, view: &View, format: Format, why: bool) -> String {
    let page = match why {
        true => render::why(evidence, verdict, view),
        false => render::answer(evidence, verdict, view),
    };
    match format {
        Format::Markdown => page.markdown(),
        _ if coloured(&std::io::stdout()) => page.terminal(Ink::Colour),
        _ => page.terminal(Ink::Plain),
    }
}

impl Triage {
    /// The config file, if one is named, with the flags on top.
    fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config {
                store: PathBuf::from("store"),
                matrix: None,
                server: Server { name: None },
                logs: Vec::new(),
                database: None,
                limits: Limits::default(),
            },
        };
        let zone = self.timezone.as_deref().map(kestrel::config::timezone).transpose()?;
        if !self.log.is_empty() {
            let source = |path: &PathBuf| LogSource {
                name: path
                    .file_name()
                    .map_or("log".into(), |name| name.to_string_lossy().into_owned()),
                path: path.clone(),
                timezone: zone.clone(),
            };
            config.logs = self.log.iter().map(source).collect();
        }
        if let Some(zone) = zone {
            config.limits.timezone = zone;
        }
        if let Some(url) = &self.database {
            let url = kestrel::config::database_url(url)?;
            config.database = Some(Database { url });
        }
        Ok(config)
    }

    /// The command that the flags spell, and the reference time.
    fn command(&self, config: &Config) -> Result<(Command, Timestamp)> {
        match self.symptom {
            Symptom::Ke1 => {
                let (typed, now) = self.question(config)?;
                Ok((Command::Ke1(typed), now))
            }
            Symptom::Ke3 => {
                let said = self.client_says.as_deref().unwrap_or_default();
                let typed = command::event(&self.subject, said)?;
                Ok((Command::Ke3(typed), Timestamp::now()))
            }
        }
    }

    /// What is asked, and the reference time: the end of the window.
    fn question(&self, config: &Config) -> Result<(Ke1, Timestamp)> {
        let context = command::Context {
            server_name: config.server.name.as_deref(),
            zone: &config.limits.timezone,
            now: Timestamp::now(),
        };
        let flags = command::Flags {
            user: &self.subject,
            device: self.device.as_deref(),
            last: self.last.as_deref(),
            since: self.since.as_deref(),
            until: self.until.as_deref(),
        };
        Ok(command::flags(&flags, &context)?)
    }
}
