//! Messages as they arrive, and what they come to.

mod commands;
mod hostile;
mod ids;
mod reading;
mod windows;
