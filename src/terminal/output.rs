//! Standard output, plain or coloured. A reader that closes it early is not an error.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use kestrel_core::render::{Ink, Page};

/// Writes to standard output. A closed pipe, as in `| head -1`, is not an error.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said.context("standard output cannot be written"),
    }
}

/// Prints a page, in colour on a terminal.
pub(super) fn show(page: &Page) -> Result<()> {
    let ink = if coloured(&std::io::stdout()) { Ink::Colour } else { Ink::Plain };
    say(&page.terminal(ink))
}

/// Whether to use colour on a stream: <https://no-color.org>.
pub(crate) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
