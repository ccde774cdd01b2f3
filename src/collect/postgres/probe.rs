//! Everything that a plan needs of the database, in one session.

use std::time::Duration;

use kestrel_core::evidence::{About, Fact, Gathered, Need, State};
use kestrel_core::plan::Plan;
use tokio_postgres::{Client, Error};

use super::answers::{answer, table, unread};
use super::inbox::{live, read};
use super::{connect, delayed, device, event, fleet, replica};
use crate::config::Database;

/// Queries the database for everything that the plan needs.
pub async fn probe(plan: &Plan, database: Option<&Database>, deadline: Duration) -> Vec<Gathered> {
    // A watched inbox is already answered; the rooms for `SentDelays` are known later.
    let asked = |need: &Need| {
        let later = *need == Need::SentDelays || *need == Need::Inbox && plan.live.is_some();
        need.is_of_database() && !later
    };
    let needs: Vec<Need> = plan.needs.iter().copied().filter(asked).collect();
    let Some(database) = database else {
        let why = State::NotAsked("no database is configured".into());
        return needs.into_iter().map(|need| unread(need, &plan.subject, why.clone())).collect();
    };
    let mut asked = SessionAnswers::default();
    let came =
        tokio::time::timeout(deadline, ask(plan, database, deadline, &needs, &mut asked)).await;
    let SessionAnswers { mut answers, replica } = asked;
    let why = match came {
        Ok(Ok(())) => {
            live::again(plan, database, deadline, &mut answers).await;
            answers.extend(replica);
            return answers;
        }
        Ok(Err(why)) => why,
        Err(_) => format!("it did not answer within {} s", deadline.as_secs_f32()),
    };
    for need in needs.into_iter().skip(answers.len()) {
        answers.push(unread(need, &plan.subject, State::Failed(why.clone())));
    }
    answers.extend(replica);
    answers
}

/// The results of a session so far.
#[derive(Default)]
struct SessionAnswers {
    answers: Vec<Gathered>,
    /// The replica status, if the database is one.
    replica: Option<Gathered>,
}

async fn ask(
    plan: &Plan,
    database: &Database,
    deadline: Duration,
    needs: &[Need],
    asked: &mut SessionAnswers,
) -> Result<(), String> {
    let client = connect::open(database, deadline).await?;
    let lag = replica::lag(&client).await;
    asked.replica = lag.map(|lag| replica::gathered(&lag, plan.now, plan.window));
    connect::begin(&client).await?;
    let answers = &mut asked.answers;
    for need in needs {
        // A failed statement aborts the transaction unless there is a savepoint: what the role can read
        // counts, even if it cannot read other tables.
        let point = client.batch_execute("SAVEPOINT probe").await;
        point.map_err(|error| connect::words(&error, table(*need)))?;
        match fact(&client, *need, &plan.subject).await {
            Ok(fact) => answers.push(answer(*need, &plan.subject, fact)),
            Err(error) => {
                let why = connect::words(&error, table(*need));
                if client.batch_execute("ROLLBACK TO SAVEPOINT probe").await.is_err() {
                    return Err(why);
                }
                answers.push(unread(*need, &plan.subject, State::Failed(why)));
            }
        }
    }
    Ok(())
}

/// Queries one need for the subject of the question; a need that does not fit the subject has no answer.
async fn fact(client: &Client, need: Need, about: &About) -> Result<Option<Fact>, Error> {
    match need {
        Need::Event | Need::EventShape | Need::Redactions => match about.event() {
            Some(subject) => event::ask(client, need, &subject.event).await,
            None => Ok(None),
        },
        Need::FleetRows => Ok(Some(Fact::FleetRows(fleet::ask(client).await?))),
        Need::DelayedEvents => match about.user() {
            Some(user) => delayed::pending(client, user).await,
            None => Ok(None),
        },
        Need::Inbox | Need::Dehydrated => match about.device() {
            Some(subject) => read::ask(client, need, subject).await,
            None => Ok(None),
        },
        _ => match about.device() {
            Some(subject) => device::ask(client, need, subject).await,
            None => Ok(None),
        },
    }
}
