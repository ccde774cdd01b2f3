//! The bot's long-lived tasks → each runs as long as the process does. A task that panics or ends is restarted with a
//! growing pause; one that keeps ending ends the process, with an error that names it. The process does not run
//! without one of its tasks.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// The most ends of one task within an hour.
const MOST_ENDS: usize = 5;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How often a task is started again.
const PACE: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// The pause before a task starts again: it doubles with each end of the task.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    longest: Duration,
}

/// Why a task ended. It never ends without a reason.
#[derive(Debug)]
pub(super) enum TaskEnd {
    /// A restart may help.
    Broke(anyhow::Error),
    /// The process has to end.
    Over(anyhow::Error),
}

/// Why the process ends: a task ended too often.
#[derive(Debug)]
pub(super) struct UnstableTask {
    name: &'static str,
    ends: usize,
}

impl fmt::Display for UnstableTask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ends } = self;
        write!(
            out,
            "the task \"{name}\" ended {ends} times within an hour, so Kestrel stops instead of running without it"
        )
    }
}

type Running = Pin<Box<dyn Future<Output = TaskEnd> + Send>>;

/// A long-lived task, and how it is started.
pub(super) struct SupervisedTask {
    name: &'static str,
    start: Box<dyn Fn() -> Running + Send>,
}

impl SupervisedTask {
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// `name` is for people: `storm watch`.
    pub(super) fn new<F>(name: &'static str, start: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = TaskEnd> + Send + 'static,
    {
        Self { name, start: Box::new(move || Box::pin(start())) }
    }
}

/// The state of the tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskHealth {
    tasks: Arc<Mutex<BTreeMap<&'static str, TaskState>>>,
}

#[derive(Debug, Default)]
struct TaskState {
    ends: Vec<Instant>,
    running: Option<AbortHandle>,
}

impl TaskHealth {
    /// Tasks that ended within the last hour, and how often.
    pub(super) fn restarted(&self) -> Vec<(&'static str, usize)> {
        let now = Instant::now();
        let recent = |standing: &TaskState| {
            standing.ends.iter().filter(|at| now.duration_since(**at) < HOUR).count()
        };
        let tasks = self.lock();
        let counts = tasks.iter().map(|(name, standing)| (*name, recent(standing)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Notes that a task ended; returns how often it did lately.
    fn note_end(&self, name: &'static str) -> usize {
        let now = Instant::now();
        let mut tasks = self.lock();
        let standing = tasks.entry(name).or_default();
        standing.running = None;
        standing.ends.retain(|at| now.duration_since(*at) < HOUR);
        standing.ends.push(now);
        standing.ends.len()
    }

    fn note_start(&self, name: &'static str, running: AbortHandle) {
        self.lock().entry(name).or_default().running = Some(running);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, TaskState>> {
        // A panic elsewhere while it was locked leaves at worst one end uncounted.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl TaskHealth {
    /// Ends a task from outside, as a panic in it would. Returns `false` if it does not run.
    pub(super) fn kill(&self, name: &str) -> bool {
        let tasks = self.lock();
        let running = tasks.get(name).and_then(|standing| standing.running.as_ref());
        running.map(AbortHandle::abort).is_some()
    }

    pub(super) fn runs(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|standing| standing.running.is_some())
    }
}

/// Keeps all tasks running; returns only if one keeps failing, or if the process has to end. Dropping it ends them
/// all.
pub(super) async fn keep(tasks: Vec<SupervisedTask>, health: TaskHealth) -> anyhow::Error {
    keep_at(PACE, tasks, health).await
}

async fn keep_at(pace: Backoff, tasks: Vec<SupervisedTask>, health: TaskHealth) -> anyhow::Error {
    let mut kept = JoinSet::new();
    for task in tasks {
        kept.spawn(keep_one(pace, task, health.clone()));
    }
    match kept.join_next().await {
        Some(Ok(error)) => error,
        Some(Err(error)) => anyhow!(error).context("the supervisor of a task ended"),
        None => std::future::pending().await,
    }
}

async fn keep_one(pace: Backoff, task: SupervisedTask, health: TaskHealth) -> anyhow::Error {
    let name = task.name;
    let mut pause = pace.first;
    loop {
        // A set of one: dropping it aborts the task.
        let mut running = JoinSet::new();
        health.note_start(name, running.spawn((task.start)()));
        let began = Instant::now();
        let why = match running.join_next().await {
            Some(Ok(TaskEnd::Over(error))) => return error,
            Some(Ok(TaskEnd::Broke(error))) => error,
            // A panic's text may quote a user: only the panic hook logs it.
            Some(Err(error)) if error.is_panic() => anyhow!("it panicked"),
            _ => anyhow!("it was aborted"),
        };
        if began.elapsed() > HOUR {
            pause = pace.first;
        }
        let ends = health.note_end(name);
        if ends > MOST_ENDS {
            return why.context(UnstableTask { name, ends });
        }
        tracing::error!("the task \"{name}\" ended ({why:#}) and starts again in {pause:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(pace.longest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    const QUICK: Backoff =
        Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(2) };

    #[tokio::test]
    async fn a_task_that_panics_ends_or_is_killed_starts_again() {
        let (started, mut starts) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let health = TaskHealth::default();
        let task = SupervisedTask::new("fragile", move || {
            let which = count.fetch_add(1, Ordering::SeqCst);
            let started = started.clone();
            async move {
                match which {
                    0 => panic!("planted"),
                    1 => TaskEnd::Broke(anyhow!("planted")),
                    _ => {
                        let _ = started.send(which);
                        std::future::pending().await
                    }
                }
            }
        });
        let keeping = tokio::spawn(keep_at(QUICK, vec![task], health.clone()));
        assert_eq!(starts.recv().await, Some(2));
        assert!(health.kill("fragile"));
        assert_eq!(starts.recv().await, Some(3));
        assert_eq!(health.restarted(), [("fragile", 3)]);
        assert!(!keeping.is_finished());
    }

    #[tokio::test]
    async fn a_task_that_cannot_be_kept_ends_them_all() {
        let (held, alive) = tokio::sync::oneshot::channel::<()>();
        let held = Arc::new(Mutex::new(Some(held)));
        let steady = SupervisedTask::new("steady", move || {
            let held = held.lock().unwrap().take();
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        let broken = SupervisedTask::new("broken", || async { panic!("planted") });
        let error = keep_at(QUICK, vec![steady, broken], TaskHealth::default()).await;
        assert!(error.is::<UnstableTask>());
        assert!(error.to_string().contains("\"broken\" ended 6 times"), "{error}");
        assert!(alive.await.is_err(), "the other task outlived the supervisor");
    }

    #[tokio::test]
    async fn what_is_over_is_not_started_again() {
        let over =
            SupervisedTask::new("over", || async { TaskEnd::Over(anyhow!("the session is over")) });
        let error = keep(vec![over], TaskHealth::default()).await;
        assert_eq!(error.to_string(), "the session is over");
        assert!(!error.is::<UnstableTask>());
    }
}
