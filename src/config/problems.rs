//! All problems of a config, reported at once.

/// All problems of a config, in the order of its sections; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// One sentence each, beginning with the full key.
    pub list: Vec<String>,
}

impl Problems {
    pub(super) fn one(problem: String) -> Self {
        Self { list: vec![problem] }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.list.as_slice() {
            [one] => out.write_str(one),
            many => {
                write!(out, "the config has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for Problems {}
