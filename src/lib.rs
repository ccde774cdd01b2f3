//! Kestrel (architecture page to be written by the room that wires everything).
pub mod bot;
pub mod collect;
pub mod command;
pub mod config;
pub mod evidence;
pub mod flow;
pub mod render;
pub mod store;
