//! `kestrel replay`: evaluates a saved case again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::tz::TimeZone;
use kestrel::flow;
use kestrel::store::bundle;
use kestrel_core::evidence::{Evidence, SCHEMA};
use kestrel_core::render::View;

use super::slip::slip;
use super::verdict_output::{EXIT, Shown, print, terminal_view};

/// A saved case.
#[derive(Debug, Args)]
#[command(after_help = EXIT)]
pub(crate) struct Replay {
    /// A file from `--save`, the evidence.json of a thread, or a capture bundle
    evidence: PathBuf,
    #[command(flatten)]
    shown: Shown,
}

/// Evaluates a saved case again.
pub(crate) fn replay(flags: &Replay) -> Result<ExitCode> {
    let file = flags.evidence.display();
    let bytes = std::fs::read(&flags.evidence)
        .map_err(|why| slip(format!("{file} cannot be read: {why}")))?;
    let text = if bundle::is_zip(&bytes) {
        bundled(&bytes).map_err(|why| slip(format!("{file} is not a bundle: {why}")))?
    } else {
        String::from_utf8(bytes).map_err(|_| slip(format!("{file} is not text")))?
    };
    let evidence: Evidence = serde_json::from_str(&text)
        .map_err(|why| slip(format!("{file} is not a saved evidence.json: {why}")))?;
    if evidence.schema != SCHEMA {
        let theirs = evidence.schema;
        return Err(slip(format!("{file} has schema {theirs}; this Kestrel reads {SCHEMA}")).into());
    }
    print(
        &evidence,
        &flow::judge(&evidence),
        &flags.shown,
        &terminal_view(View::in_zone(TimeZone::UTC)),
    )
}

/// The evidence of a bundle that matches its manifest.
fn bundled(bytes: &[u8]) -> std::result::Result<String, String> {
    let mut bundle = bundle::unpack(bytes)?;
    let evidence = bundle.files.remove("evidence.json");
    let evidence = evidence.ok_or("it has no verdict: no device was identified at the time")?;
    String::from_utf8(evidence).map_err(|_| "its evidence.json is not text".to_owned())
}
