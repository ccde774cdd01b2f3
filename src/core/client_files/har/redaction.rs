//! A HAR file → a new HAR file with requests to the Matrix API only. Of these it has the method, the path, the times,
//! the status, and what the facts are read from: never a token, one of the user's headers, a message or an unknown
//! body. The facts are read from the new file. Of a long file the start and the newest requests are stored.

use serde_json::{Map, Value, json};

use crate::client_files::har::facts::{Read, body, server_date};
use crate::client_files::json::text::is_cut;
use crate::client_files::newest::Newest;
use crate::client_files::taken::Taken;
use crate::evidence::client_file::FileKind;
use crate::evidence::client_file::Limits;
use crate::evidence::counted;
use crate::evidence::redaction::Secret;
use crate::evidence::redaction::cut::{CUT, kind_of};
use crate::evidence::redaction::scrubber::Scrubber;
use crate::evidence::redaction::scrubber::cleaned_path;

/// The most requests that are stored.
const REQUESTS: usize = 20_000;
/// The most requests that are redacted, which takes far longer than skipping them. After these only requests that
/// show something are redacted, so that a failure at the end is seen.
const REDACTED: u64 = 100_000;
const TELLING: u64 = 300_000;
/// The most one-time keys of an upload, and targets of a to-device message, that are stored.
const KEYS: usize = 200;

/// The requests of a file, redacted.
pub(crate) struct Har {
    scrubber: Scrubber,
    kept: Newest<Box<str>>,
    pub(crate) requests: u64,
    /// Entries without a request.
    pub(crate) others: u64,
    /// `log.entries` is a list, which may be empty.
    pub(crate) has_log: bool,
    /// Requests that were not redacted any more.
    beyond: u64,
    /// Requests that were not read in full.
    cut: u64,
    /// The note if the file ends too early.
    pub(crate) torn: Option<String>,
}

impl Har {
    pub(crate) fn new(budget: usize, limits: &Limits) -> Self {
        Self {
            scrubber: Scrubber::new(limits.addresses),
            kept: Newest::new(REQUESTS, budget, |_| None),
            requests: 0,
            others: 0,
            has_log: false,
            beyond: 0,
            cut: 0,
            torn: None,
        }
    }

    /// Whether the file is a HAR file at all.
    pub(crate) fn is_one(&self, whole: bool) -> bool {
        self.requests > 0 || self.has_log && self.others == 0 && whole
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    pub(crate) fn shrink(&mut self, budget: usize) {
        self.kept.shrink(budget);
    }

    /// One entry with a request.
    pub(crate) fn entry(&mut self, entry: &Value, whole: bool) {
        self.requests += 1;
        if self.requests > TELLING || self.requests > REDACTED && !tells(entry) {
            self.beyond += 1;
            return;
        }
        let Some(kept) = self.scrubber.entry(entry) else { return };
        self.cut += u64::from(!whole || has_cut_body(entry));
        // Exactly its size: what a longer buffer leaves free uses memory too.
        let kept: Box<str> = kept.to_string().as_str().into();
        self.kept.push(kept.len(), kept);
    }

    /// One entry that is too long, or not JSON.
    pub(crate) fn unread(&mut self) {
        self.requests += 1;
        self.cut += 1;
    }

    /// What is stored of the file.
    pub(crate) fn taken(self) -> Taken {
        let beyond = self.beyond;
        let dropped = self.kept.dropped();
        let mut facts = Read::default();
        let mut text = String::with_capacity(self.kept.bytes() + self.kept.bytes() / 64 + 256);
        text.push_str(concat!(
            r#"{"log":{"version":"1.2","creator":{"name":"kestrel","version":"1"},"entries":["#,
            "\n"
        ));
        for (place, entry) in self.kept.items().enumerate() {
            text.push_str(if place > 0 { ",\n" } else { "" });
            text.push_str(&entry);
            facts.entry(&serde_json::from_str(&entry).unwrap_or_default());
        }
        text.push_str("\n]}}\n");
        let mut facts = facts.facts();
        facts.unknown += beyond + dropped;
        let requests = |count: u64| counted(count, "request");
        let middle = (dropped > 0).then(|| {
            let left = requests(dropped);
            format!(
                "the HAR file is long: {left} between its start and its newest requests were left out"
            )
        });
        let end = (beyond > 0).then(|| {
            format!(
                "the HAR file is long: {} after the first {REDACTED} were not read",
                requests(beyond)
            )
        });
        let cut = (self.cut > 0).then(|| {
            format!(
                "the HAR file has {} that could not be read in full: too large, or not valid JSON",
                requests(self.cut)
            )
        });
        let notes: Vec<_> = [self.torn, middle, end, cut].into_iter().flatten().collect();
        facts.unread.clone_from(&notes);
        Taken { kind: FileKind::Har, facts, text, removed: self.scrubber.removed, notes }
    }
}

/// Whether anything is read of this request.
fn tells(entry: &Value) -> bool {
    let url = entry["request"]["url"].as_str().unwrap_or_default();
    let routes = ["/keys/upload", "/delayed_events/", "/sendToDevice/", "/account/whoami"];
    routes.iter().any(|route| url.contains(route))
}

/// Whether a body that would be read is too long.
fn has_cut_body(entry: &Value) -> bool {
    let url = entry["request"]["url"].as_str().unwrap_or_default();
    let is_cut = |body: &Value| body["text"].as_str().is_some_and(is_cut);
    let sent = ["/keys/upload", "/sendToDevice/"].iter().any(|route| url.contains(route));
    let got = ["/keys/upload", "/account/whoami"].iter().any(|route| url.contains(route));
    sent && is_cut(&entry["request"]["postData"]) || got && is_cut(&entry["response"]["content"])
}

impl Scrubber {
    /// One new request; none if it is not to the Matrix API.
    fn entry(&mut self, entry: &Value) -> Option<Value> {
        let request = &entry["request"];
        let response = &entry["response"];
        let url = request["url"].as_str().unwrap_or_default();
        let Some(at) = url.find("/_matrix/") else {
            self.removed.one(Secret::Request);
            return None;
        };
        self.headers(request);
        let date = self.headers(response);
        // After a query or a fragment it would be another server's path.
        let url = if url[..at].contains(['?', '#']) {
            CUT.to_owned()
        } else {
            cleaned_path(&url[at..], &mut self.removed)
        };
        let route = url.split('?').next().unwrap_or_default();
        let method = request["method"].as_str().filter(|method| METHODS.contains(method));
        let mut sent = json!({
            "method": method.unwrap_or(CUT), "url": format!("https://…{url}"), "httpVersion": "",
            "cookies": [], "headers": [], "queryString": [], "headersSize": -1, "bodySize": -1,
        });
        if let Some(text) = self.sent(route, &request["postData"]) {
            sent["postData"] = json!({"mimeType": "application/json", "text": text.to_string()});
        }
        let got = self.got(route, &response["content"]);
        let text = got.map(|got| got.to_string()).unwrap_or_default();
        let got = json!({
            "status": response["status"].as_i64().filter(|status| (0..1000).contains(status)).unwrap_or(0),
            "statusText": "", "httpVersion": "", "cookies": [], "redirectURL": "",
            "headers": date.map(|date| vec![json!({"name": "Date", "value": date})]).unwrap_or_default(),
            "content": {"size": text.len(), "mimeType": "application/json", "text": text},
            "headersSize": -1, "bodySize": -1,
        });
        let at =
            entry["startedDateTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Some(json!({
            "startedDateTime": at.map(|at| at.to_string()), "time": span(&entry["time"]),
            "request": sent, "response": got, "cache": {}, "timings": timings(&entry["timings"]),
        }))
    }

    /// Counts the headers, cookies and everything else that carries names and values; gives the date.
    fn headers(&mut self, side: &Value) -> Option<String> {
        let list = |name: &str| side[name].as_array().into_iter().flatten();
        self.removed.count(Secret::Cookie, list("cookies").count() as u64);
        let mut date = None;
        for header in list("headers") {
            let name = header["name"].as_str().unwrap_or_default().to_ascii_lowercase();
            let value = header["value"].as_str().unwrap_or_default();
            match name.as_str() {
                "date" if date.is_none() => date = server_date(value).map(imf),
                "authorization" => self.removed.one(Secret::AccessToken),
                "cookie" | "set-cookie" => self.removed.one(Secret::Cookie),
                _ => self.removed.one(Secret::Header),
            }
        }
        date
    }

    /// The parts of a request's body that are read: whose keys it uploads, and to whom it sends which message.
    fn sent(&mut self, route: &str, sent: &Value) -> Option<Value> {
        let there = sent["text"].as_str().is_some_and(|text| !text.is_empty())
            || sent["params"].as_array().is_some_and(|params| !params.is_empty());
        if !there {
            return None;
        }
        if route.contains("/keys/upload") {
            return Some(self.upload(&body(sent)));
        }
        if route.contains("/sendToDevice/") {
            return Some(self.message(&body(sent)));
        }
        self.removed.one(kind_of_body(route));
        None
    }

    fn upload(&mut self, sent: &Value) -> Value {
        let device_keys = self.ids(&sent["device_keys"]);
        let keys = sent["one_time_keys"].as_object().into_iter().flatten().take(KEYS);
        // Only what is named as a public key is treated as one.
        let keys = keys.filter_map(|(id, value)| {
            let id = Some(self.key_id(id)).filter(|kept| kept == id)?;
            Some((id, self.key(value)))
        });
        let keys: Map<String, Value> = keys.collect();
        json!({"device_keys": device_keys, "one_time_keys": keys})
    }

    /// `user_id` and `device_id`, if they have the right form.
    fn ids(&mut self, from: &Value) -> Value {
        let mut kept = Map::new();
        let user = from["user_id"].as_str().and_then(|user| self.user(user));
        let device = from["device_id"].as_str().and_then(|device| self.device(device));
        kept.extend(user.map(|user| ("user_id".to_owned(), json!(user))));
        kept.extend(device.map(|device| ("device_id".to_owned(), json!(device))));
        Value::Object(kept)
    }

    /// Users, devices, message IDs and sizes.
    fn message(&mut self, sent: &Value) -> Value {
        let mut left = KEYS;
        let mut messages = Map::new();
        for (user, devices) in sent["messages"].as_object().into_iter().flatten() {
            let Some(user) = self.user(user) else { continue };
            let mut kept = Map::new();
            for (device, message) in devices.as_object().into_iter().flatten().take(left) {
                left -= 1;
                let Some(device) = self.device(device) else { continue };
                let known =
                    message["size"].as_u64().filter(|_| message.get("ciphertext").is_none());
                let size = known.filter(|size| *size < 1 << 32);
                let size = size.unwrap_or_else(|| {
                    self.removed.one(Secret::MediaKey);
                    message.to_string().len() as u64
                });
                let msgid = message["org.matrix.msgid"].as_str().filter(|id| is_msgid(id));
                kept.insert(device, json!({"org.matrix.msgid": msgid, "size": size}));
            }
            messages.insert(user, Value::Object(kept));
        }
        json!({"messages": messages})
    }

    /// The parts of an answer's body that are read: an error, how many keys there are, whose token it is.
    fn got(&mut self, route: &str, got: &Value) -> Option<Value> {
        if got["text"].as_str().is_none_or(str::is_empty) {
            return None;
        }
        let answer = body(got);
        let mut kept = Map::new();
        if let Some(error) = answer["error"].as_str() {
            kept.insert("error".into(), json!(self.error(error)));
            let code = answer["errcode"].as_str().filter(|code| ERRORS.contains(code));
            kept.insert("errcode".into(), json!(code));
            kept.insert(
                "retry_after_ms".into(),
                json!(answer["retry_after_ms"].as_u64().filter(|ms| *ms < 1 << 32)),
            );
        } else if route.ends_with("/account/whoami") {
            kept = self.ids(&answer).as_object().cloned().unwrap_or_default();
        } else if route.contains("/keys/upload") {
            let counts = answer["one_time_key_counts"]["signed_curve25519"].as_u64();
            let counts = counts.filter(|count| *count < 1 << 20);
            kept.insert("one_time_key_counts".into(), json!({"signed_curve25519": counts}));
        } else if !answer.as_object().is_some_and(Map::is_empty) {
            self.removed.one(kind_of_body(route));
        }
        Some(Value::Object(kept))
    }
}

/// What a body of this route contains, so that it is counted under the right name.
fn kind_of_body(route: &str) -> Secret {
    let has = |names: &[&str]| names.iter().any(|name| route.contains(name));
    if has(&["/login", "/refresh", "/register", "/account/password"]) {
        Secret::Login
    } else if has(&["/room_keys", "/account_data", "/dehydrated_device"]) {
        Secret::KeyBackup
    } else if has(&["/openid", "livekit"]) {
        Secret::Jwt
    } else if has(&["/send/", "/messages", "/event/", "/context/"]) {
        Secret::MessageBody
    } else if has(&["/delayed_events"]) || kind_of(route) == Secret::DelayId {
        Secret::DelayId
    } else {
        Secret::Body
    }
}

/// A message ID: js-sdk makes UUIDs, rust-sdk ULIDs (in capitals), and 32 hexadecimal digits before.
fn is_msgid(text: &str) -> bool {
    let capital = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    if text.len() == 26 && text.bytes().all(capital) {
        return true;
    }
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (hex || text.starts_with('m')
        && text[1..].bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        && (1..=40).contains(&text.len())
}

fn timings(timings: &Value) -> Value {
    const NAMES: &[&str] = &["blocked", "dns", "connect", "ssl", "send", "wait", "receive"];
    let kept = NAMES.iter().filter_map(|name| Some(((*name).to_owned(), span(&timings[*name])?)));
    Value::Object(kept.map(|(name, time)| (name, json!(time))).collect())
}

/// Milliseconds with three decimals: further digits are no measurement.
fn span(value: &Value) -> Option<f64> {
    let time = value.as_f64().filter(|time| time.is_finite() && (-1.0..1e9).contains(time))?;
    Some((time * 1000.0).round() / 1000.0)
}

fn imf(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];
const ERRORS: &[&str] = &[
    "M_FORBIDDEN",
    "M_UNKNOWN_TOKEN",
    "M_MISSING_TOKEN",
    "M_LIMIT_EXCEEDED",
    "M_NOT_FOUND",
    "M_UNKNOWN",
    "M_UNRECOGNIZED",
    "M_BAD_JSON",
    "M_NOT_JSON",
    "M_INVALID_PARAM",
    "M_MISSING_PARAM",
    "M_TOO_LARGE",
    "M_MAX_DELAY_EXCEEDED",
    "ORG.MATRIX.MSC4140_MAX_DELAY_EXCEEDED",
    "M_MAX_DELAYED_EVENTS_EXCEEDED",
    "M_USER_DEACTIVATED",
];
