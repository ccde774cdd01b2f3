//! Kestrel (architecture page to be written by the room that wires everything).
pub mod collect;
pub mod command;
pub mod config;
pub mod diagnose;
pub mod evidence;
pub mod flow;
pub mod plan;
pub mod render;
