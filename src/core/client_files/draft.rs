//! What was read of one file, before it is decided how much of it is stored.

use crate::client_files::console::lines::Console;
use crate::client_files::har::redaction::Har;
use crate::client_files::report::redaction::Report;

/// What was read of one file; its oldest parts may still be dropped.
pub(crate) enum Draft {
    Report(Report),
    Har(Har),
    Console(Console),
}

impl Draft {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Report(report) => report.bytes(),
            Self::Har(har) => har.bytes(),
            Self::Console(console) => console.bytes(),
        }
    }

    pub(crate) fn shrink(&mut self, budget: usize) {
        match self {
            Self::Report(report) => report.shrink(budget),
            Self::Har(har) => har.shrink(budget),
            Self::Console(console) => console.shrink(budget),
        }
    }
}
