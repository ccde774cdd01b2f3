//! Kestrel (architecture page to be written by the room that wires everything).
pub mod collect;
pub mod config;
pub mod evidence;
