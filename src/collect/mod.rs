//! Plan → what the sources say. The only part that touches the outside world.
//!
//! All sources are asked at once, under one deadline; where an inbox is watched, that comes first and has a
//! time of its own. A source that fails is an answer too: nothing here returns an error, and nothing here
//! decides.

pub mod logs;
pub mod postgres;
pub mod prometheus;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Config, LogSource};
use kestrel_core::evidence::blind::blind_answers;
use kestrel_core::evidence::{Evidence, Fact, Gathered, Need, SCHEMA, State};
use kestrel_core::plan::Plan;

/// How long a question may take that had to wait for the others.
const LAST_QUESTION: Duration = Duration::from_secs(1);
/// After the stop flag is up, a reader has this long to hand over what it has.
const HAND_OVER: Duration = Duration::from_millis(750);
/// How late a line may reach Synapse's log (its handler's buffer, by default).
const LATE: Duration = Duration::from_secs(5);

/// Asks every source and returns the evidence, signatures checked.
pub async fn run(plan: &Plan, config: &Config) -> Evidence {
    let deadline = config.limits.deadline;
    let (plan, watched) = watch(plan, config, deadline).await;
    let (plan, start) = (&plan, Instant::now());
    let (logs, mut rows, metrics) = tokio::join!(
        read_logs(plan, &config.logs, deadline),
        postgres::probe(plan, config.database.as_ref(), deadline),
        prometheus::ask(plan, config.prometheus.as_ref(), deadline)
    );
    // What a log says of devices is asked about in the database afterwards.
    postgres::confirm(&logs, &mut rows, config.database.as_ref(), deadline).await;
    let mut found: Vec<_> = logs.into_iter().chain(watched).chain(rows).collect();
    if plan.needs.contains(&Need::SentDelays) {
        // What is left of the deadline; a moment at least, so that a slow log does not hide a fast database.
        let left = deadline.saturating_sub(start.elapsed()).max(LAST_QUESTION);
        let rooms = rooms(&found);
        found.push(
            postgres::delayed::sent(&rooms, plan.window, config.database.as_ref(), left).await,
        );
    }
    postgres::doubt(&mut found);
    let mut evidence = Evidence {
        schema: SCHEMA,
        symptom: plan.symptom,
        subject: plan.subject.clone(),
        window: plan.window,
        now: plan.now,
        gathered: found.into_iter().chain(metrics).chain(plan.given()).collect(),
    };
    for (number, answer) in (1..).zip(&mut evidence.gathered) {
        answer.id = format!("E{number}");
    }
    evidence.check_signatures();
    evidence
}

/// Watches the inbox where that is asked for. What is read afterwards is read up to the end of it.
async fn watch(plan: &Plan, config: &Config, deadline: Duration) -> (Plan, Option<Gathered>) {
    let mut plan = plan.clone();
    let Some(length) = plan.live else { return (plan, None) };
    let start = Instant::now();
    let seen = postgres::watch(&plan, config.database.as_ref(), length, deadline).await;
    // A log is written up to five seconds late: what happened in the watch is waited for.
    sleep(if seen.as_ref().is_some_and(|seen| seen.fact.is_some()) {
        LATE
    } else {
        Duration::ZERO
    })
    .await;
    let passed = SignedDuration::try_from(start.elapsed()).unwrap_or_default();
    let end = plan.now.checked_add(passed).unwrap_or(plan.now);
    if plan.window.to == plan.now {
        plan.window.to = end;
    }
    plan.now = end;
    (plan, seen)
}

/// The rooms of the user's calls: where events are pending, then where the log has some made, newest first.
fn rooms(found: &[Gathered]) -> Vec<String> {
    let mut rooms: Vec<String> = Vec::new();
    let pending = found.iter().filter_map(|answer| match &answer.fact {
        Some(Fact::DelayedEvents(table)) => Some(table.rows.iter().map(|row| &row.room)),
        _ => None,
    });
    let made = found.iter().filter_map(|answer| match &answer.fact {
        Some(Fact::DelayLog(log)) => Some(log.made.iter().rev().map(|made| &made.room)),
        _ => None,
    });
    for room in pending.flatten().chain(made.flatten()) {
        if rooms.len() < postgres::delayed::ROOMS && !rooms.contains(room) {
            rooms.push(room.clone());
        }
    }
    rooms
}

/// Reads all logs side by side; each stops at the deadline and hands over what it has read.
async fn read_logs(plan: &Plan, sources: &[LogSource], deadline: Duration) -> Vec<Gathered> {
    let needs = || plan.needs.iter().copied().filter(|need| Need::OF_LOGS.contains(need));
    if needs().next().is_none() {
        return Vec::new();
    }
    let unread = |source: &str, state: &State| -> Vec<Gathered> {
        let of = |need| Gathered::unread(need, source, String::new(), state.clone());
        needs().map(of).collect()
    };
    if sources.is_empty() {
        return unread("log", &State::NotAsked("no log is configured".into()));
    }
    let sources = logs::distinct(sources);
    let stop = Arc::new(AtomicBool::new(false));
    let asked = logs::Asked { about: plan.subject.clone(), window: plan.window, needs: plan.needs };
    let beside = |source: &LogSource| logs::siblings::of(source, &sources);
    let readers: Vec<_> =
        sources.iter().map(|source| spawn(&asked, (source, beside(source)), &stop)).collect();
    let timer = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            tokio::time::sleep(deadline).await;
            stop.store(true, Ordering::Relaxed);
        }
    });
    let mut answers = Vec::with_capacity(sources.len());
    for (source, reader) in sources.iter().zip(readers) {
        let name = format!("log:{}", source.name);
        answers.extend(match timeout(deadline + HAND_OVER, reader).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => unread(&name, &State::Failed(format!("the reader stopped: {error}"))),
            Err(_) => unread(&name, &State::Failed(format!("no answer within {deadline:?}"))),
        });
    }
    stop.store(true, Ordering::Relaxed);
    timer.abort();
    fail_blind(&mut answers);
    answers
}

/// A log that could not have shown what was asked is not empty: it failed.
fn fail_blind(answers: &mut [Gathered]) {
    for need in Need::OF_LOGS {
        let all: Vec<_> = answers.iter().filter(|answer| answer.need == need).collect();
        let Some(blind) = blind_answers(&all, need) else { continue };
        let is_blind = |source: &str| blind.logs.iter().any(|log| source == format!("log:{log}"));
        for answer in answers.iter_mut().filter(|answer| answer.need == need) {
            if answer.state == State::Empty && is_blind(&answer.source) {
                answer.state = State::Failed(blind.text());
            }
        }
    }
}

fn spawn(
    asked: &logs::Asked,
    (source, siblings): (&LogSource, Vec<PathBuf>),
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Vec<Gathered>> {
    let (asked, source, stop) = (asked.clone(), source.clone(), Arc::clone(stop));
    tokio::task::spawn_blocking(move || logs::read(&source, &siblings, &asked, &stop))
}
