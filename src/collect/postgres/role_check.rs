//! The checks of `kestrel doctor` on Kestrel's role and session: the role can only read, and the session's
//! time limit works. They write nothing: they query permissions and never try them.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use super::connect;
use crate::config::Database;

/// The result of one check, as a sentence; an error if there is something to do.
pub type CheckResult = Result<String, String>;

/// Write permissions that a role may have. Functions are found by name, because their arguments differ
/// between versions of PostgreSQL.
const RIGHTS: &str = "SELECT \
     (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), \
     EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace \
       AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import') \
       AND has_function_privilege(p.oid, 'EXECUTE')), \
     EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace \
       AND p.proname = 'pg_logical_emit_message' AND has_function_privilege(p.oid, 'EXECUTE')), \
     has_database_privilege(current_database(), 'TEMPORARY'), \
     has_database_privilege(current_database(), 'CREATE') OR EXISTS (SELECT FROM pg_namespace n \
       WHERE n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(n.oid, 'CREATE')), \
     EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
       WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
       AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
         OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')))";
const WORDS: [&str; 5] = [
    "create large objects",
    "write to the write-ahead log",
    "create temporary tables",
    "create tables",
    "change tables",
];

/// The session's time limit in this check, and the length of the statement that must hit it.
const LIMIT: Duration = Duration::from_millis(300);
const STATEMENT: Duration = Duration::from_secs(2);

/// Whether the role can do more than read.
pub async fn reads_only(database: &Database, deadline: Duration) -> CheckResult {
    timeout(deadline, rights(database, deadline)).await.unwrap_or_else(|_| silent(deadline))
}

async fn rights(database: &Database, deadline: Duration) -> CheckResult {
    let client = connect::open(database, deadline).await?;
    let row = client.query_one(RIGHTS, &[]).await;
    let row = row.map_err(|error| connect::words(&error, "the role's rights"))?;
    if row.get::<_, Option<bool>>(0) == Some(true) {
        return Err(
            "the role is a superuser and can change everything. Create a role with the SQL from `kestrel \
             grants`, and use it in database.url"
                .into(),
        );
    }
    let can = |at: usize| row.get::<_, Option<bool>>(at + 1) == Some(true);
    let rights: Vec<_> = WORDS.iter().enumerate().filter(|(at, _)| can(*at)).collect();
    if rights.is_empty() {
        return Ok("the role can read but not write".into());
    }
    let rights: Vec<_> = rights.into_iter().map(|(_, words)| *words).collect();
    Err(format!(
        "the role can {}. Kestrel only reads, but anyone with its password could fill the disk. Run the SQL \
         from `kestrel grants` in Synapse's database as a superuser, and again after each update of Kestrel",
        listed(&rights)
    ))
}

/// Whether the session's own time limit cancels a statement. Settings of the role or of a function do not
/// count: a role can have any limit, and a function's limit has no effect while it runs.
pub async fn limit_binds(database: &Database, deadline: Duration) -> CheckResult {
    let longest = deadline + STATEMENT * 2;
    timeout(longest, limit(database, deadline)).await.unwrap_or_else(|_| silent(longest))
}

async fn limit(database: &Database, deadline: Duration) -> CheckResult {
    let words = |error: &Error| connect::words(error, "the session's time limit");
    let client = connect::open(database, deadline).await?;
    connect::bind(&client, LIMIT).await.map_err(|error| words(&error))?;
    match sleep(&client).await {
        Err(error) if connect::is_out_of_time(&error) => Ok(format!(
            "the session's statement_timeout works: a statement was cancelled after {} ms",
            LIMIT.as_millis()
        )),
        Err(error) => Err(words(&error)),
        Ok(()) => Err(format!(
            "the session's statement_timeout has no effect: a statement ran for {} s although the limit is {} \
             ms, so a slow query could load the database for a long time. Something between Kestrel and \
             PostgreSQL drops session settings, such as a connection pooler in transaction mode. Point \
             database.url at PostgreSQL itself, or set pool_mode = session for Kestrel",
            STATEMENT.as_secs(),
            LIMIT.as_millis()
        )),
    }
}

fn silent(waited: Duration) -> CheckResult {
    Err(format!("the database did not answer within {} s", waited.as_secs_f32()))
}

async fn sleep(client: &Client) -> Result<(), Error> {
    client.execute("SELECT pg_sleep($1)", &[&STATEMENT.as_secs_f64()]).await.map(drop)
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_one_list() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
