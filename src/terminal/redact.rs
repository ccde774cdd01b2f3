//! `kestrel redact`: prints what would be stored of a user's files, and on standard error what was read and removed,
//! so that a user can check before sending.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kestrel_core::evidence::client_file::{Artefact, Limits};
use serde_json::json;

use super::client_files::{file_limits, taken};
use super::output::say;

/// The files to read.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent or written to disk. Exit status: 0 every file was read; 2 a file cannot be \
                  read"
)]
pub(crate) struct Redact {
    /// Diagnostics reports, HAR files, logs, and archives or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do not remove IP addresses
    #[arg(long)]
    addresses: bool,
    #[arg(long, value_enum, default_value_t = RedactFormat::Text)]
    format: RedactFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RedactFormat {
    Text,
    /// One JSON object per file, each on its own line
    Json,
}

/// Shows what would be stored.
pub(crate) fn redact(flags: &Redact) -> Result<ExitCode> {
    let limits = Limits { addresses: flags.addresses, ..file_limits() };
    let mut ended = ExitCode::SUCCESS;
    for file in &flags.files {
        let parcel = match taken(file, &limits) {
            Ok(parcel) => parcel,
            Err(why) => {
                eprintln!("kestrel: {why}");
                ended = ExitCode::from(2);
                continue;
            }
        };
        for note in &parcel.notes {
            eprintln!("{}: {note}", file.display());
        }
        for artefact in &parcel.artefacts {
            show(file, artefact, flags.format)?;
        }
    }
    Ok(ended)
}

fn show(file: &Path, artefact: &Artefact, shape: RedactFormat) -> Result<()> {
    let Artefact { kind, name, facts, text, removed } = artefact;
    if shape == RedactFormat::Json {
        let shown = json!({
            "name": name, "kind": kind, "removed": removed, "facts": facts, "text": text,
        });
        return say(&format!("{shown}\n"));
    }
    eprintln!("{}: {}, {}", file.display(), kind.words(), facts.summary());
    eprintln!("{}: removed: {}", file.display(), removed.summary());
    say(&format!("== {name}\n{text}"))
}
