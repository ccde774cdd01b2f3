//! A verdict → a reply for a phone: plain text and HTML. It formats, never decides.

/// One message, ready to send: both bodies say the same. Everything foreign in `html` is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub plain: String,
    pub html: String,
}
