//! stub
use crate::config::LogSource;
use crate::evidence::{KeyLog, State, Subject, Window};
use std::sync::atomic::AtomicBool;
pub struct LogReading {
    pub state: State,
    pub log: Option<KeyLog>,
    pub what: String,
    pub query: String,
}
pub fn read_key_log(_: &LogSource, _: &Subject, _: Window, _: &AtomicBool) -> LogReading {
    todo!()
}
