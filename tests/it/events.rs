//! Events as a real Synapse stores them, broken ones among them → the verdicts of KE-3, under the role of
//! `kestrel grants` and under a plain reader.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kestrel::config::{Config, Database};
use kestrel_core::command::event;
use kestrel_core::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_core::question::Topic;
use kestrel_lab::{Account, Lab, LabOptions};
use serde_json::{Value, json};

use crate::verdicts::{NEWEST, answer, compare, config, lab_with_role, newest};

/// A room and its owner.
struct Room<'a> {
    lab: &'a Lab,
    owner: Account,
    id: String,
}

impl<'a> Room<'a> {
    async fn open(lab: &'a Lab) -> Result<Self> {
        let owner = lab.register(&lab.fresh_name("writer")).await?;
        let token = Some(owner.access_token.as_str());
        let made = lab.wire().post("/_matrix/client/v3/createRoom", token, json!({})).await?;
        let id = made["room_id"].as_str().context("no room id")?.to_owned();
        Ok(Self { lab, owner, id })
    }

    async fn put(&self, path: &str, content: Value) -> Result<String> {
        let path = format!("/_matrix/client/v3/rooms/{}/{path}", self.id);
        let token = Some(self.owner.access_token.as_str());
        let sent = self.lab.wire().put(&path, token, content).await?;
        Ok(sent["event_id"].as_str().context("no event id")?.to_owned())
    }

    async fn send(&self, kind: &str, content: Value) -> Result<String> {
        let transaction = self.lab.fresh_name("txn");
        self.put(&format!("send/{kind}/{transaction}"), content).await
    }

    async fn encrypted(&self, content: Value) -> Result<String> {
        self.send("m.room.encrypted", content).await
    }

    async fn redact(&self, event: &str) -> Result<()> {
        let transaction = self.lab.fresh_name("txn");
        let path = format!("redact/{}/{transaction}", event.replace('$', "%24"));
        self.put(&path, json!({})).await.map(drop)
    }
}

async fn expect(
    config: &Config,
    cause: &str,
    (id, said): (&str, &str),
    verdict: &str,
    certainty: Certainty,
) -> Result<String> {
    let start = Instant::now();
    let case =
        answer(config, crate::verdicts::over_default_window(Topic::Ke3(event(id, said)?))).await?;
    let seconds = start.elapsed().as_secs_f32();
    compare(&case, "ke3", cause, seconds, (verdict, certainty))?;
    Ok(case.reply.plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_event_gets_its_verdict() -> Result<()> {
    each_event(&lab_with_role(Default::default()).await?, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_event_gets_its_verdict_on_the_newest_synapse() -> Result<()> {
    each_event(&lab_with_role(newest()).await?, &format!(" {NEWEST}")).await
}

/// `on` names the version behind each cause.
async fn each_event(lab: &Lab, on: &str) -> Result<()> {
    let room = Room::open(lab).await?;
    let good = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "the secret text"});
    let sound = room.encrypted(good.clone()).await?;
    let redacted = room.encrypted(good.clone()).await?;
    room.redact(&redacted).await?;
    let broken_and_redacted = room.encrypted(json!({})).await?;
    room.redact(&broken_and_redacted).await?;
    let plain = room.send("m.room.message", json!({"msgtype": "m.text", "body": "hi"})).await?;
    let state = room.put("state/m.room.encrypted/x", json!({"ciphertext": "x"})).await?;
    let mut broken = Vec::new();
    for (cause, content) in [
        ("no-algorithm", json!({"ciphertext": "x"})),
        ("empty", json!({})),
        ("null", json!({"algorithm": null})),
        ("number", json!({"algorithm": 5})),
        ("object", json!({"algorithm": {}})),
        ("empty-string", json!({"algorithm": ""})),
        ("nul", json!({"ciphertext": "a\u{0}b"})),
    ] {
        broken.push((cause, room.encrypted(content).await?));
    }
    let unknown = room.encrypted(json!({"algorithm": "org.example.rot13"})).await?;
    let nul = room.encrypted(json!({"algorithm": "m.megolm.v1.aes-sha2\u{0}"})).await?;

    let granted = config(lab, true);
    let owner = Database::new(lab.database_url().parse()?);
    let plain_reader = Config { database: Some(owner), ..granted.clone() };
    for config in [&plain_reader, &granted] {
        let said =
            expect(config, &format!("sound{on}"), (&sound, ""), "event-well-formed", Consistent)
                .await?;
        assert!(said.contains(&format!("device {}", room.owner.device_id)), "{said}");
        assert!(!said.contains("secret"), "a body reached the room: {said}");
        for (cause, event) in &broken {
            expect(config, &format!("{cause}{on}"), (event, ""), "event-malformed", Proven).await?;
        }
        expect(config, &format!("rot13{on}"), (&unknown, ""), "event-unsupported", Proven).await?;
        expect(config, &format!("nul-name{on}"), (&nul, ""), "event-unsupported", Proven).await?;
        let said =
            expect(config, &format!("redacted{on}"), (&redacted, ""), "event-redacted", Proven)
                .await?;
        let who = format!("{}, of this server, redacted it", room.owner.user_id);
        assert!(said.contains(&who), "{said}");
        assert!(said.contains("its content stays in the database"), "{said}");
        expect(
            config,
            &format!("broken{on}"),
            (&broken_and_redacted, ""),
            "event-redacted",
            Proven,
        )
        .await?;
        expect(config, &format!("plain{on}"), (&plain, ""), "event-not-encrypted", Proven).await?;
        expect(config, &format!("state{on}"), (&state, ""), "event-not-encrypted", Proven).await?;
        expect(config, &format!("nobody{on}"), ("$no:such", ""), "event-unknown", Proven).await?;
    }

    odd_rows(&granted, &room, (&redacted, &sound), on).await?;
    // The client's column: of an empty content, and of the very one.
    let user = &room.owner.user_id;
    let column =
        |content: usize| format!("at line 1 column {}", 63 + sound.len() + user.len() + content);
    let words = column(2);
    let said =
        expect(&granted, &format!("column{on}"), (&sound, &words), "event-client", Consistent)
            .await?;
    assert!(said.contains("the client read {}"), "{said}");
    let words = column(good.to_string().len());
    expect(
        &granted,
        &format!("same-column{on}"),
        (&sound, &words),
        "event-well-formed",
        Consistent,
    )
    .await?;
    let blind = Config { database: None, ..granted };
    expect(&blind, &format!("blind{on}"), (&sound, ""), "inconclusive", NotEnoughEvidence).await?;
    Ok(())
}

/// Rows that one homeserver alone does not come by: another server's, and a redaction that was not allowed.
async fn odd_rows(
    granted: &Config,
    room: &Room<'_>,
    (redacted, sound): (&str, &str),
    on: &str,
) -> Result<()> {
    let lab = room.lab;
    // As another server's events are stored: their senders live elsewhere, and no device is noted.
    lab.sql(&format!(
        "UPDATE events SET sender = '@far:elsewhere.example' WHERE event_id = '{redacted}' OR event_id = \
         (SELECT event_id FROM redactions WHERE redacts = '{redacted}'); \
         UPDATE event_json SET internal_metadata = '{{}}' WHERE event_id = '{redacted}'"
    ))
    .await?;
    let said =
        expect(granted, &format!("remote{on}"), (redacted, ""), "event-redacted", Proven).await?;
    let (by, from) =
        ("@far:elsewhere.example, of another server, redacted it", "from another server");
    assert!(said.contains(by) && said.contains(from), "{said}");
    // A redaction that was not allowed: Synapse notes that it looked, and keeps the content.
    lab.sql(&format!("UPDATE redactions SET have_censored = true WHERE redacts = '{redacted}'"))
        .await?;
    let cause = format!("not-allowed{on}");
    let said = expect(granted, &cause, (redacted, ""), "event-well-formed", Consistent).await?;
    assert!(said.contains("not allowed"), "{said}");
    // Who may not read whose devices there are does not know which server this is, and says so.
    lab.sql("REVOKE SELECT (user_id) ON devices FROM kestrel").await?;
    let said =
        expect(granted, &format!("stranger{on}"), (sound, ""), "event-well-formed", Consistent)
            .await?;
    assert!(
        said.contains("from this server's device"),
        "Synapse notes devices of its own only: {said}"
    );
    Ok(())
}

/// Synapse prunes what was redacted longer ago than `redaction_retention_period`, by a loop that first runs
/// five minutes after its start (`_censor_redactions`, `Duration(minutes=5)`; nothing in its config makes
/// that shorter). So this takes five minutes, on both versions at once:
///
/// `cargo test --test it -- lab_a_pruned_event --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits five minutes for Synapse's own loop"]
async fn lab_a_pruned_event_is_still_told_as_redacted() -> Result<()> {
    let shortened = || json!({"redaction_retention_period": "1s"}).as_object().cloned();
    let with =
        |options: LabOptions| LabOptions { config: shortened().unwrap_or_default(), ..options };
    let (first, second) =
        tokio::join!(pruned(with(LabOptions::default()), ""), pruned(with(newest()), NEWEST));
    first?;
    second
}

async fn pruned(options: LabOptions, on: &str) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(400);
    let lab = lab_with_role(options).await?;
    let room = Room::open(&lab).await?;
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "the secret text"});
    let event = room.encrypted(content).await?;
    room.redact(&event).await?;
    let config = config(&lab, true);
    let topic = Topic::Ke3(kestrel_core::command::event(&event, "")?);
    let question = crate::verdicts::over_default_window(topic);
    let before = answer(&config, question).await?.reply.plain;
    assert!(before.contains("its content stays in the database"), "{before}");

    let (client, connection) =
        tokio_postgres::connect(&lab.database_url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let censored = "SELECT have_censored, j.json FROM redactions r JOIN event_json j ON j.event_id = r.redacts \
                    WHERE r.redacts = $1";
    let start = Instant::now();
    loop {
        let row = client.query_one(censored, &[&event]).await?;
        if row.get::<_, bool>(0) {
            let json: String = row.get(1);
            assert!(!json.contains("secret") && !json.contains("m.megolm"), "{json}");
            break;
        }
        assert!(start.elapsed() < PATIENCE, "Synapse {on} did not prune it in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    println!("Synapse {} pruned it after {:.0?}", lab.synapse_version(), start.elapsed());
    let cause = format!("pruned {on}");
    let said = expect(&config, cause.trim_end(), (&event, ""), "event-redacted", Proven).await?;
    assert!(said.contains("its content was removed from the database"), "{said}");
    Ok(())
}
