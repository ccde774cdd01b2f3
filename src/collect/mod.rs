//! Plan → what the sources say. The only part that touches the outside world.
//!
//! All sources are asked at once, under one deadline. A source that fails is an answer too: nothing here
//! returns an error, and nothing here decides.

pub mod logs;
pub mod postgres;
pub mod prometheus;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{Config, LogSource};
use crate::evidence::{Evidence, Gathered, Need, SCHEMA, State};
use crate::plan::Plan;

/// After the stop flag is up, a reader has this long to hand over what it has.
const HAND_OVER: Duration = Duration::from_millis(750);

/// Asks every source and returns the evidence, signatures checked.
pub async fn run(plan: &Plan, config: &Config) -> Evidence {
    let deadline = config.limits.deadline;
    let (logs, mut rows, metrics) = tokio::join!(
        read_logs(plan, &config.logs, deadline),
        postgres::probe(plan, config.database.as_ref(), deadline),
        prometheus::ask(plan, config.prometheus.as_ref(), deadline)
    );
    // What a log says of devices is asked about in the database afterwards.
    postgres::confirm(&logs, &mut rows, config.database.as_ref(), deadline).await;
    let mut evidence = Evidence {
        schema: SCHEMA,
        symptom: plan.symptom,
        subject: plan.subject.clone(),
        window: plan.window,
        now: plan.now,
        gathered: logs
            .into_iter()
            .chain(rows)
            .chain(metrics)
            .chain(plan.client.iter().cloned())
            .collect(),
    };
    for (number, answer) in (1..).zip(&mut evidence.gathered) {
        answer.id = format!("E{number}");
    }
    evidence.check_signatures();
    evidence
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
    let readers: Vec<_> = sources.iter().map(|source| spawn(&asked, source, &stop)).collect();
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
    answers
}

fn spawn(
    asked: &logs::Asked,
    source: &LogSource,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Vec<Gathered>> {
    let (asked, source, stop) = (asked.clone(), source.clone(), Arc::clone(stop));
    tokio::task::spawn_blocking(move || logs::read(&source, &asked, &stop))
}
