//! A verdict on standard output, and the exit status that goes with it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kestrel::flow;
use kestrel_core::diagnose::{Certainty, Judgement};
use kestrel_core::evidence::Evidence;
use kestrel_core::render::{Ink, Page, View};

use super::output::{coloured, say};

/// Not enough evidence for a verdict.
pub(super) const UNDECIDED: u8 = 3;

/// The exit status, for scripts.
pub(super) const EXIT: &str = "Exit status: 0 a verdict was reached, whatever it is; 3 not enough evidence, or \
                               no device given;\n2 bad usage; 1 internal error";

#[derive(Debug, Args)]
pub(super) struct Shown {
    #[arg(long, value_enum, default_value_t = VerdictFormat::Text)]
    pub(super) format: VerdictFormat,
    /// Show every step and query
    #[arg(long)]
    pub(super) why: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum VerdictFormat {
    Text,
    Markdown,
    Json,
}

/// A terminal has flags instead of a room's commands.
pub(super) fn terminal_view(view: View) -> View {
    View { why: "--why", ..view }
}

pub(super) fn print(
    evidence: &Evidence,
    judgement: &Judgement,
    shown: &Shown,
    view: &View,
) -> Result<ExitCode> {
    let text = match shown.format {
        VerdictFormat::Json => format!("{:#}\n", flow::json(evidence, judgement)),
        format if shown.why => styled(flow::why(evidence, judgement, view), format),
        format => styled(flow::page(evidence, judgement, view), format),
    };
    say(&text)?;
    Ok(match judgement.certainty() {
        Certainty::NotEnoughEvidence => UNDECIDED.into(),
        Certainty::Consistent | Certainty::Proven => ExitCode::SUCCESS,
    })
}

fn styled(page: Page, format: VerdictFormat) -> String {
    match format {
        VerdictFormat::Markdown => page.markdown(),
        _ if coloured(&std::io::stdout()) => page.terminal(Ink::Colour),
        _ => page.terminal(Ink::Plain),
    }
}
