//! What journald, docker, Kubernetes, syslog, a collector or a person put around a line → the line as the program
//! wrote it, with the time and the process that the carrier names.
//!
//! It knows no program's records: its callers say what a record looks like. It never guesses: a line whose head does
//! not fit whole stays as it is.

mod heads;
mod json;
mod layer;
mod peeled;
mod pieces;
mod times;
mod unwrapper;
mod wrapping;

pub use self::unwrapper::{Carried, Unwrapper};
pub use self::wrapping::Wrappings;
