//! # Kestrel
//!
//! A Matrix bot that sits in a homeserver's ops room and turns an encryption failure into a verdict. It reads Synapse's
//! log and its PostgreSQL database, walks a decision tree, and answers in a thread: what is wrong, how sure it is, why,
//! what to do next, and the impact of each fix. It never writes to the homeserver and never runs a fix.
//!
//! This page is the architecture of the shell: everything that touches the outside world. What Kestrel knows is in the
//! pure crate [`kestrel_core`], whose page describes the modules that turn text into a verdict.
//!
//! ```text
//! chat line ─┐
//! report ────┼─► question ─► plan ─► collect ─► evidence ─► diagnose ─► render ─► reply in a thread
//! storm ─────┘                         ├─ logs: a file, found by time, read forward
//!                                      ├─ postgres: one read-only probe a table; an inbox is watched first
//!                                      └─ prometheus: latency by servlet
//! ```
//!
//! Data flows in one direction only. [`flow`] defines the chain once; the bot, the terminal and the storm watch call it.
//! [`collect`] alone asks the sources. A source that fails is evidence too: every answer is found, empty, failed (why)
//! or not asked.
//!
//! ## How it speaks first
//!
//! ```text
//! log ─► collect::logs::follow ─► log events ─► storm ─► events ─┐ one transaction: positions in the logs, the
//!        (whole lines, once)      (per second)   (core)           ├► watch's state, storms, messages to send
//!                                                                 ┘        │
//!                                     room ◄─ sent once ◄─ judged ◄────────┘ by the chain above
//! ```
//!
//! Read positions, counts and messages to send are saved together. After a crash, what was not saved is read again, and
//! nothing is counted twice. A message's transaction ID follows from the ledger's row, so sending it again gives the
//! same event. Counting needs no homeserver: while it is away, messages are written down, and they are sent when it is
//! back.
//!
//! ## How an answer survives a crash
//!
//! ```text
//! sync ─► gate ─► ledger: open task ─► worked on ─► ledger: done, messages to send ─► sent once
//!   (who, how     (durable before                   (one transaction)                (in order, one room at a
//!    it came)      work begins)                                                       time, late if need be)
//! ```
//!
//! The ledger is the queue. It is bounded, and the next process continues with what is open. At start, each room is
//! read back to the newest event that was seen. The tasks that do this are supervised: each is started again when it
//! ends, or the process ends with an error. A command counts only if it came encrypted from a device of its sender. A
//! command that mutes, deletes or controls a capture needs a cross-signed device.
//!
//! ## How it holds its account
//!
//! One process at a time works on the bot's account. A lease in the account's data names the store and the run that
//! hold it. Nothing compares two clocks, and every write is read back, because account data has no compare-and-swap.
//! The sync loop runs only while this process is certain to have the lease, so after an outage of the homeserver the lease is
//! checked first. A device that can never work again (deleted, or its crypto store lost or restored) is replaced if a
//! password is configured, under the account's identity. The identity is replaced only when a person asks for it. If
//! only a person can help, `run` ends with [`bot::NeedsPerson`], and `kestrel run` exits with status 4.
//!
//! ## How a call is captured
//!
//! [`kestrel_core::capture`] is the state machine. The bot gives each session a task that feeds it time, commands and
//! reactions, and saves its state before it posts anything. At the end [`flow`] judges the window and bundles its
//! evidence, the log's records about the subject ([`collect::logs::slice`], redacted by
//! [`kestrel_core::synapse_log::server_message`]), statements, samples, reports and marks. [`store::bundle`] packs and
//! reads it; `kestrel replay bundle.zip` judges it again from the bundle alone.
//!
//! ## The walls
//!
//! | room | may import | never |
//! |---|---|---|
//! | core `evidence` | – | any other room |
//! | core `synapse_log`, `client_files` | evidence | each other, diagnose, render |
//! | core `storm`, `capture` | evidence | each other, readers, diagnose, render |
//! | core `question` | evidence | everything else |
//! | core `command` | question, evidence | readers, diagnose |
//! | core `diagnose` | evidence, question | regex, text of logs |
//! | core `plan` | question, evidence, diagnose (needs only) | – |
//! | core `render` | everything pure | – |
//! | [`config`] | core vocabulary | every other room |
//! | [`collect`] | core (plan, evidence, readers), config | diagnose, render, bot, store |
//! | [`store`] | core (evidence, storm, capture; of diagnose the types of a verdict), config | collect, bot |
//! | [`flow`] | core, collect, store, config | bot, the Matrix client |
//! | [`bot`] | flow, core (command, question, evidence, render, storm, capture), [`collect::logs::follow`], store, config | postgres, exec |
//! | `terminal` | flow, core, collect's readers, store, config | the Matrix client |
//!
//! `tokio_postgres` is used only in `collect/postgres`, HTTP clients in `collect/http`, `rusqlite` in `store/ledger` and the
//! Matrix client in `bot`. A test holds the walls (`tests/it/walls.rs`), and clippy forbids the wall clock and the
//! environment outside `main`, `bot` and `terminal`.

pub mod config;

pub mod collect;

pub mod store;

pub mod flow;

pub mod bot;
