//! A question of KE-3 that the database did not answer.

use crate::diagnose::tree_walk::{Walk, database_how};
use crate::diagnose::verdict::Answer;
use crate::evidence::Known;

/// A question that the database did not answer.
pub(super) fn unread<T>(walk: &mut Walk, why: &str, of: &Known<T>) {
    walk.step(Answer::Unknown, why, of);
    walk.missing("the database", database_how(why));
}
