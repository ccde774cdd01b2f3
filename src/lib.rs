//! # Kestrel
//!
//! A Matrix bot that sits in a homeserver's ops room and turns an encryption failure into a verdict. It
//! reads Synapse's log and its PostgreSQL database, walks a decision tree, and answers in a thread: what
//! is wrong, how sure it is, why, what to do next, and what each remedy would cost. It never writes to
//! the homeserver and never runs a remedy.
//!
//! This page is the architecture. The modules below stand in the order of the flow.
//!
//! ```text
//! chat line ─┐
//! storm ─────┴► command ─► plan ─► collect ─► evidence ─► diagnose ─► render ─► reply in a thread
//!                                    ├─ logs: a file, found by time, read forward
//!                                    ├─ postgres: one read-only probe a table; an inbox is watched first
//!                                    └─ prometheus: latency by servlet, beside the log's
//! ```
//!
//! One direction, no way back. The chain is spelled once, in [`flow`]; the bot, the terminal and the storm
//! watch call it.
//!
//! * A **command** is what was typed; a **plan** is what that means here.
//! * **Collect** is the only part that touches the outside world. A source that fails is evidence too:
//!   every answer is found, empty, failed (why) or not asked.
//! * **Evidence** is the vocabulary: typed facts, each with where it came from and the query that shows
//!   it again. It serialises, and a saved `evidence.json` replays to the same verdict.
//! * **Diagnose** is pure: evidence in, verdict out. Each question of the tree is one small function in
//!   its branch's table ([`diagnose::questions`](kestrel_core::diagnose::questions)), and the verdict keeps the path. `!tree` shows the very
//!   tables. [`diagnose::chain()`](kestrel_core::diagnose::chain()) puts the branches of one device in the order to act.
//! * **Render** formats and never decides; a storm's timeline it draws ([`render::picture`](kestrel_core::render::picture)).
//! * **Storm** stands beside the flow: sights of log lines, and slow looks at the database where they are
//!   asked for ([`flow::Flow::poll`]), become alerts, and the flow judges each as it judges a question.
//! * A **report** is a file of a user's client: redacted as it is read ([`evidence::artefact`](kestrel_core::client_files::intake)), believed of
//!   its sender only, and judged with what the server says over the report's own times ([`flow::report`]). The
//!   ops room gets the verdict, its sender a receipt that holds nothing of the server's.
//!
//! ## How it speaks first
//!
//! ```text
//! log ─► collect::logs::follow ─► sights ─► storm ─► events ─┐ one transaction: places in the logs,
//!        (whole lines, once)      (a second  (pure)           ├► the watch's state, storms, messages owed
//!                                  each)                      ┘        │
//!                                room ◄─ sent once ◄─ judged ◄─────────┘ by the chain above
//! ```
//!
//! What was read, what it came to and what is owed for it are written together, so a crash at any point
//! reads again what was not written, and counts nothing twice. A message's transaction id follows from the
//! ledger's row, so sending it again after a crash gives the same event. Counting needs no homeserver:
//! what falls due while it is away is worded then, and sent when it is back.
//!
//! ## How an answer outlives a crash
//!
//! ```text
//! sync ─► gate ─► ledger: open task ─► worked on ─► ledger: settled, messages owed ─► sent once
//!   (who, how     (durable before                   (one transaction)                (in order, a room at
//!    it came)      work begins)                                                        a time, late if need be)
//! ```
//!
//! The ledger is the queue: it is bounded, and the next process takes up what is open. A start reads each room
//! back to the newest event that was heard. A transaction id follows from the event that caused a message, so a
//! message that is sent again after a crash is the same event. The tasks that do this, and those of the storm
//! watch, are supervised: each is started again when it ends, or the process ends with an error. A command counts
//! only when it came encrypted from a device of its sender; one that silences, deletes or controls a capture needs
//! a cross-signed device.
//!
//! ## How it holds its account
//!
//! One process at a time works on the bot's account. A lease in the account's data names the store and the run that
//! hold it; nothing compares two clocks, and every write is read back, because account data has no
//! compare-and-swap. The loop that listens is polled only while the lease is surely this process's own, so after
//! an outage of the homeserver it is checked before anything goes on. A device that can never work again (deleted,
//! or its crypto store lost or put back) is replaced where a password is at hand, under the identity that the
//! account has; that identity is replaced only when a person asks for it. Where only a person can help, `run` ends
//! with [`bot::NeedsPerson`], and `kestrel run` with status 4.
//!
//! ## How a call is captured
//!
//! [`capture`](kestrel_core::capture) is a session as a state machine: what happened and when in, what is to be done out. The bot
//! gives each session a task that feeds it time, commands and reactions, writes its state to the ledger
//! before it posts anything, and at the end lets the flow judge the window and bundle what it rests on:
//! evidence, the logs' records about the subject ([`collect::logs::slice`], redacted by
//! [`evidence::artefact::server_message`](kestrel_core::synapse_log::server_message)), statements, samples, reports, marks. [`store::bundle`] packs and
//! reads it; `kestrel replay bundle.zip` judges it again from the bundle alone.
//!
//! ## The walls
//!
//! | room | may name | never |
//! |---|---|---|
//! | [`evidence`](kestrel_core::evidence) | – | any other room; tokio, files, sockets, the clock |
//! | [`command`](kestrel_core::command) | – | collect, diagnose, bot |
//! | [`config`] | evidence | every other room |
//! | [`diagnose`](kestrel_core::diagnose) | evidence | everything else; regex, the clock, the environment |
//! | [`plan`](kestrel_core::plan) | command, evidence, diagnose (needs only) | collect, the clock |
//! | [`storm`](kestrel_core::storm), [`capture`](kestrel_core::capture) | evidence | every other room; the clock |
//! | [`render`](kestrel_core::render) | command, evidence, diagnose, storm, capture | collect, bot, store, the clock |
//! | [`collect`] | plan, evidence, config | command, diagnose, render, bot, store |
//! | [`store`] | evidence, storm, capture, config | collect, diagnose, bot, render |
//! | [`flow`] | command … render, storm, capture, config | bot, the Matrix client |
//! | [`bot`] | command (to parse), flow, render, storm, capture, [`collect::logs::follow`], store, config, evidence (to carry) | plan, diagnose, postgres |
//!
//! `tokio_postgres` stands in `collect/postgres` only, `reqwest` in `collect/prometheus`, `rusqlite` in
//! `store/ledger` and the Matrix client in `bot`. A test holds the walls (`tests/it/walls.rs`), and clippy
//! forbids the clock outside `main` and `bot`.
//!
//! ## What a verdict may rest on
//!
//! Synapse's text log can be forged by anyone: a newline in a login name writes whole lines. So a text
//! log alone never proves. A refusal counts when its request id ties it to an upload of the device's own,
//! and it proves when the database confirms it: the value of a stored, unclaimed key is known to the
//! server and the device only, so a row that equals the *Old key* of a line cannot have been guessed.
//! Terse JSON logs escape newlines and prove by themselves. A waiting to-device message names the key that
//! it is encrypted for: one for another key than the device's own can never be opened by it. An inbox that
//! is empty proves nothing, because an online device's messages wait for milliseconds. A database that is a
//! replica proves no absence beyond what it is known to hold, and what the log shows for less than a minute is not
//! denied for certain by any. See [`evidence::replica`](kestrel_core::evidence::replica),
//! [`evidence::attribute`](kestrel_core::synapse_log::attribution), [`evidence::to_device`](kestrel_core::evidence::to_device) and [`diagnose`](kestrel_core::diagnose).
//!
//! ## The stable JSON of `kestrel triage --format json`
//!
//! One object: `schema` (1), `symptom`, `subject` {`user`, `device`}, `window` {`from`, `to`},
//! `verdict` {`id`, `certainty` (`proven`, `consistent`, `not-enough-evidence`), `headline`}, `because`,
//! `storm` (where there are refusals), `figures` [{`label`, `text`}], `path` [{`question`, `asked`,
//! `answer` (`yes`, `no`, `unknown`), `because`, `evidence`}], `findings`, `also` [{`id` (`log-info-off`, `log-blind-to`), `certainty`, `text`}] (what
//! holds besides the verdict), `notes`, `evidence` [{`id`, `source`, `state` (`found`,
//! `empty`, `failed`, `not-asked`), `what`, `query`}], `remedies` [{`id`, `rank`, `advice`
//! (`recommended`, `possible`, `will-not-help`, `dangerous`), `blast_radius`}], `missing` [{`need`,
//! `how`}]. Of the whole chain (`symptom` `all`) it is the object of the verdict to act on first, with
//! `branches` beside it, in the order to act: each has its own `symptom`, `verdict`, `path` and so on, its
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
//! `unconfirmed`, `contradicted`), `because`, `room`, `root`, `muted_until`}], those that go on first, and
//! `mutes` [{`what` (`storm`, `user`, `all`), `storm`, `user`, `until`, `by`}].
//!
//! `kestrel cases --format json` is one object: `schema` (1), `cases` [{`case`, `at`, `symptom`, `subject`,
//! `verdict`, `certainty`, `room`, `thread`, `asker`}], the newest first.

pub mod config;

pub mod collect;

pub mod store;

pub mod flow;

pub mod bot;
