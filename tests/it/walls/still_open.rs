//! Breaches that were found and are not mended yet. A line that is no longer needed fails the test: this list only
//! shrinks.

use super::rules::Rule;

/// Rule → where it is broken. The test prints the list as it should be.
pub const STILL_OPEN: &[(Rule, &[&str])] =
    &[(Rule::ManyParameters, &["collect/postgres/connect.rs: verify_server_cert"])];
