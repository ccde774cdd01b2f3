//! A finished capture → its verdict and its bundle, saved in the store and posted in its thread. Repeated after a
//! crash, it gives the same case and the same messages.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ruma::EventId;

use super::session_task::SessionTask;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::flow::{Captured, Case};
use crate::store::{NewCase, bundle};
use kestrel_core::capture::{BundledFile, MANIFEST, Manifest, Session, folder_name};
use kestrel_core::evidence::{ClientFacts, Fact, Gathered, Need, Shown, State};
use kestrel_core::render::replies;

/// The longest delay of a line in Synapse's log (its handler's buffer, by default).
const LATE: i64 = 6;
/// Files that are never left out of a bundle.
const ALWAYS: [&str; 3] = ["evidence.json", "verdict.md", "marks.md"];

impl SessionTask {
    /// Judges the capture, packs the bundle, saves it and posts it.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let window = self.session.window();
        let since = Timestamp::now().duration_since(window.to).as_secs();
        let wait = u64::try_from(LATE - since).unwrap_or(0).min(LATE.unsigned_abs());
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let case = self.judge().await;
        let evidence = case.as_ref().map(|case| &case.evidence);
        let (slices, notes) = self.context.flow.slices(&self.session, evidence).await;
        let captured = Captured {
            session: &self.session,
            number: self.number,
            case: case.as_deref(),
            slices: &slices,
            inbox: self.inbox.as_ref(),
            samples: &self.samples,
            reports: self.reports(),
            notes,
        };
        let files = self.context.flow.bundle_files(captured);
        let folder = folder_name(self.session.started);
        let (bytes, left_out) = packed(&self.session, &folder, files, bundle::LARGEST)?;
        let name = format!("{folder}.zip");
        self.context.store.keep_part(self.number, &name, &bytes)?;
        let ledger = self.context.store.ledger();
        ledger.bundle_capture(self.number, &name)?;
        let number = case.as_ref().map(|case| self.open_case(case)).transpose()?;
        let txn = self.txn("bundle");
        room_message::file(&self.room, &self.root, (&name, "application/zip"), bytes, txn).await?;
        let mut reply = match (&case, number) {
            (Some(case), Some(number)) => {
                self.context.flow.numbered(&case.evidence, &case.judgement, number)
            }
            _ => replies::no_device_in_capture(),
        };
        if !left_out.is_empty() {
            let words =
                format!("\nLeft out because the bundle is too large: {}.", left_out.join(", "));
            reply.plain.push_str(&words);
            reply.html.push_str(&words.replace('\n', "<br>\n"));
        }
        let txn = self.txn("verdict");
        let message = OutgoingMessage::quiet(&reply);
        let said =
            room_message::post(&self.room, Destination::Thread(&self.root), &message, &[], txn)
                .await?;
        // A reply to the verdict finds the case too.
        number.map_or(Ok(()), |number| self.context.store.answered(number, &said))
    }

    /// Logs and reports are hostile input: if judging them panics, the bundle is made without a verdict.
    async fn judge(&self) -> Option<Box<Case>> {
        let flow = self.context.flow.clone();
        let session = self.session.clone();
        let client = self.client_said();
        let inbox = self.inbox.clone();
        let now = Timestamp::now();
        let judging = tokio::spawn(async move {
            flow.judge_capture(&session, &client, inbox.as_ref(), now).await
        });
        judging.await.unwrap_or_else(|error| {
            tracing::error!("capture {} could not be evaluated: {error}", self.number);
            None
        })
    }

    fn open_case(&self, case: &Case) -> Result<u64> {
        // A name that no event has: a thread can have several captures, each with its case.
        let began = self.session.started.as_millisecond();
        let cause = EventId::parse(format!("$capture-{}-{began}", self.number))?;
        let number = self.context.store.open_case(&NewCase {
            cause: &cause,
            thread: &self.root,
            room: self.room.room_id(),
            asker: &self.session.asked.by,
            verdict: case.judgement.name(),
            certainty: case.judgement.certainty().name(),
            evidence: &case.evidence,
            now: Timestamp::now(),
        })?;
        self.context.store.ledger().judge_capture(self.number, number)?;
        Ok(number)
    }

    /// What clients reported during the capture.
    fn client_said(&self) -> Vec<Gathered> {
        let of = |(name, text): (String, Vec<u8>)| {
            let facts: ClientFacts = serde_json::from_slice(&text).ok()?;
            let source = format!("client:{name}");
            let what = facts.summary();
            let fact = Some(Fact::Client(Box::new(facts)));
            Some(Gathered::answered(
                Need::Client,
                &source,
                State::Found,
                Shown { what, query: String::new() },
                fact,
            ))
        };
        self.parts("facts-").into_iter().filter_map(of).collect()
    }

    fn reports(&self) -> Vec<(String, Vec<u8>)> {
        let short =
            |(name, text): (String, Vec<u8>)| (name.trim_start_matches("report-").to_owned(), text);
        self.parts("report-").into_iter().map(short).collect()
    }

    fn parts(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let store = &self.context.store;
        let names = store.parts(self.number).unwrap_or_default();
        let ours = names.into_iter().filter(|name| name.starts_with(prefix));
        ours.filter_map(|name| {
            let text = store.part(self.number, &name).ok()??;
            Some((name, text.into_bytes()))
        })
        .collect()
    }
}

/// The zip, with a manifest; where it is larger than `most`, the largest files are left out and named.
fn packed(
    session: &Session,
    folder: &str,
    mut files: Vec<(String, Vec<u8>)>,
    most: usize,
) -> Result<(Vec<u8>, Vec<String>)> {
    let mut left_out = Vec::new();
    loop {
        let listed = files.iter().map(|(name, content)| BundledFile::from_content(name, content));
        let version = env!("CARGO_PKG_VERSION");
        let manifest = Manifest::for_session(session, version, listed.collect());
        let manifest = manifest.context("the capture is not over")?;
        files.push((MANIFEST.to_owned(), serde_json::to_vec_pretty(&manifest)?));
        let bytes = bundle::pack(folder, &files)?;
        files.pop();
        let optional = |(name, _): &&(String, Vec<u8>)| !ALWAYS.contains(&name.as_str());
        let largest = files.iter().filter(optional).max_by_key(|(_, content)| content.len());
        let Some((largest, _)) = largest.filter(|_| bytes.len() > most) else {
            return Ok((bytes, left_out));
        };
        let largest = largest.clone();
        files.retain(|(name, _)| *name != largest);
        left_out.push(largest);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use ruma::user_id;

    use super::*;
    use kestrel_core::capture::{CaptureRequest, Input};

    #[test]
    fn what_makes_a_bundle_too_large_is_left_out_and_named() {
        let now = Timestamp::from_second(1_763_820_000).unwrap();
        let user = user_id!("@a:example.org").to_owned();
        let length = SignedDuration::from_mins(30);
        let asked = CaptureRequest { user: user.clone(), device: None, by: user.clone(), length };
        let (mut session, _) = Session::begin(asked, now);
        assert!(packed(&session, "f", Vec::new(), 1).is_err(), "it is not over");
        session.take(Input::Stopped { by: user }, now);
        // What does not compress: a generator's numbers.
        let mut state = 5_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(100_000)
        .collect();
        let file = |name: &str, length: usize| (name.to_owned(), noise[..length].to_vec());
        let files = vec![
            file("evidence.json", 50_000),
            file("log/main.log", 90_000),
            file("reports/01-network.har", 100_000),
            file("metrics.json", 100),
        ];
        let (bytes, left) = packed(&session, "f", files.clone(), 1 << 20).unwrap();
        assert!(left.is_empty());
        assert_eq!(bundle::unpack(&bytes).unwrap().files.len(), 4);
        let (bytes, left) = packed(&session, "f", files, 60_000).unwrap();
        assert_eq!(left, ["reports/01-network.har", "log/main.log"]);
        let kept: Vec<_> = bundle::unpack(&bytes).unwrap().files.into_keys().collect();
        assert_eq!(kept, ["evidence.json", "metrics.json"]);
    }
}
