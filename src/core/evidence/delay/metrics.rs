//! Latency as Prometheus measured it.

use serde::{Deserialize, Serialize};

/// What Prometheus measured over the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Over how many seconds, up to the window's end.
    pub seconds: u64,
    /// By servlet, slowest first.
    pub servlets: Vec<Servlet>,
    /// The 99th percentile of waiting for a connection of the pool, seconds.
    pub pool: Option<f64>,
    /// The 99th percentile of one turn of the reactor, seconds.
    pub reactor: Option<f64>,
    /// The highest lag of event processing, milliseconds.
    pub lag: Option<f64>,
}

/// One servlet's latency, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Servlet {
    pub name: String,
    pub count: f64,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl Metrics {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let slowest = self.servlets.iter().find(|servlet| servlet.p99.is_some());
        match slowest {
            None => {
                format!("no request in the {} s before the end of the log window", self.seconds)
            }
            Some(servlet) => format!(
                "{} servlets over {} s; the slowest p99 is {:.3} s, of {}",
                self.servlets.len(),
                self.seconds,
                servlet.p99.unwrap_or_default(),
                servlet.name
            ),
        }
    }

    /// Whether it has anything of the homeserver.
    pub fn says_anything(&self) -> bool {
        !self.servlets.is_empty()
    }

    /// The servlets that restart delayed events: by the path, and by the body.
    pub fn restarts(&self) -> impl Iterator<Item = &Servlet> {
        let names = ["RestartDelayedEventServlet", "UpdateDelayedEventServlet"];
        self.servlets.iter().filter(move |servlet| names.contains(&servlet.name.as_str()))
    }
}
