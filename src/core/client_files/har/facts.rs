//! A HAR file (a browser's network log, HAR 1.2) → what the client reports: rejected key uploads with both values, its
//! delayed event requests with their latency, the to-device messages that it sent, and how far its clock is from the
//! server's. Nothing is stored of any other request, and of these no header, token or ID of a delayed event.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::client_files::delays::DelayRequest;
use crate::client_files::json::bounded;
use crate::client_files::report::facts::{KEPT, clip};
use crate::client_files::signs;
use crate::evidence::client::{ClientFacts, ClientRefusal, ClientSent, Sign, Skew};
use crate::evidence::otk::{KeyId, KeyView};

/// Requests that are read.
const ENTRIES: u64 = 100_000;
/// The most targets of one to-device message that are stored.
const TARGETS: usize = 16;

/// The facts of the entries that were read so far.
#[derive(Default)]
pub(crate) struct Read {
    facts: ClientFacts,
    /// Client clock minus server clock, milliseconds.
    skews: Vec<i64>,
    read: u64,
}

/// The parts of one entry that are read.
struct Request<'a> {
    entry: &'a Value,
    path: &'a str,
    at: Option<Timestamp>,
    status: Option<i64>,
    /// Milliseconds.
    took: f64,
}

impl Read {
    pub(crate) fn facts(mut self) -> ClientFacts {
        self.facts.skew = skew(self.skews);
        self.facts
    }

    pub(crate) fn entry(&mut self, entry: &Value) {
        self.read += 1;
        if self.read > ENTRIES {
            self.facts.unknown += 1;
            return;
        }
        let request = &entry["request"];
        let url = request["url"].as_str().unwrap_or_default();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if !path.contains("/_matrix/") {
            return;
        }
        let at = entry["startedDateTime"].as_str().and_then(|text| text.parse().ok());
        if let Some(at) = at {
            let (first, last) = self.facts.span.unwrap_or((at, at));
            self.facts.span = Some((first.min(at), last.max(at)));
        }
        let took = entry["time"].as_f64().filter(|time| time.is_finite() && *time >= 0.0);
        let status = entry["response"]["status"].as_i64();
        let seen = Request { entry, path, at, status, took: took.unwrap_or(0.0) };
        if let Some(skew) = seen.skew() {
            self.skews.push(skew);
        }
        let method = request["method"].as_str().unwrap_or_default();
        if seen.proxied() {
            self.facts.note(Sign::Unreachable, None, at);
        }
        if path.contains("/keys/upload") {
            self.upload(&seen);
        } else if method == "POST" && path.contains("/delayed_events/") {
            self.delay(&seen);
        } else if path.contains("/sendToDevice/") {
            self.sent(&seen);
        } else if path.ends_with("/account/whoami") {
            self.whose(&body(&entry["response"]["content"]));
        }
    }

    fn whose(&mut self, names: &Value) {
        let text = |name: &str| names[name].as_str().map(clip);
        let facts = &mut self.facts;
        facts.user = facts.user.take().or_else(|| text("user_id"));
        facts.device = facts.device.take().or_else(|| text("device_id"));
    }

    fn upload(&mut self, seen: &Request<'_>) {
        let sent = body(&seen.entry["request"]["postData"]);
        self.whose(&sent["device_keys"]);
        let answer = body(&seen.entry["response"]["content"]);
        let error = answer["error"].as_str().unwrap_or_default();
        if seen.status == Some(400) && signs::sign(error) == Some(Sign::AlreadyExists) {
            self.facts.note(Sign::AlreadyExists, None, seen.at);
            let of_body =
                |key: &KeyId| Some(KeyView::from_raw(sent["one_time_keys"].get(&key.0)?.clone()));
            let found = signs::refusal(error).or_else(|| signs::half_refusal(error, of_body));
            self.facts.refused(found.map(|found| ClientRefusal { at: seen.at, ..found }));
        }
    }

    fn delay(&mut self, seen: &Request<'_>) {
        let limited = seen.limited() == Some(true);
        let request = DelayRequest { at: seen.at, took: seen.took, status: seen.status, limited };
        self.facts.delay(request);
        if request.is_late() {
            self.facts.note(Sign::DelayTimedOut, None, seen.at);
        }
    }

    /// `PUT …/sendToDevice/TYPE/TXN`; every device may get its own message ID.
    fn sent(&mut self, seen: &Request<'_>) {
        let (_, rest) = seen.path.split_once("/sendToDevice/").unwrap_or_default();
        let event_type = clip(rest.split('/').next().unwrap_or_default());
        let sent = body(&seen.entry["request"]["postData"]);
        let users = sent["messages"].as_object().into_iter().flatten();
        let devices =
            users.flat_map(|(user, devices)| {
                devices.as_object().into_iter().flatten().map(move |(device, message)| {
                    (user, device, message["org.matrix.msgid"].as_str())
                })
            });
        let from = self.facts.sent.len();
        for (user, device, msgid) in devices {
            self.facts.sent_count += 1;
            let Some(msgid) = msgid.map(clip) else { continue };
            let target = (clip(user), clip(device));
            let of_this = self.facts.sent[from..].iter_mut().find(|sent| sent.msgid == msgid);
            if let Some(same) = of_this {
                if same.targets.len() < TARGETS {
                    same.targets.push(target);
                }
            } else if self.facts.sent.len() < KEPT {
                self.facts.sent.push(ClientSent {
                    msgid,
                    event_type: event_type.clone(),
                    at: seen.at,
                    status: seen.status,
                    targets: vec![target],
                });
            }
        }
    }
}

impl Request<'_> {
    /// Whether a 429 is Synapse's own answer; `None` if the file does not have its body.
    fn limited(&self) -> Option<bool> {
        let content = &self.entry["response"]["content"];
        content["text"].as_str().filter(|text| self.status == Some(429) && !text.is_empty())?;
        Some(body(content)["errcode"].as_str() == Some("M_LIMIT_EXCEEDED"))
    }

    /// A proxy answered instead of Synapse: Element Server Suite's proxy turns 503 into 429 while Synapse is down.
    fn proxied(&self) -> bool {
        self.limited() == Some(false)
    }

    /// The client's clock when the answer began, minus the server's. `Date` has whole seconds, so on average half a
    /// second is missing. An answer from a cache has an old date and is not used.
    fn skew(&self) -> Option<i64> {
        let answer = &self.entry["response"];
        if matches!(self.status, None | Some(0 | 304)) {
            return None;
        }
        let headers = answer["headers"].as_array()?.iter().take(200);
        let mut dates = headers.filter(|header| {
            header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("date"))
        });
        let date = server_date(dates.next()?["value"].as_str()?)?;
        let received = self.entry["timings"]["receive"].as_f64();
        let received = received.filter(|time| time.is_finite() && *time >= 0.0).unwrap_or(0.0);
        let took = (self.took - received.min(self.took)).min(1e9);
        let answered = self.at?.checked_add(SignedDuration::from_millis(took as i64)).ok()?;
        Some(answered.as_millisecond() - (date.as_millisecond() + 500))
    }
}

/// The time of a `Date` header.
pub(crate) fn server_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim());
    zoned.ok()
}

/// The median of the pairs, and how far apart they are.
fn skew(mut pairs: Vec<i64>) -> Option<Skew> {
    pairs.sort_unstable();
    let last = pairs.len().checked_sub(1)?;
    let spread = pairs[last * 9 / 10] - pairs[last / 10];
    Some(Skew { millis: pairs[last / 2], pairs: pairs.len() as u64, spread })
}

/// A body as JSON; null if it is not JSON. Browsers write `base64` if they took it for binary.
pub(crate) fn body(body: &Value) -> Value {
    let Some(text) = body["text"].as_str() else { return Value::Null };
    match body["encoding"].as_str() {
        Some("base64") => vodozemac::base64_decode(text.trim_end_matches('='))
            .ok()
            .and_then(|bytes| bounded::body(&bytes)),
        _ => bounded::body(text.as_bytes()),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(url: &str, status: i64, time: f64, sent: &str, got: &str) -> Value {
        json!({
            "startedDateTime": "2026-11-22T11:51:40.184+01:00",
            "time": time,
            "request": {"method": "POST", "url": url, "headers": [{"name": "Authorization", "value": "Bearer syt_secret"}],
                        "postData": {"mimeType": "application/json", "text": sent}},
            "response": {"status": status, "content": {"size": 1, "text": got}},
        })
    }

    #[test]
    fn uploads_and_delays_are_read_and_nothing_else_is_kept() {
        let error = "One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key: {\"key\":\"old\"}; new key: {'key': 'new'}";
        let refused = json!({"errcode": "M_UNKNOWN", "error": error}).to_string();
        let keys = json!({"device_keys": {"user_id": "@a:x", "device_id": "MY PHONE"}}).to_string();
        let base = "https://x/_matrix/client";
        let restart =
            format!("{base}/unstable/org.matrix.msc4140/delayed_events/syd_secret/restart");
        let har = json!({"log": {"version": "1.2", "entries": [
            entry(&format!("{base}/v3/keys/upload?access_token=syt_secret"), 400, 12.0, &keys, &refused),
            entry(&restart, 200, 5.0, "", "{}"),
            entry(&restart, 200, 6003.0, "", "{}"),
            entry(&restart, 0, 2000.5, "", ""),
            entry(&restart, 429, 500.0, "", "{\"errcode\":\"M_LIMIT_EXCEEDED\"}"),
            entry(&restart, 429, 5.0, "", "{\"errcode\":\"M_UNKNOWN\",\"error\":\"Server is unavailable\"}"),
            entry(&restart, 429, 5.0, "", ""),
            entry(&restart, 404, 5.0, "", "{}"),
            entry(&format!("{base}/v3/login"), 200, 5.0, "{\"password\":\"secret\"}", "{}"),
        ]}});
        let mut read = Read::default();
        har["log"]["entries"].as_array().unwrap().iter().for_each(|entry| read.entry(entry));
        let facts = read.facts();
        assert_eq!(
            (facts.user.as_deref(), facts.device.as_deref()),
            (Some("@a:x"), Some("MY PHONE"))
        );
        assert_eq!(
            (facts.refused[0].old.head.as_str(), facts.refused[0].new.head.as_str()),
            ("old", "new")
        );
        let delays = facts.delays.clone().unwrap();
        assert_eq!((delays.count, delays.timed_out, delays.refused, delays.gone), (7, 2, 1, 1));
        assert_eq!(facts.count(Sign::Unreachable), 1);
        assert!((delays.slowest - 6.003).abs() < 1e-9);
        assert_eq!(facts.count(Sign::DelayTimedOut), 2);
        assert_eq!(facts.span.unwrap().0.to_string(), "2026-11-22T10:51:40.184Z");
        let kept = serde_json::to_string(&facts).unwrap();
        assert!(!kept.contains("secret"), "{kept}");
    }
}
