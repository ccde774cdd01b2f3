//! Bad usage, as one sentence.

use kestrel_core::command::UsageError;

/// Bad usage, as one sentence.
pub(super) fn slip(says: String) -> UsageError {
    UsageError { says, usage: None }
}
