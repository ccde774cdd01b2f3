//! Bad usage, in a sentence of its own.

use kestrel_core::command::UsageError;

/// Bad usage, in a sentence of its own.
pub(super) fn slip(says: String) -> UsageError {
    UsageError { says, usage: None }
}
