//! Prometheus → the homeserver's latency over the window, as its own metrics measured it.

use std::time::Duration;

use crate::config::Prometheus;
use crate::evidence::{Gathered, Need, State};
use crate::plan::Plan;

/// Asks for what the plan needs of it.
pub async fn ask(
    plan: &Plan,
    prometheus: Option<&Prometheus>,
    _deadline: Duration,
) -> Vec<Gathered> {
    if !plan.needs.contains(&Need::Metrics) {
        return Vec::new();
    }
    let why = match prometheus {
        None => State::NotAsked("no Prometheus is configured".into()),
        Some(_) => State::NotAsked("it is not asked yet".into()),
    };
    vec![Gathered::unread(Need::Metrics, "prometheus", String::new(), why)]
}
