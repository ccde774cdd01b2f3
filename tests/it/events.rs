//! Events as a real Synapse stores them, broken ones among them → the verdicts of KE-3, under the role of
//! `kestrel grants` and under a plain reader.

use std::time::Instant;

use anyhow::{Context, Result};
use kestrel::command::{Command, event};
use kestrel::config::{Config, Database};
use kestrel::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_lab::{Account, Lab};
use serde_json::{Value, json};

use crate::verdicts::{answer, compare, config, lab_with_role};

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
    let case = answer(config, Command::Ke3(event(id, said)?)).await?;
    let seconds = start.elapsed().as_secs_f32();
    compare(&case, "ke3", cause, seconds, (verdict, certainty))?;
    Ok(case.reply.plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_gets_its_verdict() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let room = Room::open(&lab).await?;
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

    let granted = config(&lab, true);
    let owner = Database { url: lab.database_url().parse()? };
    let plain_reader = Config { database: Some(owner), ..granted.clone() };
    for config in [&plain_reader, &granted] {
        let said = expect(config, "sound", (&sound, ""), "event-well-formed", Consistent).await?;
        assert!(said.contains(&format!("device {}", room.owner.device_id)), "{said}");
        assert!(!said.contains("secret"), "a body reached the room: {said}");
        for (cause, event) in &broken {
            expect(config, cause, (event, ""), "event-malformed", Proven).await?;
        }
        expect(config, "rot13", (&unknown, ""), "event-unsupported", Proven).await?;
        expect(config, "nul-name", (&nul, ""), "event-unsupported", Proven).await?;
        let said = expect(config, "redacted", (&redacted, ""), "event-redacted", Proven).await?;
        assert!(said.contains(&room.owner.user_id), "{said}");
        expect(config, "broken", (&broken_and_redacted, ""), "event-redacted", Proven).await?;
        expect(config, "plain", (&plain, ""), "event-not-encrypted", Proven).await?;
        expect(config, "state", (&state, ""), "event-not-encrypted", Proven).await?;
        expect(config, "nobody", ("$no:such", ""), "event-unknown", Proven).await?;
    }

    // The client's column: of an empty content, and of the very one.
    let user = &room.owner.user_id;
    let column =
        |content: usize| format!("at line 1 column {}", 63 + sound.len() + user.len() + content);
    let words = column(2);
    let said = expect(&granted, "column", (&sound, &words), "event-client", Consistent).await?;
    assert!(said.contains("the client read {}"), "{said}");
    let words = column(good.to_string().len());
    expect(&granted, "same-column", (&sound, &words), "event-well-formed", Consistent).await?;
    let blind = Config { database: None, ..granted };
    expect(&blind, "blind", (&sound, ""), "inconclusive", NotEnoughEvidence).await?;
    Ok(())
}
