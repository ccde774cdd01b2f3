//! Sources as they are on a bad day, and the database role: what it may read, what it may not, and that
//! every probe goes by an index.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kestrel::collect::postgres::{grants, limit_binds, reads_only};
use kestrel::config::{Config, Database};
use kestrel::flow::Flow;
use kestrel_core::diagnose::Certainty::{Consistent, NotEnoughEvidence, Proven};
use kestrel_core::evidence::{Need, State};
use kestrel_core::plan::Plan;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_lab::{Lab, faults};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::terminal::kestrel;
use crate::verdicts::{ROLE, config, judge, lab_with_role};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_role_reads_key_material_by_index_and_nothing_else() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    lab.sql(&grants(ROLE)).await.context("the grants do not run twice")?;
    let patient = faults::silent(&lab).await?;
    let subject = (patient.user.clone(), patient.device.clone());
    let case = judge(&config(&lab, true), &subject).await?;

    let (role, connection) =
        tokio_postgres::connect(&lab.database_url_as(ROLE), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for secret in [
        "SELECT token FROM access_tokens",
        "SELECT password_hash FROM users",
        "SELECT json FROM event_json",
        "SELECT message_json FROM device_inbox",
        "SELECT ip FROM devices",
        "SELECT ip FROM user_ips",
        "SELECT session_data FROM e2e_room_keys",
        "SELECT * FROM devices",
        "CREATE TEMPORARY TABLE t (x int)",
        "CREATE TABLE t (x int)",
        "DELETE FROM e2e_one_time_keys_json",
    ] {
        let answer = role.batch_execute(secret).await;
        assert!(answer.is_err(), "the role may run {secret}");
    }
    role.batch_execute("SET enable_seqscan = off").await?;
    let mut explained = 0;
    for answer in case.evidence.gathered.iter().filter(|answer| answer.need.is_of_database()) {
        for statement in answer.query.split(";\n") {
            let plan = role.query(&format!("EXPLAIN {statement}"), &[]).await?;
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{statement}: {plan:#?}");
            assert!(plan.iter().any(|line| line.contains("Index")), "{statement}: {plan:#?}");
            explained += 1;
        }
    }
    assert_eq!(explained, 5, "a probe was not explained");

    // The runbook's own set-up: a role that may read the tables whole.
    let owner = Database::new(lab.database_url().parse()?);
    let plain = Config { database: Some(owner), ..config(&lab, true) };
    let again = judge(&plain, &subject).await?;
    assert_eq!(crate::verdict(&again).id, crate::verdict(&case).id);
    assert_eq!(crate::verdict(&again).certainty, Proven);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_source_that_is_down_is_evidence() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let subject = (patient.user.clone(), patient.device.clone());
    let whole = config(&lab, true);

    // A port that takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgresql://kestrel@{}/synapse", mute.local_addr()?);
    let mut slow = Config { database: Some(Database::new(url.parse()?)), ..whole.clone() };
    slow.limits.deadline = Duration::from_millis(1500);
    let start = Instant::now();
    let case = judge(&slow, &subject).await?;
    assert!(start.elapsed() < Duration::from_secs(4), "the deadline did not hold");
    assert_eq!(
        (crate::verdict(&case).id.name(), crate::verdict(&case).certainty),
        ("otk-diverged", Consistent)
    );
    assert!(case.reply.plain.contains("did not answer within 1.5 s"), "{}", case.reply.plain);

    drop(mute);
    let gone = Config { database: Some(Database::new(url.parse()?)), ..whole.clone() };
    let case = judge(&gone, &subject).await?;
    assert!(case.reply.plain.contains("Connection refused"), "{}", case.reply.plain);

    // A role without grants: the answer names the table and the way out.
    lab.sql("CREATE ROLE stranger LOGIN").await?;
    let url = lab.database_url_as("stranger").parse()?;
    let stranger = Config { database: Some(Database::new(url)), ..whole.clone() };
    let case = judge(&stranger, &subject).await?;
    assert!(case.reply.plain.contains("kestrel grants"), "{}", case.reply.plain);

    // A role that may not read one table: the others still prove.
    lab.sql("REVOKE SELECT (user_id) ON devices FROM kestrel").await?;
    let case = judge(&whole, &subject).await?;
    assert_eq!(
        (crate::verdict(&case).id.name(), crate::verdict(&case).certainty),
        ("otk-recreated", Proven)
    );
    lab.sql(&grants(ROLE)).await?;

    // No log: the database alone still proves an eviction, for it holds keys of the dead account.
    let mut logless = whole.clone();
    logless.logs[0].path = lab.scratch().join("no-such.log");
    let case = judge(&logless, &subject).await?;
    assert_eq!(
        (crate::verdict(&case).id.name(), crate::verdict(&case).certainty),
        ("otk-recreated", Proven)
    );
    let healthy = faults::healthy(&lab).await?;
    let case = judge(&logless, &(healthy.user.clone(), healthy.device.clone())).await?;
    assert_eq!(
        (crate::verdict(&case).id.name(), crate::verdict(&case).certainty),
        ("inconclusive", NotEnoughEvidence)
    );
    assert!(case.reply.plain.contains("no-such.log"), "{}", case.reply.plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_saved_case_replays_to_the_same_verdict_and_holds_no_key() -> Result<()> {
    let lab: Lab = lab_with_role(Default::default()).await?;
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let config = config(&lab, true);
    let case = judge(&config, &(patient.user.clone(), patient.device.clone())).await?;
    let flow = Flow::new(Arc::new(config));
    let saved = flow.evidence_json(&case.evidence);
    let replayed = serde_json::from_str(&saved)?;
    assert_eq!(kestrel_core::diagnose::diagnose(&replayed).id, crate::verdict(&case).id);
    assert_eq!(flow.why(&replayed), flow.why(&case.evidence));
    // This server uses no MAS, so its log has nothing of it.
    let mut answers = case.evidence.gathered.iter().filter(|answer| answer.need != Need::AuthLog);
    assert!(answers.all(|answer| answer.state == State::Found));

    let log = std::fs::read_to_string(lab.log_path())?;
    let old = log.split("Old key: {\"key\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let old = old.context("no refusal in the log")?;
    assert!(saved.contains(&old[..8]), "the head of the key is not shown");
    assert!(!saved.contains(old), "a whole key value is in evidence.json");
    assert!(!saved.contains("127.0.0.1"), "a whole address is in evidence.json");
    Ok(())
}

/// What nobody may do who was given Kestrel's password. Two ways are closed to a mere reader only by the grants:
/// large objects, and tables in `public` of a database that is as old as PostgreSQL 14.
const WRITES: [&str; 24] = [
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lowrite(0, 'x')",
    "SELECT lo_truncate64(0, 1)",
    "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000))",
    "CREATE TABLE public.t (x int)",
    "CREATE TEMPORARY TABLE t (x int)",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE public.t AS (x int)",
    "CREATE SCHEMA s",
    "CREATE PUBLICATION p",
    "SELECT nextval('events_stream_seq')",
    "SELECT setval('events_stream_seq', 1)",
    "INSERT INTO devices (user_id, device_id) VALUES ('x', 'y')",
    "DELETE FROM device_inbox",
    "COPY (SELECT 1) TO '/tmp/kestrel-was-here'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_create_physical_replication_slot('s')",
    "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
    "SET temp_file_limit = -1",
    "ALTER ROLE kestrel RESET temp_file_limit",
];

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_role_can_write_nothing() -> Result<()> {
    let lab = Lab::start(Default::default()).await?;
    // As a database is that was made by PostgreSQL 14, with an owner of its own for Synapse's tables, and with
    // somebody in it who uses large objects.
    lab.sql(
        "GRANT CREATE ON SCHEMA public TO PUBLIC;
         CREATE ROLE owner LOGIN; CREATE TABLE public.theirs (x int); ALTER TABLE public.theirs OWNER TO owner;
         CREATE ROLE kept LOGIN; SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO kept;
         CREATE ROLE kestrel LOGIN",
    )
    .await?;
    let of =
        |role: &str| -> Result<Database> { Ok(Database::new(lab.database_url_as(role).parse()?)) };
    let reader = reads_only(&of(ROLE)?, PATIENCE).await.unwrap_err();
    assert!(reader.contains("create large objects"), "{reader}");
    assert!(reader.contains("create tables"), "{reader}");
    assert!(reader.contains("SQL from `kestrel grants`"), "{reader}");
    let superuser = reads_only(&Database::new(lab.database_url().parse()?), PATIENCE).await;
    assert!(superuser.unwrap_err().contains("is a superuser"));

    for _ in 0..2 {
        lab.sql(&grants(ROLE)).await.context("the grants do not run")?;
    }
    assert_eq!(
        reads_only(&of(ROLE)?, PATIENCE).await,
        Ok("the role can read but not write".into())
    );
    let role = connect(&lab.database_url_as(ROLE)).await?;
    for mode in ["READ ONLY", "READ WRITE"] {
        role.batch_execute(&format!("SET SESSION CHARACTERISTICS AS TRANSACTION {mode}")).await?;
        for write in WRITES {
            let refused = role.batch_execute(write).await.expect_err(write);
            let denied = [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::READ_ONLY_SQL_TRANSACTION];
            let code = refused.code().context("no answer")?;
            assert!(denied.contains(code), "{mode}: {write}: {refused:?}");
        }
    }
    role.batch_execute("SET default_transaction_read_only = off").await?;
    assert!(role.batch_execute("BEGIN READ WRITE; SELECT lo_create(0)").await.is_err());
    let limit = connect(&lab.database_url_as(ROLE)).await?;
    let limit: String = limit.query_one("SHOW temp_file_limit", &[]).await?.get(0);
    assert_eq!(limit, "256MB");

    let all = connect(&lab.database_url()).await?;
    let objects = all.query("SELECT oid::bigint FROM pg_largeobject_metadata", &[]).await?;
    let objects: Vec<i64> = objects.iter().map(|row| row.get(0)).collect();
    assert_eq!(objects, [4711], "large objects were made");
    // Those who wrote before still may.
    let owner = connect(&lab.database_url_as("owner")).await?;
    owner.batch_execute("CREATE TABLE public.more (x int)").await?;
    let kept = connect(&lab.database_url_as("kept")).await?;
    kept.batch_execute("SELECT lo_put(4711, 0, 'x'); SELECT lo_unlink(4711)").await?;
    Ok(())
}

/// Two ends of a connection that lose what a session sets, as a pooler does that shares connections by
/// transaction.
async fn forgetful(to: String) -> Result<String> {
    async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        const SET: &[u8] = b"statement_timeout = ";
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            let at = bytes[..read].windows(SET.len()).position(|window| window == SET);
            let digits = at.into_iter().flat_map(|at| at + SET.len()..read);
            for at in digits.take_while(|at| *at < read).collect::<Vec<_>>() {
                if !bytes[at].is_ascii_digit() {
                    break;
                }
                bytes[at] = b'0';
            }
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&to).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out));
            tokio::spawn(pass(far_in, near_out));
        }
    });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_session_ends_its_own_statements_whatever_its_role_may() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    lab.sql("ALTER ROLE kestrel SET statement_timeout = '1h'").await?;
    let url = lab.database_url_as(ROLE);
    let bound = limit_binds(&Database::new(url.parse()?), PATIENCE).await;
    assert!(bound.as_ref().is_ok_and(|says| says.contains("after 300 ms")), "{bound:?}");

    let server =
        url.split('@').nth(1).and_then(|rest| rest.split('/').next()).context("no host")?;
    let between = forgetful(server.to_owned()).await?;
    let url = format!("{}?sslmode=disable", url.replace(server, &between));
    let bound = limit_binds(&Database::new(url.parse()?), PATIENCE).await;
    let says = bound.unwrap_err();
    assert!(says.contains("has no effect") && says.contains("pool_mode = session"), "{says}");
    Ok(())
}

/// Makes the lab's PostgreSQL ask Kestrel's role for its password, and waits until it does.
async fn ask_for_password(lab: &Lab) -> Result<()> {
    let all = connect(&lab.database_url()).await?;
    let file: String = all.query_one("SHOW hba_file", &[]).await?.get(0);
    let rules = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("host all {ROLE} 127.0.0.1/32 scram-sha-256\n{rules}"))?;
    all.batch_execute("SELECT pg_reload_conf()").await?;
    let deadline = Instant::now() + PATIENCE;
    while connect(&lab.database_url_as(ROLE)).await.is_ok() {
        anyhow::ensure!(Instant::now() < deadline, "it asks for no password");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// How the database answered one question about devices.
async fn asked(flow: &Flow) -> Result<State> {
    let user = "@nobody:lab.local".try_into()?;
    let topic = Topic::Ke1 { user, device: Some("D".into()) };
    let question = Question { topic, span: Span::Unsaid };
    let plan = Plan::new(&question, None, Duration::from_secs(60), jiff::Timestamp::now());
    let plan = plan.expect("a device is named");
    let evidence = flow.collect(&plan).await;
    let answer = evidence.gathered.into_iter().find(|answer| answer.need == Need::Devices);
    Ok(answer.context("devices were not asked for")?.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_new_password_is_used_without_a_restart() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let change = async |password: &str| {
        let sql = "SET password_encryption = 'scram-sha-256'; ALTER ROLE kestrel PASSWORD";
        lab.sql(&format!("{sql} '{password}'")).await
    };
    change("first").await?;
    ask_for_password(&lab).await?;
    let file = lab.scratch().join("password");
    let write = |text: &str, mode: u32| -> Result<()> {
        std::fs::write(&file, text)?;
        Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?)
    };
    write("first\n", 0o600)?;
    let url = lab.database_url_as(ROLE);
    let text = format!(
        "server.name = \"lab.local\"\n[database]\nurl = \"{url}\"\npassword_file = \"password\""
    );
    let database = Config::parse(&text, lab.scratch())?.database;
    let database = database.context("no database")?;
    // One process from here on.
    let flow =
        Flow::new(Arc::new(Config { database: Some(database.clone()), ..config(&lab, true) }));
    assert_eq!(asked(&flow).await?, State::Empty);

    let refused = async |says: &str| -> Result<()> {
        let State::Failed(why) = asked(&flow).await? else { anyhow::bail!("it was let in") };
        assert!(why.contains("rejected the role's password") && why.contains(says), "{why}");
        assert!(!why.contains("first") && !why.contains("third"), "{why}");
        Ok(())
    };
    change("second").await?;
    refused("put the role's current password into the file named by database.password_file")
        .await?;
    write("second\n", 0o600)?;
    assert_eq!(asked(&flow).await?, State::Empty);
    assert_eq!(database.current().password(), Some("second"), "the old one is tried each time");
    // What works is not looked up again.
    write("third\n", 0o600)?;
    assert_eq!(asked(&flow).await?, State::Empty);
    change("fourth").await?;
    refused("the current value of database.password_file is rejected too").await?;
    write("fourth\n", 0o644)?;
    refused("reading database.password_file again failed").await?;
    write("fourth\n", 0o600)?;
    assert_eq!(asked(&flow).await?, State::Empty);
    lab.sql("ALTER ROLE kestrel NOLOGIN").await?;
    let State::Failed(why) = asked(&flow).await? else { anyhow::bail!("it was let in") };
    assert!(why.contains("the password is not the cause") && why.contains("pg_hba.conf"), "{why}");
    Ok(())
}

/// The config of a bot in the lab that never signed in, for `kestrel doctor`.
pub(crate) fn config_file(lab: &Lab) -> Result<PathBuf> {
    let file = lab.scratch().join("kestrel.toml");
    let text = format!(
        "store = \"store\"\n[matrix]\nhomeserver = \"{}\"\nuser = \"@kestrel:{}\"\n\
         rooms = [\"!ops:lab.local\"]\nadmins = [\"@a:lab.local\"]\n[[logs]]\nname = \"main\"\npath = \"{}\"\n\
         [database]\nurl = \"{}\"\n",
        lab.homeserver(),
        lab.server_name(),
        lab.log_path().display(),
        lab.database_url_as(ROLE)
    );
    std::fs::write(&file, text)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_doctor_checks_the_role_the_session_and_the_store() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    faults::healthy(&lab).await?;
    lab.log_written().await?;
    let file = config_file(&lab)?;
    let doctor = || {
        let said = kestrel(&["doctor", "--config", &file.to_string_lossy()]);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        (said.status.code(), text)
    };
    let (code, text) = doctor();
    println!("{text}");
    for line in [
        "ok  database role: the role can read but not write",
        "ok  database session: the session's statement_timeout works",
        "ok  store folder: ",
        "does not exist yet; `kestrel login` creates it",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    // The bot of this config has no session, and nothing else is wrong.
    let failed: Vec<_> = text.lines().filter(|line| line.contains("FAILED")).collect();
    assert!(failed.iter().all(|line| line.contains("account")), "{failed:?}");
    assert_eq!(code, Some(1), "{text}");
    std::fs::create_dir(lab.scratch().join("store"))?;
    lab.sql("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC").await?;
    let (code, text) = doctor();
    assert!(text.contains("FAILED  database role: the role can create large objects. "), "{text}");
    assert!(text.contains("store is writable; "), "{text}");
    assert_eq!(code, Some(1), "{text}");
    Ok(())
}
