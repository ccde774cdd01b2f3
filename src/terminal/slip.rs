//! Bad usage, in a sentence of its own.

use kestrel_core::command::Slip;

/// Bad usage, in a sentence of its own.
pub(super) fn slip(says: String) -> Slip {
    Slip { says, usage: None }
}
