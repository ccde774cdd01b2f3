//! `kestrel redact`: a user's files → what would be kept of them on standard output, and on standard error
//! what was understood and what was taken out. So a user can look before sending.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kestrel_core::client_files::take_in_from;
use kestrel_core::command::Slip;
use kestrel_core::evidence::client_file::{Artefact, Limits, Parcel};
use serde_json::json;

use super::asked::slip;
use super::{folder, say};

/// What to look at.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent and nothing is written. Exit status: 0 every file was read; \
                        2 a file is none that Kestrel reads"
)]
pub(crate) struct Redact {
    /// Diagnostics reports, HAR files, logs, and archives or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keep IP addresses
    #[arg(long)]
    addresses: bool,
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Text,
    /// One object for each artefact, a line each
    Json,
}

/// Shows what would be kept.
pub(crate) fn redact(flags: &Redact) -> Result<ExitCode> {
    let limits = Limits { addresses: flags.addresses, ..of_terminal() };
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

fn show(file: &Path, artefact: &Artefact, shape: Shape) -> Result<()> {
    let Artefact { kind, name, facts, text, removed } = artefact;
    if shape == Shape::Json {
        let shown = json!({
            "name": name, "kind": kind, "removed": removed, "facts": facts, "text": text,
        });
        return say(&format!("{shown}\n"));
    }
    eprintln!("{}: {}, {}", file.display(), kind.words(), facts.told());
    eprintln!("{}: removed: {}", file.display(), removed.told());
    say(&format!("== {name}\n{text}"))
}

/// A file that a person has at hand may be larger than one that is sent.
pub(super) fn of_terminal() -> Limits {
    Limits { size: 64 << 20, ..Limits::default() }
}

/// Reads a client's file, whatever its kind, or the files of a folder.
pub(super) fn taken(file: &Path, limits: &Limits) -> Result<Parcel, Slip> {
    let shown = file.display();
    if file.is_dir() {
        return folder::taken(file, limits).map_err(|why| slip(format!("{shown}: {why}")));
    }
    let unread = |why| slip(format!("{shown} cannot be read: {why}"));
    let mut open = File::open(file).map_err(unread)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let taken = if open.metadata().is_ok_and(|about| about.is_file()) {
        take_in_from(&name, BufReader::new(open), limits)
    } else {
        // A pipe cannot be read from any place, so it is held.
        let most = limits.size.min(Limits::default().size);
        let mut bytes = Vec::new();
        open.by_ref().take(most as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
        take_in_from(&name, Cursor::new(bytes), &Limits { size: most, ..limits.clone() })
    };
    taken.map_err(|why| slip(format!("{shown}: {why}")))
}
