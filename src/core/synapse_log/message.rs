//! One record's message → what happened to a device's keys.
//!
//! Every text here may hold text of a client. Each grammar is therefore read from its start and has to
//! be used up: what looks like a known line and has a rest is `Broken`, not half understood.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde_json::Value;

use crate::evidence::Subject;
use crate::evidence::key_log::Batch;
use crate::evidence::otk::{self, KeyId, KeyView};
use crate::evidence::python_repr;
use crate::evidence::removal::Removed;
pub use crate::synapse_log::access::{Access, access};
use crate::synapse_log::record::Record;
use crate::synapse_log::removal::removed;

/// What a record says.
#[derive(Debug, Clone)]
pub enum Message {
    /// The authenticated user and device, and the ids of the batch. Written before the check.
    Adding(Upload),
    /// Device keys in the same request; written before the one-time keys.
    DeviceKeys(Upload),
    Refused(Box<Refusal>),
    /// Synapse ≥ 1.163: the device would hold too many keys.
    TooLarge,
    Access(Access),
    /// Claims of the subject's keys.
    Claimed(Vec<KeyId>),
    /// Two overlapping /sync requests of the subject's device shared one answer.
    SharedSync,
    /// Devices of a user were removed.
    Removed(Removed),
    /// `***** STARTING SERVER *****`: request ids start again.
    Start,
    /// A login's identifier as `%r`.
    LoginAsked(Asked),
    /// A record with raw client text: whole lines may follow that a client wrote.
    Site(Site),
    /// Looks like one of the above, and its grammar is not used up.
    Broken,
    Other,
}

/// A login's user name, which is written out raw later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The newlines in it; none where the identifier cannot be read.
    pub newlines: Option<usize>,
    /// It is no longer than this.
    pub characters: u64,
}

/// A record with raw text of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// `Attempted to login as …`: as many newlines as the login asked for.
    LoginUnknown,
    /// At most so many characters of a client's lines can follow.
    Reach(u64),
    /// pydantic's list of errors; each ends with a link to its documentation.
    Pydantic,
}

/// A login's device id has at most so many characters (Synapse, `rest/client/login.py`).
const DEVICE: u64 = 512;
/// A key id is in an index, and PostgreSQL refuses an index row of more bytes than this.
pub const KEY_ID: u64 = 2704;

/// `… for device 'D' for user 'U' at MS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    pub batch: Batch,
    /// Milliseconds by Synapse's clock.
    pub at: i64,
}

/// The 400 line of a conflict.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub key: KeyId,
    pub old: KeyView,
    pub new: KeyView,
}

impl Refusal {
    /// Whether one of the values claims to be signed by the subject's device.
    pub fn names(&self, subject: &Subject) -> bool {
        [&self.old, &self.new].iter().any(|value| {
            value.signed_by.iter().any(|(user, device)| {
                user == subject.user.as_str() && device == subject.device.as_str()
            })
        })
    }
}

/// Longest text of a client that is kept.
const SHOWN: usize = 200;

/// Reads a record for one subject.
pub fn read(record: &Record, subject: &Subject) -> Message {
    let message = &*record.message;
    match &*record.logger {
        "synapse.handlers.e2e_keys" => e2e_keys(message, subject),
        "synapse.http.server" => http_server(message),
        "synapse.util.caches.response_cache" => {
            if shared_sync(message, subject) {
                Message::SharedSync
            } else {
                Message::Other
            }
        }
        "synapse.config.logger" | "root" if message == "***** STARTING SERVER *****" => {
            Message::Start
        }
        "synapse.handlers.auth" if message.starts_with("Attempted to login as ") => {
            Message::Site(Site::LoginUnknown)
        }
        "synapse.handlers.auth" if message.starts_with("Logging in user ") => {
            let shown = message.split_once(" on device ").map_or("", |(_, device)| device);
            Message::Site(Site::Reach(DEVICE.saturating_sub(shown.chars().count() as u64)))
        }
        "synapse.rest.client.login" | "synapse.rest.client.v1.login" => {
            match message.strip_prefix("Got login request with identifier: ") {
                Some(rest) => Message::LoginAsked(Asked {
                    newlines: login_asked(rest),
                    characters: rest.chars().count() as u64,
                }),
                None => Message::Other,
            }
        }
        logger if logger.starts_with("synapse.access.") => match access(message) {
            Some(access) => Message::Access(access),
            None => Message::Broken,
        },
        logger => removed(logger, message).map_or(Message::Other, Message::Removed),
    }
}

fn e2e_keys(message: &str, subject: &Subject) -> Message {
    if message.starts_with("Adding one_time_keys ") {
        return adding(message).map_or(Message::Broken, Message::Adding);
    }
    if message.starts_with("Updating device_keys for device ") {
        return device_keys(message).map_or(Message::Broken, Message::DeviceKeys);
    }
    match message.strip_prefix("Claimed one-time-keys: ") {
        Some(list) => Message::Claimed(claims(list, subject)),
        None => Message::Other,
    }
}

fn http_server(message: &str) -> Message {
    let Some((request, error)) = message.split_once("> SynapseError: ") else {
        return Message::Other;
    };
    let ours = request.contains("/keys/upload") || request.contains("/upload_keys_for_user");
    let text = error.split_once(" - ").map_or(error, |(_, text)| text);
    if ours && text.starts_with("One time key ") {
        return refusal(text)
            .map_or(Message::Broken, |refusal| Message::Refused(Box::new(refusal)));
    }
    if ours && text.contains("would leave the device holding ") {
        return Message::TooLarge;
    }
    if text.contains(" validation error for ") || text.contains(" validation errors for ") {
        return Message::Site(Site::Pydantic);
    }
    if text.starts_with("To-device message for ") {
        return Message::Site(Site::Reach(DEVICE));
    }
    // The text may repeat a part of the path, decoded: it cannot be longer than the path.
    if request.contains("%0A") || request.contains("%0a") {
        Message::Site(Site::Reach(request.len() as u64))
    } else {
        Message::Other
    }
}

/// `Adding one_time_keys dict_keys([…]) for device 'D' for user 'U' at MS`
fn adding(message: &str) -> Option<Upload> {
    let rest = message.strip_prefix("Adding one_time_keys ")?;
    let rest = rest.strip_prefix("dict_keys(").unwrap_or(rest);
    let mut batch = Batch::default();
    let mut counts = true;
    let rest = python_repr::strings(rest, |id| {
        batch.count += 1;
        let name = id.split_once(':').map_or(id, |(_, name)| name);
        // Of one name that is no counter the whole batch has no range.
        let counter = if counts { otk::counter(name) } else { None };
        counts &= counter.is_some();
        batch.range = counter.map(|counter| {
            let (low, high) = batch.range.unwrap_or((counter, counter));
            (low.min(counter), high.max(counter))
        });
    })?;
    let rest = rest.strip_prefix(')').unwrap_or(rest);
    let (device, rest) = python_repr::string(rest.strip_prefix(" for device ")?)?;
    let (user, rest) = python_repr::string(rest.strip_prefix(" for user ")?)?;
    Some(Upload {
        user: user.try_into().ok()?,
        device: device.into(),
        batch,
        at: rest.strip_prefix(" at ")?.parse().ok()?,
    })
}

/// `Updating device_keys for device 'D' for user U at MS`
fn device_keys(message: &str) -> Option<Upload> {
    let rest = message.strip_prefix("Updating device_keys for device ")?;
    let (device, rest) = python_repr::string(rest)?;
    let (user, at) = rest.strip_prefix(" for user ")?.rsplit_once(" at ")?;
    Some(Upload {
        user: user.trim_matches('\'').try_into().ok()?,
        device: device.into(),
        batch: Batch::default(),
        at: at.parse().ok()?,
    })
}

/// The time that a line carries by itself, where it is one of the two whose texts are escaped.
pub fn epoch_of(message: &str) -> Option<i64> {
    Some(adding(message).or_else(|| device_keys(message))?.at)
}

const OLD: &str = " already exists. Old key: ";
const NEW: &str = "; new key: ";

/// `One time key ALG:ID already exists. Old key: OLD; new key: NEW`. The id and the values are client
/// text and may hold these very words, so OLD is read as JSON from its start and NEW to the line's end.
fn refusal(text: &str) -> Option<Refusal> {
    let text = text.strip_prefix("One time key ")?;
    // An id that repeats the words a few times is somebody's game; more is not looked at.
    text.match_indices(OLD).take(8).find_map(|(at, _)| {
        let (old, rest) = old_value(&text[at + OLD.len()..])?;
        let (new, rest) = python_repr::literal(rest.strip_prefix(NEW)?)?;
        rest.is_empty().then(|| Refusal {
            key: KeyId(text[..at].to_owned()),
            old: KeyView::from_raw(old),
            new: KeyView::from_raw(new),
        })
    })
}

fn old_value(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        return Some((value, &text[values.byte_offset()..]));
    }
    let end = text.find(NEW)?;
    let bare = text[..end]
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    bare.then(|| (Value::from(&text[..end]), &text[end..]))
}

/// `ALG:ID for @u:s:DEV[,…]`. A device id may hold commas and colons, so the subject's own ending is
/// looked for; another user's device id may spell it out, which nothing in the line can tell.
fn claims(list: &str, subject: &Subject) -> Vec<KeyId> {
    let ending = format!(" for {}:{}", subject.user, subject.device);
    let mut found = Vec::new();
    let mut start = 0;
    for (at, _) in list.match_indices(&ending) {
        let next = at + ending.len();
        if at < start || !(next == list.len() || list[next..].starts_with(',')) {
            continue;
        }
        let id = list[start..at].rsplit(',').next().unwrap_or("");
        if id.contains(':') && id.len() <= SHOWN {
            found.push(KeyId(id.to_owned()));
        }
        start = next;
    }
    found
}

/// `[sync]: using incomplete cached result for [(@u:s, 30000, 's1_…', '0', False, 'DEV', None, True)]`
fn shared_sync(message: &str, subject: &Subject) -> bool {
    let Some(rest) = message.strip_prefix("[sync]: using incomplete cached result for [(") else {
        return false;
    };
    let Some(mut rest) = rest.strip_prefix(subject.user.as_str()) else {
        return false;
    };
    while let Some(item) = rest.strip_prefix(", ") {
        let Some((value, after)) = python_repr::literal(item) else {
            return false;
        };
        if value.as_str() == Some(subject.device.as_str()) {
            return true;
        }
        rest = after;
    }
    false
}

/// The newlines in the user name of `{'type': 'm.id.user', 'user': 'x'}, medium: …, user: 'x'`. Other
/// fields may hold newlines too; only the name is written out raw later.
fn login_asked(text: &str) -> Option<usize> {
    let (identifier, rest) = python_repr::literal(text)?;
    let user = match &identifier {
        Value::Object(fields) => fields.get("user").cloned(),
        _ => rest
            .rsplit_once(", user: ")
            .and_then(|(_, user)| python_repr::literal(user))
            .map(|(user, _)| user),
    };
    Some(user?.as_str()?.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(user: &str, device: &str) -> Subject {
        Subject { user: user.try_into().unwrap(), device: device.into() }
    }

    const REFUSED: &str = r#"One time key signed_curve25519:VV already exists. Old key: {"key":"x\"}; new key: {'key': 'z'}","signatures":{"@victim:lab.local":{"ed25519:VICTIMDEV":"sig"}}}; new key: {'key': 'k2', 'signatures': {'@victim:lab.local': {'ed25519:VICTIMDEV': 'it\'s "q" \\ \n \u2028 é'}}}"#;

    #[test]
    fn a_refusal_is_read_from_its_start() {
        let refusal = refusal(REFUSED).unwrap();
        assert_eq!(refusal.key.0, "signed_curve25519:VV");
        assert_eq!(refusal.old.head, "x\"}; new");
        assert_eq!(refusal.new.head, "k2");
        assert!(refusal.names(&subject("@victim:lab.local", "VICTIMDEV")));
        assert!(!refusal.names(&subject("@victim:lab.local", "OTHER")));
    }

    #[test]
    fn a_refusal_with_a_rest_is_none() {
        for tail in [" ", "x", " was not legal room ID or room alias", "'"] {
            assert!(refusal(&format!("{REFUSED}{tail}")).is_none());
        }
        let game = "One time key a:b already exists. Old key {}; new key {} already exists. Old key: \
                    \"k1\"; new key: 'k2'";
        assert_eq!(refusal(game).unwrap().key.0, "a:b already exists. Old key {}; new key {}");
        let bare = "One time key a:b already exists. Old key: abc/+; new key: 'k2'";
        assert_eq!(refusal(bare).unwrap().old.head, "abc/+");
    }

    #[test]
    fn claims_of_odd_devices() {
        let cases = [
            ("alg:A for @u:s:DEV", "DEV", vec!["alg:A"]),
            (
                "alg:A for @u:s:DEV,alg:B for @x:s:Y,alg:C for @u:s:DEV",
                "DEV",
                vec!["alg:A", "alg:C"],
            ),
            ("alg:A for @u:s:DEVICE", "DEV", vec![]),
            ("alg:A for @u:s:a,b: c,alg:B for @u:s:a,b: c", "a,b: c", vec!["alg:A", "alg:B"]),
        ];
        for (text, device, expected) in cases {
            let found = claims(text, &subject("@u:s", device));
            let found: Vec<_> = found.iter().map(|id| id.0.as_str()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_access_line_is_read_between_two_texts_of_a_client() {
        let line = r#"6.6.6.6 - 8008 - {@victim:lab.local} Processed request: 0.001sec/0.001sec - 8128 - {@adm:s|@u:s} Processed request: 0.300sec/-0.200sec ru=(0.001sec, 0.000sec) db=(0.000sec/0.000sec/0) 1291B 200! "GET /_matrix/client/v3/sync?x=1 HTTP/1.1" "evil" [0 dbevts] {@victim:lab.local} "x" [0 dbevts]"#;
        let access = access(line).unwrap();
        assert_eq!(access.user.as_deref(), Some("@u:s"));
        assert_eq!((access.status, access.aborted), (200, true));
        assert_eq!(access.took, (0.3, -0.2));
        assert_eq!(access.agent, r#"evil" [0 dbevts] {@victim:lab.local} "x"#);
        assert!(access.is_client_start());
        assert!(super::access(&format!("{line} rest")).is_none());
        let older = r#"127.0.0.1 - 8008 - {None} Processed request: 0.1sec/0.0sec (0.1sec, 0.0sec) (0.0sec/0.0sec/0) 1B 200 "POST /_matrix/client/r0/keys/upload/D HTTP/1.1" "-" [0 dbevts]"#;
        assert!(super::access(older).unwrap().is_key_upload());
    }

    #[test]
    fn newlines_of_a_login_name_are_counted() {
        let cases = [
            (
                r"{'type': 'm.id.user', 'user': 'a\nb\\nc\n', 'x': '\n'}, medium: None, user: None",
                Some(2),
            ),
            (r"None, medium: None, address: None, user: 'a\nb'", Some(1)),
            (r"{'type': 'm.id.phone'}, medium: None, address: None, user: '\n'", None),
        ];
        for (text, expected) in cases {
            assert_eq!(login_asked(text), expected, "{text}");
        }
    }

    /// Cheap and repeatable; not for anything but shaking lines.
    fn shake(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *state >> 33
    }

    #[test]
    fn hostile_lines_never_panic() {
        let subject = subject("@inj:lab.local", "DEVI");
        let text = include_str!("../../../tests/fixtures/log/injection.log");
        let mut state = 7;
        for line in text.lines().filter(|line| line.len() < 4000) {
            for _ in 0..60 {
                let mut bytes = line.as_bytes().to_vec();
                for _ in 0..1 + shake(&mut state) % 3 {
                    let at = shake(&mut state) as usize % bytes.len().max(1);
                    match shake(&mut state) % 3 {
                        0 => bytes.truncate(at),
                        1 if at < bytes.len() => bytes[at] = shake(&mut state) as u8,
                        _ => {
                            bytes.insert(at, b"'\"\\{}[](), :;\n"[shake(&mut state) as usize % 14])
                        }
                    }
                }
                let line = String::from_utf8_lossy(&bytes);
                if let Some(record) = Record::parse(&line) {
                    read(&record, &subject);
                }
            }
        }
    }
}
