//! The files that are in a circle, and not mended yet. This list only shrinks.

use crate::walls::rules::Rule;

pub const OPEN_CIRCLES: &[(Rule, &[&str])] = &[];
