//! Two hundred secrets of every kind in every place that a HAR file, a report and a log can hold them: none
//! is in the text, the name, the facts, the notes, the counts or the errors.

use serde_json::{Value, json};
use vodozemac::base64_encode;

use crate::client_files::intake::*;
use crate::client_files::tests::{LOG, gz, har, refusal, report, request, zip_of};
use crate::evidence::client_file::*;

/// Deterministic chance: xorshift.
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn word(&mut self, letters: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }
}

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789abcdef";

/// A secret: the name that it goes by, its text, and the part that must never be seen again.
pub(crate) struct Planted {
    name: &'static str,
    text: String,
    core: String,
}

/// One secret of each kind, distinguished by number.
pub(crate) fn planted(chance: &mut Chance, number: usize) -> Planted {
    let long = chance.word(BASE58, 24);
    let plain = |name, text: String| Planted { name, core: text.clone(), text };
    match number % 20 {
        0 => {
            Planted { name: "access_token", text: format!("syt_YWxpY2U_{long}_1a2b3c"), core: long }
        }
        1 => Planted { name: "accessToken", text: format!("mat_{long}"), core: long },
        2 => Planted { name: "refresh_token", text: format!("syr_{long}_xyz"), core: long },
        3 => plain("cookie", format!("sid={long}")),
        4 => plain("password", format!("correct {} staple", chance.word(LOWER, 9))),
        5 => {
            let all = format!("EsT{}", chance.word(BASE58, 45));
            let spaced: Vec<_> = all.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
            Planted { name: "recovery_key", text: spaced.join(" "), core: spaced[4..8].join(" ") }
        }
        6 => plain("session_data", base64_encode(chance.word(HEX, 60))),
        7 => plain("ciphertext", chance.word(BASE58, 90)),
        8 => plain("session_key", format!("AgAAAA{}", chance.word(BASE58, 200))),
        9 => plain("body", format!("dear {} come at nine", chance.word(LOWER, 10))),
        10 => plain("formatted_body", format!("<b>{}</b>", chance.word(LOWER, 12))),
        11 => plain("key", chance.word(BASE58, 22)),
        12 => plain("k", chance.word(BASE58, 43)),
        13 => plain("delay_id", format!("syd_{}", chance.word(BASE58, 20))),
        14 => Planted {
            name: "jwt",
            text: format!("eyJhbGciOiJIUzI1NiJ9.eyJ{long}.{}", chance.word(BASE58, 43)),
            core: long,
        },
        15 => plain("ip", format!("198.51.{}.{}", chance.below(200) + 17, chance.below(200) + 17)),
        16 => plain(
            "address",
            format!(
                "2001:db8:{}:{}::{}",
                chance.word(HEX, 4),
                chance.word(HEX, 4),
                chance.word(HEX, 4)
            ),
        ),
        17 => plain("email", format!("{}@example.org", chance.word(LOWER, 10))),
        18 => plain("phone", format!("+49 170 {}", 1_000_000 + chance.below(8_999_999))),
        _ => plain("private_key", chance.word(HEX, 64)),
    }
}

/// The secret in the ways that text holds a value.
fn shapes(secret: &Planted) -> Vec<String> {
    let Planted { name, text, .. } = secret;
    let object = json!({"content": {*name: text, "n": 1}});
    let twice = json!({"error": object.to_string()}).to_string();
    vec![
        format!("{name}: {text}"),
        format!("{name}={text}"),
        format!("\"{name}\": \"{text}\""),
        format!("{name} is \"{text}\""),
        format!("'{name}': '{text}'"),
        object.to_string(),
        twice.clone(),
        json!({"again": twice}).to_string(),
        format!("[{{\"{name}\":\"{text}\"}}]"),
        format!("Object {{ {name}: \"{text}\" }}"),
        format!("span{{{name}=\"{text}\"}}"),
        format!("Some({name:?}, {text:?})"),
        format!("https://x.org/{}?{name}={}", text.replace(' ', "%20"), text.replace(' ', "+")),
        format!(
            "https://x.org/_matrix/client/v3/x/{}?{name}={}",
            text.replace(' ', "%20"),
            text.replace(' ', "+")
        ),
        format!("/_matrix/client/unstable/delayed_events/{}/restart", text.replace(' ', "%20")),
    ]
}

const SIGNS: &[&str] = &[
    "MissingKey: missing key at index 1",
    "Error decrypting event (id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ): DecryptionError[msg: invalid type: string",
    "matrix_sdk_crypto::machine: Failed to decrypt",
    "[MembershipManager] Network local timeout error while sending event",
    "One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key:",
    "FetchHttpApi: <-- GET",
    "matrix-js-sdk 41.7.0",
    "a line of nobody",
];

pub(crate) fn log(secrets: &[Planted]) -> String {
    let mut log = String::from(LOG);
    for (place, secret) in secrets.iter().enumerate() {
        for (turn, shape) in shapes(secret).into_iter().enumerate() {
            let sign = SIGNS[(place + turn) % SIGNS.len()];
            log.push_str(&format!("2026-11-22T11:51:40.{:03}Z W {sign} {shape}\n", place % 1000));
            log.push_str(&format!("2026-11-22T11:51:40.184Z W {shape} {sign}\n"));
        }
    }
    log
}

pub(crate) fn report_with(secrets: &[Planted]) -> Value {
    let mut full = report();
    let fields = full.as_object_mut().unwrap();
    for (place, secret) in secrets.iter().enumerate() {
        let Planted { name, text, .. } = secret;
        fields.insert((*name).to_owned(), json!(text));
        fields.insert(format!("unknown{place}"), json!(text));
        fields.insert(
            format!("n{place}"),
            json!({*name: text, "deep": {"er": text}, "list": [text]}),
        );
        fields.insert(text.clone(), json!(1));
        let list = fields["entries"].as_array_mut().unwrap();
        for (turn, shape) in shapes(secret).into_iter().enumerate() {
            let line = format!("{} {shape}", SIGNS[(place + turn) % SIGNS.len()]);
            list.push(json!({"ts": 1_795_348_300_999u64, "level": text, "ke": text, "signature": text, "message": line, *name: text}));
            list.push(json!(line));
        }
        list.push(json!(text));
    }
    if let Some(secret) = secrets.first() {
        fields.insert("userId".into(), json!(format!("@{}:x.org", secret.text)));
        fields.insert("sdkVersion".into(), json!(secret.text));
        fields.insert("syncState".into(), json!(secret.text));
        fields.insert("deviceId".into(), json!(format!("DEV {}", secret.text)));
    }
    full
}

pub(crate) fn har_with(secrets: &[Planted]) -> Value {
    let mut full = har();
    let entries = full["log"]["entries"].as_array_mut().unwrap();
    for secret in secrets {
        let Planted { name, text, .. } = secret;
        let body = json!({*name: text, "deep": [{"er": {*name: text}}], "json": json!({*name: text}).to_string()});
        let url = text.replace(' ', "%20");
        for route in [
            "login",
            "sync",
            "keys/upload",
            "sendToDevice/m.room_key/x",
            "rooms/!a:x/send/m.room.message/1",
            "room_keys/version",
            "user/@a:x/account_data/m.secret_storage.default_key",
            "account/whoami",
            "openid/request_token",
            &url,
        ] {
            let path = format!("/_matrix/client/v3/{route}?{name}={url}&access_token={url}#{url}");
            let mut error = json!({"errcode": text, "error": format!("{} {text}", refusal())});
            error[*name] = json!(text);
            let mut keys = body.clone();
            keys["device_keys"] =
                json!({"user_id": text, "device_id": format!("x{text}"), *name: text});
            keys["one_time_keys"] = json!({*name: {"key": text, "signatures": {"@a:x": {text.clone(): text}}}, text.clone(): text});
            keys["messages"] = json!({"@a:x": {"DEV": {"org.matrix.msgid": text, "body": text, "ciphertext": text}, text.clone(): {}}, text.clone(): {}});
            let mut made = request("POST", &path, 400, 3.0, &keys, &error);
            for side in ["request", "response"] {
                made[side]["cookies"] = json!([{"name": name, "value": text}]);
                made[side]["headers"] = json!([{"name": name, "value": text}, {"name": "Set-Cookie", "value": text},
                    {"name": "Date", "value": text}, {"name": "Authorization", "value": format!("Bearer {text}")}]);
                made[side]["queryString"] = json!([{"name": name, "value": text}]);
                made[side][*name] = json!(text);
                made[side]["statusText"] = json!(text);
            }
            made["serverIPAddress"] = json!(text);
            made["_webSocketMessages"] = json!([{"data": text}]);
            made["startedDateTime"] = json!(text);
            let mut coded = made.clone();
            coded["response"]["content"] =
                json!({"encoding": "base64", "text": base64_encode(body.to_string())});
            coded["request"]["postData"] = json!({"params": [{"name": name, "value": text}], "text": format!("{name}={text}")});
            let mut wild = made.clone();
            wild["response"]["content"]["text"] = json!({"user_id": text, "device_id": text, "error": json!({*name: text}).to_string()}).to_string().into();
            wild["request"]["method"] = json!(text);
            entries.extend([
                made,
                coded,
                wild,
                json!({"request": {"url": format!("https://x/{url}")}}),
            ]);
        }
    }
    full
}

/// Everything that leaves the reader.
pub(crate) fn seen(taken: &Result<Parcel, String>) -> String {
    match taken {
        Err(why) => why.clone(),
        Ok(parcel) => {
            let of = |artefact: &Artefact| {
                let facts = serde_json::to_string(&artefact.facts).unwrap();
                let Artefact { name, text, removed, .. } = artefact;
                [name.as_str(), text, &facts, &artefact.facts.summary(), &removed.summary()]
                    .join("\n")
            };
            let all: Vec<_> = parcel.artefacts.iter().map(of).collect();
            [all.join("\n"), parcel.notes.join("\n")].join("\n")
        }
    }
}

pub(crate) fn survivors(secrets: &[Planted], shown: &str) -> Vec<String> {
    let bare = |text: &str| text.replace("\\\"", "\"");
    let shown = bare(shown);
    let survives = |secret: &&Planted| shown.contains(&secret.core);
    let told = |secret: &Planted| {
        let at = shown.find(&secret.core).unwrap_or_default();
        let line = shown[..at].rfind('\n').map_or(0, |start| start + 1);
        let end = shown[at..].find('\n').map_or(shown.len(), |end| at + end);
        format!("{} {}: {}", secret.name, secret.text, &shown[line..end])
    };
    secrets.iter().filter(survives).map(told).collect()
}

#[test]
fn no_planted_secret_survives() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let secrets: Vec<_> = (0..200).map(|number| planted(&mut chance, number)).collect();
    let mut wrong = Vec::new();
    for some in secrets.chunks(20) {
        let (log, report, har) =
            (log(some), report_with(some).to_string(), har_with(some).to_string());
        let name = some[0].text.clone();
        let torn = |text: &str| text.as_bytes()[..text.len() * 9 / 10].to_vec();
        let wild =
            json!({"log": {"entries": [{"request": some[0].text}]}, "entries": some[0].text})
                .to_string();
        for bytes in [
            log.clone().into_bytes(),
            report.clone().into_bytes(),
            har.clone().into_bytes(),
            torn(&report),
            torn(&har),
            wild.into_bytes(),
            zip_of(&[
                (&some[1].text, log.as_bytes()),
                (&some[2].text, &torn(&har)),
                ("x", some[3].text.as_bytes()),
            ]),
            gz(some[0].text.as_bytes()),
            some[0].text.clone().into_bytes(),
        ] {
            let taken = take_in(&name, &bytes, &Limits::default());
            wrong.extend(survivors(some, &seen(&taken)));
        }
    }
    wrong.sort();
    wrong.dedup();
    let first: Vec<_> = wrong.iter().step_by(wrong.len().div_ceil(40).max(1)).collect();
    assert!(wrong.is_empty(), "{} survive: {first:#?}", wrong.len());
}
