//! # Kestrel's core
//!
//! Text and rows become facts, facts become a judgement, a judgement becomes a message. Nothing here opens a file or a
//! socket, starts a process, waits or asks a clock: `now` is a value. The compiler enforces this, because the
//! manifest of this crate names no runtime, Matrix client, database driver or HTTP client.
//!
//! ```text
//! chat line ─► command ─► question ─► plan ─────────────────────────────┐
//!                                                                       ▼ (the shell asks the sources)
//! Synapse's log ─► carriers ─► synapse_log ─┐                        answers
//! a user's file ─────────────► client_files ┴─► evidence ─► diagnose ─► judgement ─► render ─► message
//! log events and looks at the database ─► storm ─► alerts        capture ─► one call, recorded step by step
//! ```
//!
//! * [`command`] reads a chat line. One table is the usage line, the help and the parser.
//! * [`question`] is what a room, a storm, a report, a button and a terminal all ask: a topic and a span.
//! * [`plan`] says what a question means here: which needs, which window.
//! * [`evidence`] is the vocabulary: typed facts, each with its source and the query that shows it again. It imports
//!   no other room. It serialises, and a saved `evidence.json` replays to the same verdict.
//! * [`carriers`] takes a line out of what docker, Kubernetes, journald, syslog or a collector put around it.
//! * [`synapse_log`] turns bytes of Synapse's log into facts. It joins the lines of one request and leaves out what a
//!   client may have written.
//! * [`client_files`] turns what users send into redacted text and facts. The facts are read from the redacted text
//!   alone.
//! * [`diagnose`] turns evidence into a judgement, once a question. A branch of the tree is a folder; each of its
//!   questions is one small file, and the verdict keeps the path. `!tree` prints the same tables. Everything that is the
//!   same in every case is in the verdict's row ([`diagnose::verdict_row`]).
//! * [`storm`] turns log events into alerts, and [`capture`] is one recorded call as a state machine.
//! * [`render`] formats and never decides.
//!
//! ## What a verdict may rest on
//!
//! Anyone can forge lines in Synapse's text log: a newline in a login name writes whole lines. So a text log alone
//! never proves anything. A rejected upload counts when its request ID ties it to an upload of the device. It is
//! proven when the database confirms it: only the server and the device know the value of a stored, unclaimed key, so
//! nobody can have guessed a row that equals the *Old key* of a line. JSON logs escape newlines and prove by
//! themselves.
//!
//! A waiting to-device message names the key that it is encrypted for. If that is not the device's own key, the device
//! can never decrypt it. An empty inbox proves nothing, because messages to an online device wait for milliseconds. A
//! replica proves no absence beyond what it is known to hold ([`evidence::Replica`]). A log that could not have shown a
//! fault says nothing about it ([`evidence::visibility`], [`evidence::blind`]).
//!
//! ## The stable JSON of `kestrel triage --format json`
//!
//! One object: `schema` (1), `symptom`, `subject` {`user`, `device`}, `window` {`from`, `to`},
//! `verdict` {`id`, `certainty` (`proven`, `consistent`, `not-enough-evidence`), `headline`, `explanation`}, `because`,
//! `storm` (if there are rejected uploads), `figures` [{`label`, `text`}], `path` [{`question`, `asked`,
//! `answer` (`yes`, `no`, `unknown`), `because`, `evidence`}], `findings`, `also` [{`id` (`log-info-off`, `log-blind-to`), `certainty`, `text`}] (what
//! holds besides the verdict), `notes`, `evidence` [{`id`, `source`, `state` (`found`,
//! `empty`, `failed`, `not-asked`), `what`, `query`}], `remedies` [{`id`, `rank`, `advice`
//! (`recommended`, `possible`, `will-not-help`, `dangerous`), `blast_radius`}], `missing` [{`need`,
//! `how`}]. Of the whole chain (`symptom` `all`) it is the object of the verdict to act on first, with
//! `branches` next to it, in the order to act: each has its own `symptom`, `verdict`, `path` and so on, its
//! `place` (`root`, `follows`, `independent`, `quiet`, `unknown`) and what it `follows`. Where no device was
//! named, `devices` are those it was chosen from. Times are RFC
//! 3339. Fields are added over time and never renamed.
//!
//! `kestrel triage fleet` has no verdict: `certainty`, `affected` [{`user`, `device`, `causes` (`conflict`,
//! `dead-identity`, `flood`, `exhausted`, `keyless`), `figures`, `since`, `or_before`, `last_seen`, `agent`,
//! `goes_on`, `confirmed`, `proven`}], worst first, `groups` {`cause`, `agent`: [{`name`, `devices`}]},
//! `began_together` {`devices`, `from`, `to`, `suggests` (`client-release`, `restored-database`, `either`)},
//! `cut`, `read`, `unread`, `findings`, `also`, `evidence`.
//!
//! `kestrel storms --format json` is one object: `schema` (1), `storms` [{`storm`, `kind`, `user`, `device`,
//! `address`, `devices`, `count`, `first`, `last`, `started`, `ended`, `verdict`, `sure` (`confirmed`,
//! `unconfirmed`, `contradicted`), `because`, `room`, `root`, `muted_until`}], ongoing ones first, and
//! `mutes` [{`what` (`storm`, `user`, `all`), `storm`, `user`, `until`, `by`}].
//!
//! `kestrel cases --format json` is one object: `schema` (1), `cases` [{`case`, `at`, `symptom`, `subject`,
//! `verdict`, `certainty`, `room`, `thread`, `asker`}], the newest first.

pub mod question;

pub mod command;

pub mod plan;

pub mod evidence;

pub mod carriers;

pub mod synapse_log;

pub mod client_files;

pub mod diagnose;

pub mod storm;

pub mod capture;

pub mod render;
