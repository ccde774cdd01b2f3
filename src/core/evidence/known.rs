//! An answer that tells "there is none" from "nobody could say".

/// The answer to "what do we know of this?".
#[derive(Debug, Clone)]
pub enum Known<T> {
    /// A source said so; the ids name the evidence.
    Is(T, Vec<String>),
    /// Every source that was asked was read whole and holds none.
    None(Vec<String>),
    /// A source failed or was not asked, and no other source answered; the text says why.
    Unknown(String, Vec<String>),
}

impl<T> Known<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value, _) => Some(value),
            _ => None,
        }
    }

    /// The ids of the evidence behind the answer.
    pub fn ids(&self) -> &[String] {
        match self {
            Self::Is(_, ids) | Self::None(ids) | Self::Unknown(_, ids) => ids,
        }
    }

    /// Why nothing is known, where nothing is.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why, _) => Some(why),
            _ => None,
        }
    }
}
