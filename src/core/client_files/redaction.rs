//! What of a client's log may be stored: lines, keys and IDs whose words are known to be safe.

pub(crate) mod keys;
pub(crate) mod line;
pub(crate) mod phrases;
pub(crate) mod safe;
