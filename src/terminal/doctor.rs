//! `kestrel doctor`: the config, the account, every source, the store and the database's role.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel::flow::Flow;
use kestrel_core::evidence::{Evidence, Fact, Gathered, State};
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
        bail!("a question about a device needs its name");
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

/// Prints how a source answered; returns whether it did.
fn source_line(answer: &Gathered, evidence: &Evidence) -> Result<bool> {
    let (mark, why) = match &answer.state {
        State::Failed(why) if is_quiet(evidence, answer.need, why) => ("unknown", why.as_str()),
        State::Found | State::Empty => ("ok", answer.what.as_str()),
        State::Failed(why) => ("FAILED", why.as_str()),
        State::NotAsked(why) => ("not asked", why.as_str()),
    };
    say(&format!("{mark:>14}  {} {:?}: {why}\n", answer.source, answer.need))?;
    if let Some(Fact::KeyLog(log)) = &answer.fact {
        for coverage in &log.coverage {
            say(&format!("{:>14}  times: {}\n", "", coverage.zone))?;
            let notes = coverage.notes.iter().map(|note| format!("{:>14}  {note}\n", ""));
            say(&notes.collect::<String>())?;
        }
    }
    Ok(mark != "FAILED")
}
