//! Matrix and nothing else: events of the ops rooms → commands for the flow, and its answers → threads.
//!
//! One task syncs and accepts commands: they are in the ledger before work begins. A second task answers them, and a
//! third sends the answers. Each of them, and the storm watch, is supervised: it is restarted when it ends, or the
//! process ends. No message body, token or key reaches the log.

// The bot reads the clock and passes the time on as a value.
#![allow(clippy::disallowed_methods)]

mod account;
mod attachment;
mod buttons;
mod captures;
mod chat_line;
mod clock_offset;
mod event_age;
mod event_origin;
mod lifecycle;
mod messages;
mod ops_rooms;
mod outbox;
mod panic_guard;
mod permission;
mod rate_limit;
mod request;
mod responder;
mod run;
mod settings;
mod storm_watch;
mod supervisor;
mod sync_loop;
mod task_queue;
mod timeline_event;

pub use account::checkup::{Finding, Is};
pub use account::cross_signing::Wishes;
pub use account::login::{LoggedIn, Secret};
pub use account::session_end::NeedsPerson;
pub use run::{COMMAND_LOG_FILTER, RUN_LOG_FILTER, check, login, run};
