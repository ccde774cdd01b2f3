//! Replies about cases that cannot be shown or asked again, and about one that was deleted.

use crate::render::page::Reply;
use crate::render::plain_replies::said;

/// For `!why` in a thread without a case.
pub fn no_case_here() -> Reply {
    said(
        "There is no case in this thread. Send `!why` in the thread of a verdict, or as a reply to one.",
    )
}

/// For a number that no case has.
pub fn no_such_case(number: u64) -> Reply {
    said(&format!(
        "There is no case {number}. `!cases` lists the newest. Old cases are deleted automatically."
    ))
}

/// For a case that another version saved.
pub fn case_unreadable(number: u64) -> Reply {
    said(&format!(
        "Case {number} cannot be read: another version of Kestrel saved it. Kestrel's log has the error."
    ))
}

/// For a case without a subject.
pub fn not_again(number: u64) -> Reply {
    said(&format!("Case {number} cannot be run again: it does not name a user."))
}

/// For `!case N delete`.
pub fn case_deleted(number: u64) -> Reply {
    said(&format!(
        "Case {number} and its evidence are deleted from the store. The question, the answer and the attached \
         evidence.json are still in the room. Remove them there if they must go too."
    ))
}
