//! # Kestrel's core
//!
//! Everything that Kestrel knows and nothing that it does: text and rows become facts, facts become a verdict,
//! a verdict becomes a message. No file, no socket, no clock, no runtime; `now` is a value.

pub mod question;

pub mod command;

pub mod plan;

pub mod evidence;

pub mod diagnose;

pub mod storm;

pub mod capture;

pub mod render;
