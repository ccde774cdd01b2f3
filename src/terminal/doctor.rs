//! `kestrel doctor`: checks the config, the account, every source, the store and the database's role.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel::flow::Flow;
use kestrel_core::evidence::{Evidence, Fact, Gathered, Need, State};
use kestrel_core::plan::Plan;
use kestrel_core::question::{Question, Span, Topic};

use super::doctor_checks::{self, is_quiet};
use super::output::say;

/// One check of the bot's account.
pub(crate) struct AccountCheck {
    /// `None` if it could not be checked.
    pub(crate) well: Option<bool>,
    /// A sentence.
    pub(crate) text: String,
}

/// Checks the bot's account and every configured source, then whether the store is writable and what the
/// database's role can do.
pub(crate) async fn doctor(config: &Config, account: &[AccountCheck]) -> Result<ExitCode> {
    let user = match &config.matrix {
        Some(matrix) => matrix.user.clone(),
        None => bail!("the config has no [matrix] section"),
    };
    // Everything that any question could need from a source.
    let topic = Topic::All { user, device: Some("doctor".into()), event: None };
    let question = Question { topic, span: Span::Unsaid };
    let now = Timestamp::now();
    let server = config.server.name.as_deref();
    let Ok(plan) = Plan::new(&question, server, config.limits.window, now) else {
        bail!("the check of the sources could not be planned");
    };
    let evidence = Flow::new(Arc::new(config.clone())).collect(&plan).await;
    let mut well = true;
    for finding in account {
        let mark = match finding.well {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "unknown",
        };
        well &= finding.well != Some(false);
        say(&format!("{mark:>14}  account: {}\n", finding.text))?;
    }
    for answer in &evidence.gathered {
        well &= source_line(answer, &evidence)?;
    }
    let visible = doctor_checks::visible(&evidence);
    for check in visible.into_iter().chain(doctor_checks::checks(config).await) {
        well &= check.found.is_ok() || !check.sure;
        say(&check.line())?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a source is asked for, for a person.
fn asked_for(need: Need) -> &'static str {
    match need {
        Need::KeyLog => "one-time keys of a device",
        Need::Devices | Need::DeviceList => "devices",
        Need::DeviceKeys => "device keys",
        Need::OneTimeKeys => "one-time keys",
        Need::FallbackKeys => "fallback keys",
        Need::Event => "events",
        Need::EventShape => "event contents",
        Need::Redactions => "redactions",
        Need::Inbox => "to-device inbox",
        Need::Dehydrated => "dehydrated devices",
        Need::ToDeviceLog => "to-device messages",
        Need::DelayLog => "delayed events and latency",
        Need::DelayedEvents => "pending delayed events",
        Need::SentDelays => "delayed events that were sent",
        Need::Metrics => "latency metrics",
        Need::Client => "client report",
        Need::AuthLog => "access tokens and device removals",
        Need::FleetLog => "one-time keys of all devices",
        Need::FleetRows => "stored keys of all devices",
        Need::Replica => "replica state",
    }
}

/// Prints how a source answered; returns whether it did.
fn source_line(answer: &Gathered, evidence: &Evidence) -> Result<bool> {
    let (mark, why) = match &answer.state {
        State::Failed(why) if is_quiet(evidence, answer.need, why) => ("unknown", why.as_str()),
        State::Found | State::Empty => ("ok", answer.what.as_str()),
        State::Failed(why) => ("FAILED", why.as_str()),
        State::NotAsked(why) => ("not queried", why.as_str()),
    };
    let asked = asked_for(answer.need);
    say(&format!("{mark:>14}  {}, {asked}: {why}\n", answer.source))?;
    if let Some(Fact::KeyLog(log)) = &answer.fact {
        for coverage in &log.coverage {
            say(&format!("{:>14}  time zone: {}\n", "", coverage.zone))?;
            let notes = coverage.notes.iter().map(|note| format!("{:>14}  {note}\n", ""));
            say(&notes.collect::<String>())?;
        }
    }
    Ok(mark != "FAILED")
}
