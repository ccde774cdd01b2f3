//! A verdict or a storm → a reply for a phone: plain text and HTML, Markdown, a coloured terminal, JSON, or a
//! picture. It formats, never decides.

mod answer;
pub mod capture;
pub mod case;
mod chain;
mod chart;
mod chart_lanes;
mod fleet;
mod glyph;
pub mod json;
pub mod judged;
mod page;
mod plain_replies;
pub mod replies;
pub mod report;
pub mod storm;
mod svg;
mod tree;
mod view;
mod why;

pub use answer::{LINES, answer};
pub use chain::{brief, chain, chain_why};
pub use chart::{Picture, chart, picture};
pub use fleet::{fleet, fleet_why};
pub use page::{Ink, Page, Reply};
pub use plain_replies::{
    devices, dropped, foreign_user, help, late, lines, restarted, usage_error,
};
pub use svg::svg;
pub use tree::{all_remedies, mermaid, remedies, remedies_named, tree, trees, what_to_do};
pub use view::View;
pub use why::why;

#[cfg(test)]
mod snapshot_tests;
