//! The same flow on a terminal: flags in, a verdict on standard output, an exit status for scripts.
//!
//! Exit status: 0 a verdict was reached, whatever it says; 3 not enough evidence; 2 bad usage; 1 our
//! own fault.

mod cases;
mod doctor;
mod question;
mod redact;
mod report_folder;
mod sources;
mod storms;
mod watch;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kestrel::bot::{Finding, Is};
use kestrel::config::Config;
use kestrel::flow::{self, Answer, Flow};
use kestrel::store::bundle;
use kestrel_core::diagnose::{Certainty, Judgement, questions};
use kestrel_core::evidence::{self, Evidence, Fact, SCHEMA, State};
use kestrel_core::plan::Plan;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::{self, Ink, Page, View};

pub(super) use self::cases::{Cases, OneCase, case, cases};
use self::question::slip;
pub(super) use self::redact::{Redact, redact};
use self::sources::Sources;
pub(super) use self::storms::{Muting, Storms, Unmuting, mute, storms, unmute};
pub(super) use self::watch::{Watching, watch};

/// Not enough evidence for a verdict.
const UNDECIDED: u8 = 3;

/// How it went, for scripts.
const EXIT: &str = "Exit status: 0 a verdict was reached, whatever it says; 3 not enough evidence, or no device \
                    named;\n2 bad usage; 1 Kestrel's own fault";

/// What to judge, and from what.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(super) struct Triage {
    symptom: Symptom,
    /// The user, a whole Matrix id, or a bare name with a config that names the server. ke3: the event.
    /// fleet: none
    #[arg(value_name = "USER|EVENT")]
    subject: Option<String>,
    /// ke1, ke2, all: the device id, exactly; without it the user's devices are listed, and `all` takes the
    /// one in trouble
    device: Option<String>,
    /// ke2: only messages of this user
    #[arg(long, value_name = "USER")]
    sender: Option<String>,
    /// ke2: watch the device's inbox for so long, then judge: 60s
    #[arg(long, value_name = "SPAN")]
    live: Option<String>,
    /// all: an event that will not decrypt
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// ke3, all: the client's error message about the event
    #[arg(long, value_name = "TEXT")]
    client_says: Option<String>,
    /// A Synapse log file; repeat it for the logs of several processes
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// The affected client's diagnostics report (JSON), its log, or an archive or a folder of them; may be repeated
    #[arg(long, value_name = "FILE|FOLDER")]
    report: Vec<PathBuf>,
    /// The affected client's network log (HAR); may be repeated
    #[arg(long, value_name = "FILE")]
    har: Vec<PathBuf>,
    /// The window, counted back from now or from --until: 30m, 2h, 3d
    #[arg(long, value_name = "SPAN", conflicts_with = "since")]
    last: Option<String>,
    /// The window's start
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The window's end, and the time that the verdict is judged at
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Keep the evidence, for `kestrel replay`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

/// A saved case.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(super) struct Replay {
    /// What `--save` kept, the evidence.json of a thread, or the bundle of a capture
    evidence: PathBuf,
    #[command(flatten)]
    shown: Shown,
}

/// Which tree, and how.
#[derive(Debug, Args)]
pub(super) struct Tree {
    /// One branch; without it all four, as with `all` and `fleet`, which have no tree of their own
    symptom: Option<Symptom>,
    #[arg(long, value_enum, default_value_t = Chart::Text)]
    format: Chart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chart {
    Text,
    Mermaid,
    /// One picture of all the branches asked for
    Svg,
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
    /// Media keys of calls that do not arrive or decrypt
    Ke2,
    /// An event that will not decrypt
    Ke3,
    /// Delayed events that time out: calls that drop
    Ke4,
    /// All four, and the chain between them
    All,
    /// Every device in trouble now
    Fleet,
}

/// Judges one device or one event from the flags.
pub(super) async fn triage(flags: Triage) -> Result<ExitCode> {
    let config = Arc::new(flags.sources.config(&flags.log)?);
    let (question, now) = flags.question(&config)?;
    let flow = Flow::new(Arc::clone(&config));
    if let Some(reply) = question.user().and_then(|user| flow.foreign(user)) {
        return Err(slip(reply.plain).into());
    }
    if let Some(note) = flow.announcement(&question) {
        eprintln!("{}", note.plain);
    }
    let (evidence, judgement) = match flow.answer_with(&question, &flags.client()?, now).await {
        Answer::Case(case) => (case.evidence, case.judgement),
        Answer::Survey(survey) => (survey.evidence, survey.judgement),
        // No device was named: the user's devices are listed.
        Answer::Words(reply) => {
            say(&format!("{}\n", reply.plain))?;
            return Ok(UNDECIDED.into());
        }
    };
    // The answer first: it stands, whatever becomes of the file.
    let code = print((&evidence, &judgement), &flags.shown, &seat(flow.view()))?;
    if let Some(file) = &flags.save {
        std::fs::write(file, flow.evidence_json(&evidence) + "\n")
            .with_context(|| format!("the evidence cannot be kept in {}", file.display()))?;
    }
    Ok(code)
}

/// Judges a saved case again.
pub(super) fn replay(flags: &Replay) -> Result<ExitCode> {
    let file = flags.evidence.display();
    let bytes = std::fs::read(&flags.evidence)
        .map_err(|why| slip(format!("{file} cannot be read: {why}")))?;
    let text = match bundle::is_zip(&bytes) {
        true => bundled(&bytes).map_err(|why| slip(format!("{file} is no bundle: {why}")))?,
        false => String::from_utf8(bytes).map_err(|_| slip(format!("{file} is no text")))?,
    };
    let evidence: Evidence = serde_json::from_str(&text)
        .map_err(|why| slip(format!("{file} is not a saved evidence.json: {why}")))?;
    if evidence.schema != SCHEMA {
        let (theirs, ours) = (evidence.schema, SCHEMA);
        return Err(slip(format!("{file} has schema {theirs}; this Kestrel reads {ours}")).into());
    }
    print((&evidence, &flow::judge(&evidence)), &flags.shown, &seat(View::in_zone(TimeZone::UTC)))
}

/// The evidence of a bundle whose files are as its manifest says.
fn bundled(bytes: &[u8]) -> std::result::Result<String, String> {
    let mut bundle = bundle::unpack(bytes)?;
    let evidence = bundle.files.remove("evidence.json");
    let evidence = evidence.ok_or("it holds no verdict: no device could be told then")?;
    String::from_utf8(evidence).map_err(|_| "its evidence.json is no text".to_owned())
}

/// A terminal has a flag for what a room has a command for.
fn seat(view: View) -> View {
    View { why: "--why", ..view }
}

/// Shows the tree that the code walks.
pub(super) fn tree(flags: &Tree) -> Result<ExitCode> {
    let ink = if coloured(&std::io::stdout()) { Ink::Colour } else { Ink::Plain };
    let asked = flags.symptom.map(evidence::Symptom::from);
    // `all` and `fleet` walk the branches, and have no tree of their own.
    let asked = asked.filter(|asked| evidence::Symptom::BRANCHES.contains(asked));
    let branches: Vec<_> = (evidence::Symptom::BRANCHES.into_iter())
        .filter(|symptom| asked.is_none_or(|asked| asked == *symptom))
        .map(|symptom| (symptom, questions(symptom)))
        .collect();
    if flags.format == Chart::Svg {
        say(&render::svg(&branches))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (symptom, questions) in branches {
        say(&match flags.format {
            Chart::Mermaid => render::mermaid(symptom, questions),
            _ => render::tree(symptom, questions).terminal(ink) + "\n",
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how the bot's account stands, asks every configured source for nothing much, and says how it answered;
/// then whether the store can be written, and what the database's role may do.
pub(super) async fn doctor(config: &Config, account: &[Finding]) -> Result<ExitCode> {
    let user = match &config.matrix {
        Some(matrix) => matrix.user.clone(),
        None => bail!("the config has no [matrix] section"),
    };
    // Everything that any question could ask of a source.
    let topic = Topic::All { user, device: Some("doctor".into()), event: None };
    let question = Question { topic, span: Span::Unsaid };
    let now = Timestamp::now();
    let server = config.server.name.as_deref();
    let Ok(plan) = Plan::new(&question, server, config.limits.window, now) else {
        bail!("a question about a device needs its name");
    };
    let evidence = Flow::new(Arc::new(config.clone())).collect(&plan).await;
    let mut well = true;
    for finding in account {
        let mark = match finding.is {
            Is::Well => "ok",
            Is::Wrong => "FAILED",
            Is::Unknown => "unknown",
        };
        well &= finding.is != Is::Wrong;
        say(&format!("{mark:>14}  account: {}\n", finding.text))?;
    }
    for answer in &evidence.gathered {
        let (mark, why) = match &answer.state {
            State::Failed(why) if doctor::is_quiet(&evidence, answer.need, why) => {
                ("unknown", why.as_str())
            }
            State::Found | State::Empty => ("ok", answer.what.as_str()),
            State::Failed(why) => ("FAILED", why.as_str()),
            State::NotAsked(why) => ("not asked", why.as_str()),
        };
        well &= mark != "FAILED";
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
    let visible = doctor::visible(&evidence);
    for check in visible.into_iter().chain(doctor::checks(config).await) {
        well &= check.found.is_ok() || !check.sure;
        say(&check.line())?;
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

/// Prints a page, in colour where that is wanted.
fn show(page: &Page) -> Result<()> {
    let ink = if coloured(&std::io::stdout()) { Ink::Colour } else { Ink::Plain };
    say(&page.terminal(ink))
}

/// Whether a stream is for eyes that want colour: <https://no-color.org>.
pub(super) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print(judged: (&Evidence, &Judgement), shown: &Shown, view: &View) -> Result<ExitCode> {
    let (evidence, judgement) = judged;
    let text = match shown.format {
        Format::Json => format!("{:#}\n", flow::json(evidence, judgement)),
        format if shown.why => styled(flow::why(evidence, judgement, view), format),
        format => styled(flow::page(evidence, judgement, view), format),
    };
    say(&text)?;
    Ok(match judgement.certainty() {
        Certainty::NotEnoughEvidence => UNDECIDED.into(),
        Certainty::Consistent | Certainty::Proven => ExitCode::SUCCESS,
    })
}

fn styled(page: render::Page, format: Format) -> String {
    match format {
        Format::Markdown => page.markdown(),
        _ if coloured(&std::io::stdout()) => page.terminal(Ink::Colour),
        _ => page.terminal(Ink::Plain),
    }
}

impl From<Symptom> for evidence::Symptom {
    fn from(symptom: Symptom) -> Self {
        match symptom {
            Symptom::Ke1 => Self::Ke1,
            Symptom::Ke2 => Self::Ke2,
            Symptom::Ke3 => Self::Ke3,
            Symptom::Ke4 => Self::Ke4,
            Symptom::All => Self::All,
            Symptom::Fleet => Self::Fleet,
        }
    }
}
