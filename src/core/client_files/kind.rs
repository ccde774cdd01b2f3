//! The kinds of files that are understood.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A client's diagnostics report.
    Report,
    /// A browser's network log.
    Har,
    /// A console log or a rageshake log.
    Console,
}

impl Kind {
    /// As a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Report => "a diagnostics report",
            Self::Har => "a network log",
            Self::Console => "a client's log",
        }
    }

    /// The name that it gets, safe as a file name.
    pub(crate) fn file(self, number: usize) -> String {
        let (name, ending) = match self {
            Self::Report => ("report", "json"),
            Self::Har => ("network", "har"),
            Self::Console => ("console", "log"),
        };
        match number {
            1 => format!("{name}.{ending}"),
            number => format!("{name}-{number}.{ending}"),
        }
    }
}
