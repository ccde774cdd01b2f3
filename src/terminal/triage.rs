//! `kestrel triage`: a question from flags alone → a verdict.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use kestrel::flow::{Answer, Flow};

use super::output::say;
use super::slip::slip;
use super::triage_flags::Triage;
use super::verdict_output::{UNDECIDED, print, terminal_view};

/// Evaluates one device or one event from the flags.
pub(crate) async fn triage(flags: Triage) -> Result<ExitCode> {
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
        // No device was given: list the user's devices.
        Answer::Words(reply) => {
            say(&format!("{}\n", reply.plain))?;
            return Ok(UNDECIDED.into());
        }
    };
    // The answer first: it is valid even if the file cannot be written.
    let code = print(&evidence, &judgement, &flags.shown, &terminal_view(flow.view()))?;
    if let Some(file) = &flags.save {
        std::fs::write(file, flow.evidence_json(&evidence) + "\n")
            .with_context(|| format!("the evidence could not be saved in {}", file.display()))?;
    }
    Ok(code)
}
