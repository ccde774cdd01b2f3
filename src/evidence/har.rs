//! A HAR file (a browser's network log, HAR 1.2) → what the client says: refused key uploads with both
//! values, and its requests on delayed events with their latency. Of every other request nothing is kept,
//! and of these no header, token or id of a delayed event.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::{ClientDelays, ClientFacts, ClientRefusal, Sign};
use super::client_line;
use super::report::clip;

/// Requests that are read.
const ENTRIES: usize = 100_000;
/// js-sdk gives a restart up after so long, without closing the request (domain 39); milliseconds.
const PATIENCE: f64 = 2000.0;

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    started_date_time: Option<String>,
    /// Milliseconds in all.
    #[serde(default)]
    time: Option<f64>,
    request: Request,
    #[serde(default)]
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    post_data: Option<Body>,
}

#[derive(Deserialize, Default)]
struct Response {
    #[serde(default)]
    status: Option<i64>,
    #[serde(default)]
    content: Option<Body>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    text: Option<String>,
    /// `base64`, where the browser took the body for binary.
    #[serde(default)]
    encoding: Option<String>,
}

impl Body {
    /// The body as JSON; null where it is none.
    fn json(body: Option<&Self>) -> Value {
        let Some(text) = body.and_then(|body| body.text.as_deref()) else { return Value::Null };
        let base64 = body.is_some_and(|body| body.encoding.as_deref() == Some("base64"));
        match base64 {
            true => vodozemac::base64_decode(text.trim_end_matches('='))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            false => serde_json::from_str(text).ok(),
        }
        .unwrap_or_default()
    }
}

/// Reads a HAR file. The error is a sentence for a person.
pub fn read(bytes: &[u8]) -> Result<ClientFacts, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let har: Har =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no HAR file: {error}"))?;
    let mut facts = ClientFacts::default();
    for entry in har.log.entries.iter().take(ENTRIES) {
        facts.request(entry);
    }
    facts.unknown += har.log.entries.len().saturating_sub(ENTRIES) as u64;
    Ok(facts)
}

impl ClientFacts {
    fn request(&mut self, entry: &Entry) {
        let url = entry.request.url.split(['?', '#']).next().unwrap_or_default();
        let at: Option<Timestamp> =
            entry.started_date_time.as_deref().and_then(|text| text.parse().ok());
        if let (Some(at), true) = (at, url.contains("/_matrix/")) {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
        }
        if url.contains("/keys/upload") {
            self.upload(entry, at);
        } else if entry.request.method == "POST" && url.contains("/delayed_events/") {
            self.delay(entry, at);
        }
    }

    fn upload(&mut self, entry: &Entry, at: Option<Timestamp>) {
        let body = Body::json(entry.request.post_data.as_ref());
        let text = |name: &str| body["device_keys"][name].as_str().map(clip);
        self.user = self.user.take().or_else(|| text("user_id"));
        self.device = self.device.take().or_else(|| text("device_id"));
        let answer = Body::json(entry.response.content.as_ref());
        let error = answer["error"].as_str().unwrap_or_default();
        if entry.response.status == Some(400)
            && client_line::sign(error) == Some(Sign::AlreadyExists)
        {
            self.note(Sign::AlreadyExists, None, at);
            self.refused(client_line::refusal(error).map(|found| ClientRefusal { at, ..found }));
        }
    }

    fn delay(&mut self, entry: &Entry, at: Option<Timestamp>) {
        let took = entry.time.filter(|time| time.is_finite() && *time >= 0.0).unwrap_or(0.0);
        let empty = ClientDelays { count: 0, timed_out: 0, refused: 0, gone: 0, slowest: 0.0 };
        let delays = self.delays.get_or_insert(empty);
        delays.count += 1;
        delays.slowest = delays.slowest.max(took / 1000.0);
        match entry.response.status {
            Some(429) => delays.refused += 1,
            Some(404) => delays.gone += 1,
            // A browser writes 0, or none, where it gave up.
            None | Some(0) => delays.timed_out += 1,
            _ if took >= PATIENCE => delays.timed_out += 1,
            _ => return,
        }
        if matches!(entry.response.status, None | Some(0)) || took >= PATIENCE {
            self.note(Sign::DelayTimedOut, None, at);
        }
    }
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
            entry(&restart, 429, 500.0, "", "{}"),
            entry(&restart, 404, 5.0, "", "{}"),
            entry(&format!("{base}/v3/login"), 200, 5.0, "{\"password\":\"secret\"}", "{}"),
        ]}});
        let facts = read(har.to_string().as_bytes()).unwrap();
        assert_eq!(
            (facts.user.as_deref(), facts.device.as_deref()),
            (Some("@a:x"), Some("MY PHONE"))
        );
        assert_eq!(
            (facts.refused[0].old.head.as_str(), facts.refused[0].new.head.as_str()),
            ("old", "new")
        );
        let delays = facts.delays.clone().unwrap();
        assert_eq!((delays.count, delays.timed_out, delays.refused, delays.gone), (5, 2, 1, 1));
        assert!((delays.slowest - 6.003).abs() < 1e-9);
        assert_eq!(facts.count(Sign::DelayTimedOut), 2);
        assert_eq!(facts.span.unwrap().0.to_string(), "2026-11-22T10:51:40.184Z");
        let kept = serde_json::to_string(&facts).unwrap();
        assert!(!kept.contains("secret"), "{kept}");
    }

    #[test]
    fn what_is_no_har_gets_a_sentence() {
        for bytes in [&b""[..], b"{}", b"{\"log\": []}", b"{\"log\": {\"entries\": [{}]}}"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
