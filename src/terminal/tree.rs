//! `kestrel tree`: the questions of the code, in their order.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kestrel_core::diagnose::questions;
use kestrel_core::evidence;
use kestrel_core::render::{self, Ink};

use super::output::{coloured, say};
use super::triage_flags::Symptom;

/// Which tree, and how.
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// The symptom whose tree to show; default: all four. `all` and `fleet` have no tree of their own and show all
    /// four
    symptom: Option<Symptom>,
    #[arg(long, value_enum, default_value_t = Chart::Text)]
    format: Chart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chart {
    Text,
    Mermaid,
    /// One picture of all requested trees
    Svg,
}

/// Shows the decision tree.
pub(crate) fn tree(flags: &Tree) -> Result<ExitCode> {
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
