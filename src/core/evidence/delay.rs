//! Delayed events (MSC4140) of one user: what is pending, what was sent, what the log says about their
//! restarts, and how fast the homeserver answered. A `delay_id` lets anyone who has it act, so only its
//! digest is here.
//!
//! Requests on delayed events carry no user in Synapse 1.143 to 1.155: whose they are is judged later, by
//! the digest of a row or by the address. So all of them are kept, a group each delayed event, bounded.

mod facts;
pub(crate) mod join;
mod latency;
mod metrics;
pub(crate) mod minutes;

pub use facts::*;
pub use latency::Latency;
pub use metrics::{Metrics, Servlet};
