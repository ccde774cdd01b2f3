//! Each reader on files as clients write them, and archives that are none.

mod bug_reports;
mod fuzzed;
mod planted;
mod private;

use std::io::{Read, SeekFrom, Write};

use serde_json::{Value, json};

use crate::client_files::console::known::is_known;
use crate::client_files::intake::*;
use crate::client_files::*;
use crate::evidence::ClientFacts;
use crate::evidence::client::Sign;
use crate::evidence::client_file::*;
use crate::evidence::redaction::scrubber::Scrubber;

pub(crate) const OLD: &str = "M8jfsz2k8YFayjK9l6gGoAdXgAI0vLA+mhgov0/wfis";
pub(crate) const NEW: &str = "hiU4T+yfyL6JM8oY+gk2e/K2Qy0BJmsMMiBG2vuL10s";
const SIGNED: &str =
    "ixB+wc7pMEjlbGB1zRWHzEJ9N4L1yI4H5Q485N3xEGPtDPnibnZrMvaVfUrLMpu4E+pM3JPkevFYAVsnXpnoDg";

pub(crate) fn refusal() -> String {
    let value =
        |key: &str| json!({"key": key, "signatures": {"@a:lab.local": {"ed25519:DEV": SIGNED}}});
    let new = value(NEW).to_string().replace("\":", "': ").replace('"', "'");
    format!(
        "One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key: {}; new key: {new}",
        value(OLD)
    )
}

pub(crate) fn report() -> Value {
    json!({
        "sdkVersion": "matrix-js-sdk 41.7.0", "deviceId": "DEV", "userId": "@a:lab.local",
        "syncState": "SYNCING", "cryptoReady": true, "counts": {"KE-1": 240, "KE-2": 1}, "evictable": true,
        "browser": "Firefox 143.0",
        "entries": [
            {"ts": 1_795_348_299_055u64, "level": "warn", "ke": "KE-1", "signature": "already exists",
             "message": format!("MatrixError: [400] {} (https://lab.local/_matrix/client/v3/keys/upload)", refusal())},
            {"ts": 1_795_348_300_055u64, "level": "error", "ke": "KE-2", "message":
             "Failed to create a new Olm session from a pre-key message: MissingOneTimeKey(\"curve25519:AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng\")"},
            {"ts": "2026-11-22T11:51:41Z", "message": "MissingKey: missing key at index 1 for participant @b:lab.local"},
            {"ts": 1_795_348_300_999u64, "message": "somebody said hello"},
        ],
    })
}

pub(crate) fn request(
    method: &str,
    url: &str,
    status: i64,
    time: f64,
    sent: &Value,
    got: &Value,
) -> Value {
    json!({
        "startedDateTime": "2026-11-22T11:51:40.184Z", "time": time,
        "request": {"method": method, "url": format!("https://lab.local{url}"),
            "httpVersion": "HTTP/2", "cookies": [{"name": "s", "value": "v"}], "queryString": [],
            "headers": [{"name": "authorization", "value": "Bearer syt_secret"}],
            "postData": {"mimeType": "application/json", "text": sent.to_string()}},
        "response": {"status": status, "headers": [{"name": "date", "value": "Sun, 22 Nov 2026 11:51:38 GMT"}],
            "content": {"mimeType": "application/json", "text": got.to_string()}},
        "timings": {"send": 0, "wait": time, "receive": 0},
    })
}

pub(crate) fn har() -> Value {
    let base = "/_matrix/client";
    let keys = json!({"device_keys": {"user_id": "@a:lab.local", "device_id": "DEV"},
        "one_time_keys": {"signed_curve25519:AAAAAAAAAA0": {"key": NEW}}});
    let media = json!({"messages": {"@b:lab.local": {"THEIRS": {
        "org.matrix.msgid": "3b2f6f51-70c2-4c19-9f5e-1a2b3c4d5e6f", "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "ciphertext": {OLD: {"type": 0, "body": "secret"}}}}}});
    let delay =
        format!("{base}/unstable/org.matrix.msc4140/delayed_events/syd_secretDelay/restart");
    json!({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": [], "entries": [
        request("POST", &format!("{base}/v3/keys/upload?access_token=syt_secret"), 400, 12.0, &keys,
            &json!({"errcode": "M_UNKNOWN", "error": refusal()})),
        request("PUT", &format!("{base}/v3/sendToDevice/io.element.call.encryption_keys/m1.2"), 200, 20.5, &media, &json!({})),
        request("POST", &delay, 200, 6003.0, &json!({"action": "restart"}), &json!({})),
        request("POST", &delay, 429, 3.0, &Value::Null, &json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 500})),
        request("GET", "/app.js", 200, 3.0, &Value::Null, &Value::Null),
    ]}})
}

pub(crate) const LOG: &str = "\
2026-11-22T11:51:39.000Z I matrix-js-sdk 41.7.0 starting\n\
2026-11-22T11:51:40.184Z W Olm event doesn't contain a ciphertext for our key\n\
2026-11-22T11:51:40.500Z  WARN matrix_sdk_crypto::machine: Received an unexpected encrypted to-device event event_type=\"io.element.call.encryption_keys\" sender=\"@b:lab.local\" | crates/matrix-sdk-crypto/src/machine/mod.rs:1234 | spans: root > receive_sync_changes{user_id=\"@a:lab.local\" device_id=\"DEV\"}\n\
2026-11-22T11:51:41.184Z E Error decrypting event (id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ type=m.room.encrypted sender=@a:lab.local room=!NRXIdLJyZRywXEsbXl:lab.local ts=2026-11-22T11:43:50.918Z): DecryptionError[msg: missing field `algorithm` at line 1 column 217, sender_key: abc, session_id: sess]\n\
app.js:123 [MembershipManager] Network local timeout error while sending event, immediate retry: AbortError: Restart delayed event timed out before the HS responded\n\
rageshake.ts:77 FetchHttpApi: --> POST https://lab.local/_matrix/client/v3/keys/upload?user=x\n\
somebody wrote a line\n";

pub(crate) fn taken(bytes: &[u8]) -> Parcel {
    take_in("file", bytes, &Limits::default()).unwrap_or_else(|why| panic!("{why}"))
}

/// What a report says before it is redacted.
fn of_report(report: &Value) -> ClientFacts {
    let report = report.as_object().unwrap();
    let mut facts = crate::client_files::report::facts::head(report);
    let list = crate::client_files::report::facts::list(report).unwrap();
    list.iter().for_each(|entry| facts.entry(entry));
    facts
}

/// What a HAR file says before it is redacted.
fn of_har(har: &Value) -> ClientFacts {
    let mut read = crate::client_files::har::facts::Read::default();
    har["log"]["entries"].as_array().unwrap().iter().for_each(|entry| read.entry(entry));
    read.facts()
}

fn one(bytes: &[u8]) -> Artefact {
    let mut parcel = taken(bytes);
    assert_eq!((parcel.artefacts.len(), parcel.notes.len()), (1, 0), "{:?}", parcel.notes);
    parcel.artefacts.remove(0)
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A stored or deflated zip of these files.
pub(crate) fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn a_report_is_kept_without_what_is_not_known() {
    let artefact = one(report().to_string().as_bytes());
    assert_eq!((artefact.kind, artefact.name.as_str()), (FileKind::Report, "report.json"));
    let facts = &artefact.facts;
    assert_eq!(facts.user.as_deref(), Some("@a:lab.local"));
    assert_eq!(facts.device.as_deref(), Some("DEV"));
    assert_eq!(facts.sdk.as_deref(), Some("matrix-js-sdk 41.7.0"));
    assert_eq!((facts.sync.as_deref(), facts.crypto_ready), (Some("SYNCING"), Some(true)));
    assert_eq!(facts.counted["ke1"], 240);
    assert_eq!(facts.count(Sign::AlreadyExists), 1);
    assert_eq!(facts.count(Sign::MissingOneTimeKey), 1);
    assert_eq!(facts.count(Sign::MissingMediaKey), 1);
    assert_eq!(
        (&*facts.refused[0].old.head, &*facts.refused[0].new.head),
        ("M8jfsz2k", "hiU4T+yf")
    );
    assert_eq!(facts.refused[0].old.signed_by.len(), 1);
    let key = facts.signs.iter().find_map(|noted| noted.key.as_deref());
    assert_eq!(key, Some("AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng"));
    assert_eq!(facts.unknown, 1);
    assert!(
        artefact.text.contains("Firefox 143.0") && !artefact.text.contains("hello"),
        "{}",
        artefact.text
    );
    assert_eq!(artefact.removed.summary(), "1 unrecognised line");
    // What the old reader says about the same file, it says too.
    let before = of_report(&report());
    assert_eq!(
        serde_json::to_value(&before.refused).unwrap(),
        serde_json::to_value(&facts.refused).unwrap()
    );
    assert_eq!(before.signs, facts.signs);
}

#[test]
fn a_bug_reports_details_name_whose_it_is() {
    let details = json!({"user_text": "it broke, call me", "data": {"user_id": "@a:x.org", "device_id": "DEV", "mood": "bad-very12345678secret"}});
    let artefact = one(details.to_string().as_bytes());
    assert_eq!(artefact.facts.device.as_deref(), Some("DEV"));
    assert!(!artefact.text.contains("call me") && !artefact.text.contains("secret"));
    assert!(take_in("x", br#"{"entries": [{"message": "hello"}]}"#, &Limits::default()).is_err());
}

#[test]
fn a_har_file_is_made_anew() {
    let artefact = one(har().to_string().as_bytes());
    assert_eq!((artefact.kind, artefact.name.as_str()), (FileKind::Har, "network.har"));
    let facts = &artefact.facts;
    assert_eq!(facts.user.as_deref(), Some("@a:lab.local"));
    assert_eq!(facts.refused.len(), 1);
    let delays = facts.delays.clone().unwrap();
    assert_eq!((delays.count, delays.timed_out, delays.refused), (2, 1, 1));
    assert_eq!((facts.minutes.len(), facts.minutes[0].count), (1, 2));
    assert!((facts.minutes[0].slowest - 6.003).abs() < 1e-9);
    let sent = &facts.sent[0];
    assert_eq!(sent.msgid, "3b2f6f51-70c2-4c19-9f5e-1a2b3c4d5e6f");
    assert_eq!(sent.event_type, "io.element.call.encryption_keys");
    assert_eq!((sent.status, facts.sent_count), (Some(200), 1));
    assert_eq!(sent.targets, [("@b:lab.local".to_owned(), "THEIRS".to_owned())]);
    let skew = facts.skew.unwrap();
    assert_eq!((skew.millis, skew.pairs), (1696, 4));
    assert!(
        !artefact.text.contains("secret") && !artefact.text.contains("app.js"),
        "{}",
        artefact.text
    );
    assert!(artefact.text.contains("/delayed_events/~"), "{}", artefact.text);
    let again = one(artefact.text.as_bytes());
    assert_eq!(again.text, artefact.text);
    assert_eq!(serde_json::to_value(&again.facts).unwrap(), serde_json::to_value(facts).unwrap());
    let before = of_har(&har());
    let mut same = serde_json::to_value(facts).unwrap();
    same["unknown"] = json!(before.unknown);
    assert_eq!(serde_json::to_value(&before).unwrap(), same);
}

#[test]
fn the_new_key_is_read_from_the_body_where_the_answer_lacks_it() {
    let mut har = har();
    let short = refusal().split("; new key").next().unwrap().to_owned();
    har["log"]["entries"][0]["response"]["content"]["text"] =
        json!({"error": short}).to_string().into();
    let facts = of_har(&har);
    assert_eq!(facts.refused[0].new.head, "hiU4T+yf");
}

#[test]
fn a_torn_har_file_is_read_up_to_the_tear() {
    let whole = har().to_string();
    let parcel = taken(&whole.as_bytes()[..whole.len() - 700]);
    assert_eq!(parcel.artefacts[0].facts.refused.len(), 1);
    assert!(parcel.notes[0].contains("is damaged"), "{:?}", parcel.notes);
}

#[test]
fn a_log_keeps_the_lines_that_are_known() {
    let artefact = one(LOG.as_bytes());
    assert_eq!((artefact.kind, artefact.name.as_str()), (FileKind::Console, "console.log"));
    let facts = &artefact.facts;
    for sign in [
        Sign::NoCiphertextForUs,
        Sign::MediaKeyDecrypted,
        Sign::DecryptionError,
        Sign::DelayTimedOut,
    ] {
        assert_eq!(facts.count(sign), 1, "{sign:?}\n{}", artefact.text);
    }
    assert_eq!(facts.events[0].column, Some(217));
    assert_eq!(facts.span.unwrap().1.to_string(), "2026-11-22T11:51:41.184Z");
    assert_eq!(facts.sdk.as_deref(), Some("matrix-js-sdk 41.7.0"));
    assert_eq!(facts.unknown, 1);
    for kept in [
        "sender=\"@b:lab.local\" | crates/matrix-sdk-crypto/src/machine/mod.rs:1234 |",
        "POST https://…/_matrix/client/v3/keys/upload?…",
        "(id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ type=m.room.encrypted sender=@a:lab.local",
        "msg: missing field `algorithm` at line 1 column 217, sender_key: …, session_id: …]",
    ] {
        assert!(artefact.text.contains(kept), "{kept}\n{}", artefact.text);
    }
    assert_eq!(one(artefact.text.as_bytes()).text, artefact.text);
}

#[test]
fn a_log_is_read_whatever_saved_it() {
    let utf16 = |little: bool| -> Vec<u8> {
        let marked = format!("\u{feff}{}", LOG.replace('\n', "\r\n"));
        marked
            .encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    };
    let plain = one(LOG.as_bytes()).text;
    for bytes in [format!("\u{feff}{LOG}").into_bytes(), utf16(true), utf16(false)] {
        assert_eq!(one(&bytes).text, plain);
    }
    let marked = format!("\u{feff}{}", report());
    assert_eq!(one(marked.as_bytes()).kind, FileKind::Report);
}

#[test]
fn archives_are_read_in_memory() {
    let report = report().to_string();
    let har = har().to_string();
    let files: [(&str, &[u8]); 4] = [
        ("a.txt", LOG.as_bytes()),
        ("b", report.as_bytes()),
        ("c.har", har.as_bytes()),
        ("d", LOG.as_bytes()),
    ];
    let logs = gz(LOG.as_bytes());
    assert_eq!(one(&logs).kind, FileKind::Console);
    for archive in [zip_of(&files), tar_of(&files), gz(&tar_of(&files))] {
        let parcel = taken(&archive);
        let names: Vec<_> =
            parcel.artefacts.iter().map(|artefact| artefact.name.as_str()).collect();
        assert_eq!(names, ["console.log", "report.json", "network.har", "console-2.log"]);
        assert!(parcel.notes.is_empty(), "{:?}", parcel.notes);
    }
    assert_eq!(taken(&zip_of(&[("x.gz", &logs)])).artefacts.len(), 1);
    let deep = zip_of(&[("x.zip", &zip_of(&[("x.gz", &logs)]))]);
    let why = take_in("x", &deep, &Limits::default()).unwrap_err();
    assert!(why.contains("inside an archive"), "{why}");
}

#[test]
fn hostile_archives_get_a_sentence() {
    let err = |bytes: &[u8], limits: &Limits| take_in("x", bytes, limits).unwrap_err();
    let limits = Limits { unpacked: 1 << 20, files: 3, ..Limits::default() };
    let bomb = vec![b'a'; 3 << 20];
    for archive in [gz(&bomb), zip_of(&[("a", &bomb)]), gz(&tar_of(&[("a", &bomb)]))] {
        assert!(err(&archive, &limits).contains("larger than 1 MiB"));
    }
    let many: Vec<_> = (0..9).map(|_| LOG.as_bytes()).collect();
    let many: Vec<_> =
        ["1", "2", "3", "4", "5", "6", "7", "8", "9"].into_iter().zip(many).collect();
    let parcel = take_in("x", &zip_of(&many), &limits).unwrap();
    assert_eq!((parcel.artefacts.len(), parcel.notes.len()), (3, 1));
    for name in ["../x", "/etc/x", "a/../../x", "..\\x"] {
        let tar = tar_of(&[(name, LOG.as_bytes())]);
        assert!(err(&tar, &limits).contains("points outside"), "{name}");
    }
    assert!(err(&[0x1f, 0x8b, 8], &limits).contains("truncated"));
    assert_eq!(err(b"", &limits), "it is empty");
    assert_eq!(err(b" \n", &limits), "it is empty");
    assert!(err(b"\x89PNG\r\n", &limits).contains("picture"));
    assert!(err(b"hello world", &limits).contains("no known line"));
    assert!(err(&vec![b'x'; (32 << 20) + 1], &limits).contains("larger than 32 MiB"));
    for deep in [
        "[".repeat(1_000_000),
        "{\"a\":".repeat(1_000_000),
        format!("{{\"log\":{{\"entries\":[{}", "[".repeat(1_000_000)),
    ] {
        assert!(
            err(deep.as_bytes(), &limits).contains("JSON"),
            "{}",
            err(deep.as_bytes(), &limits)
        );
    }
}

#[test]
fn torn_archives_are_read_up_to_the_tear() {
    let long: String = (0..5000u32)
        .map(|n| {
            format!(
                "MissingKey: missing key at index {}\n",
                n.wrapping_mul(2_654_435_761) % 100_000
            )
        })
        .collect();
    let packed = gz(long.as_bytes());
    let parcel = taken(&packed[..packed.len() / 2]);
    assert!(parcel.artefacts[0].facts.count(Sign::MissingMediaKey) > 100);
    assert!(parcel.notes[0].contains("truncated"), "{:?}", parcel.notes);
    let files: [(&str, &[u8]); 2] = [("a", LOG.as_bytes()), ("b", long.as_bytes())];
    let zip = zip_of(&files);
    let tar = tar_of(&files);
    for archive in [&zip[..zip.len() * 2 / 3], &tar[..tar.len() / 2]] {
        let parcel = taken(archive);
        assert_eq!(parcel.artefacts[0].facts.count(Sign::NoCiphertextForUs), 1);
        assert!(!parcel.notes.is_empty());
    }
}

#[test]
fn a_locked_zip_says_so() {
    let mut zip = zip_of(&[("a", LOG.as_bytes())]);
    // Bit 0 of the flags, in both headers.
    let central = memchr::memmem::find(&zip, b"PK\x01\x02").unwrap();
    zip[6] |= 1;
    zip[central + 8] |= 1;
    let why = take_in("x", &zip, &Limits::default()).unwrap_err();
    assert!(why.contains("password"), "{why}");
}

#[test]
fn the_words_of_real_clients_are_still_told_apart_when_scrubbed() {
    for line in [
        "MissingKey: missing key at index 3 for participant @b:x",
        "[MembershipManager] Network local timeout error while sending event, immediate retry: AbortError: Restart delayed event timed out before the HS responded",
        "Failed to decrypt a non-pre-key message with all available sessions",
        "sender_device_keys with incorrect ed25519",
        "[ToDeviceKeyTransport] No targets found for sending key",
        "client.js:71030 WARN matrix_sdk_crypto::olm::account: Olm event doesn't contain a ciphertext for our key",
        "** Unable to decrypt: DecryptionError: The message wasn't valid base64: Invalid input length: 21 at line 1 column 252 **",
    ] {
        let mut scrubber = Scrubber::new(false);
        assert_eq!(scrubber.line(line), line);
        assert_eq!(scrubber.removed.total(), 0);
    }
}

#[test]
fn json_that_is_larger_as_values_than_as_text_is_bounded() {
    let zeros = "0,".repeat(2_000_000) + "0";
    let report =
        format!("{{\"userId\":\"@a:x.org\",\"sdkVersion\":\"1.2.3\",\"entries\":[{zeros}]}}");
    assert_eq!(one(report.as_bytes()).facts.unknown, 2_000_001);
    // A body that is too long is dropped; an entry that is too long is skipped, and the next one is read.
    let mut har = har();
    har["log"]["entries"][1]["response"]["content"]["text"] = json!(format!("[{zeros}]"));
    let whole = one(har.to_string().as_bytes());
    assert_eq!(whole.facts.refused.len(), 1);
    let large = har.to_string().replacen("\"cookies\":[", &format!("\"cookies\":[{zeros},"), 1);
    let parcel = taken(large.as_bytes());
    assert_eq!(parcel.artefacts[0].facts.delays.as_ref().unwrap().count, 2);
    let said =
        "the HAR file has 1 request that could not be read in full: too large, or not valid JSON";
    assert_eq!(parcel.notes, [said]);
    // A body that is read says so, too.
    har["log"]["entries"][0]["request"]["postData"]["text"] = json!(format!("[{zeros}]"));
    let parcel = taken(har.to_string().as_bytes());
    assert_eq!(parcel.notes, [said]);
}

#[test]
fn noise_is_no_text_and_another_encoding_is() {
    let why = take_in("x", &[0xff; 4096], &Limits::default()).unwrap_err();
    assert!(why.contains("not a text file"), "{why}");
    let latin = [LOG.as_bytes(), b"Gr\xfc\xdfe\n"].concat();
    assert_eq!(one(&latin).facts.count(Sign::DecryptionError), 1);
}

#[test]
fn a_device_id_may_look_random() {
    for device in ["0f8fad5b-d9cb-469f-a165-70867728950e", "aB3dE5gH7jK9mN1p", "MY PHONE"] {
        let mut whole = report();
        whole["deviceId"] = json!(device);
        let kept = one(whole.to_string().as_bytes());
        assert_eq!(kept.facts.device.as_deref(), Some(device));
        assert_eq!(one(kept.text.as_bytes()).facts.device.as_deref(), Some(device));
        // As the Rust SDK names it at its start.
        let line = format!(
            "2026-11-22T22:42:35.749161Z DEBUG restore_session:with_store{{user_id=\"@a:lab.local\" device_id=\"{device}\" \
             ed25519_key=\"x\"}}: matrix_sdk_crypto::machine: Restored an Olm account\n"
        );
        let kept = one(line.as_bytes());
        assert_eq!(kept.facts.user.as_deref(), Some("@a:lab.local"), "{}", kept.text);
        if !device.contains(' ') {
            assert_eq!(kept.facts.device.as_deref(), Some(device), "{}", kept.text);
        }
    }
    for token in ["eyJhbGciOiJIUzI1NiJ9", "syt_YWxpY2U_abcdef", "4f9a2b7c1d3e5f60718293a4b5c6d7e8"]
    {
        let mut whole = report();
        whole["deviceId"] = json!(token);
        assert!(!one(whole.to_string().as_bytes()).text.contains(token), "{token}");
    }
}

#[test]
fn what_is_said_in_prose_is_cut() {
    for said in [
        "access token zebra",
        "access-token → zebra",
        "token (zebra)",
        "auth header set to zebra",
        "Cookie session zebra",
        "secret zebra",
        "Passwort lautet zebra",
        "delayId zebra, delay id zebra",
        "pickleKey zebra pickle_key zebra",
        "request body zebra meet at nine",
        "decrypted event content → zebra",
        "plaintext zebra",
        "message text zebra",
        "key Uint8Array(16) [12, 34, 56, 78, 90, 121, 122, 133, zebra",
        "„zebra“ «zebra» “zebra” ‘zebra’ „zebra",
    ] {
        for start in [
            "RustCrypto",
            "W Error decrypting event (id=$abc):",
            "MissingKey: missing key at index 1",
        ] {
            let mut scrubber = Scrubber::new(false);
            let kept = scrubber.line(&format!("{start} {said}"));
            let bytes = said.contains("Uint8Array");
            assert!(!kept.contains("zebra") || bytes, "{kept}");
            assert!(!kept.contains("56, 78"), "{kept}");
            assert!(is_known(&kept) && scrubber.removed.total() > 0, "{kept}");
        }
    }
}

#[test]
fn a_field_that_is_not_known_holds_no_sentence() {
    let mut whole = report();
    for (name, value, kept) in [
        ("draft", "see you at nine", false),
        ("lastRoom", "Chemo support group", false),
        ("clipboard", "correct horse battery staple", false),
        ("verified", "not-verified", true),
        ("system", "macOS 14.1", true),
        ("store", "IndexedDB", true),
    ] {
        whole[name] = json!(value);
        let artefact = one(whole.to_string().as_bytes());
        assert_eq!(artefact.text.contains(value), kept, "{value}: {}", artefact.text);
    }
}

#[test]
fn message_ids_of_every_client_are_kept_and_nothing_else_is() {
    for (id, kept) in [
        ("3b2f6f51-70c2-4c19-9f5e-1a2b3c4d5e6f", true),
        ("01M82PSWDPV2A0B4ETG6WEE5K1", true),
        ("4f9a2b7c1d3e5f60718293a4b5c6d7e8", true),
        ("01m82pswdpv2a0b4etg6wee5k1", false),
        ("come at nine", false),
    ] {
        let text = har().to_string().replace("3b2f6f51-70c2-4c19-9f5e-1a2b3c4d5e6f", id);
        let artefact = one(text.as_bytes());
        let told = artefact.facts.sent.first().map(|sent| sent.msgid.as_str());
        assert_eq!(told, kept.then_some(id));
        assert_eq!(artefact.text.contains(id), kept, "{id}");
    }
}

/// A log of a number of known lines, each with its number, after a line that names the session.
fn long_log(lines: usize) -> String {
    let mut log =
        String::from("2026-11-22T11:00:00Z I restoring session for @a:x.org device_id=DEV\n");
    for line in 0..lines {
        let minute = line / 60 % 60;
        let second = line % 60;
        log.push_str(&format!(
            "2026-11-22T11:{minute:02}:{second:02}Z W MissingKey: missing key at index {line}\n"
        ));
    }
    log
}

#[test]
fn of_a_long_log_its_start_and_its_newest_end_are_kept() {
    let limits = Limits { kept: 64 << 10, ..Limits::default() };
    let parcel = take_in("x", long_log(2000).as_bytes(), &limits).unwrap();
    let artefact = &parcel.artefacts[0];
    assert!(artefact.text.len() <= limits.kept, "{}", artefact.text.len());
    assert_eq!(artefact.facts.user.as_deref(), Some("@a:x.org"));
    for (kept, there) in [(0, true), (90, true), (500, false), (1000, false), (1999, true)] {
        assert_eq!(artefact.text.contains(&format!("index {kept}\n")), there, "{kept}");
    }
    let kept = artefact.facts.count(Sign::MissingMediaKey);
    assert_eq!(kept, artefact.text.lines().count() as u64 - 1);
    let said = format!("{} known lines between its start and its newest lines", 2000 - kept);
    assert!(parcel.notes[0].contains(&said), "{:?}", parcel.notes);
    assert_eq!(artefact.removed.total(), 0);
}

#[test]
fn what_is_kept_of_a_long_report_and_a_long_har_file_is_bounded() {
    let limits = Limits { kept: 64 << 10, ..Limits::default() };
    let mut whole = report();
    let line = |n: u64| json!({"ts": 1_795_348_300_999u64 + n, "level": "warn", "message": format!("MissingKey: missing key at index {n}")});
    whole["entries"] = (0..2000).map(line).collect();
    whole["logs"] = json!(["MissingKey: missing key at index 7"]);
    let parcel = take_in("x", whole.to_string().as_bytes(), &limits).unwrap();
    let text = &parcel.artefacts[0].text;
    assert!(text.len() <= limits.kept, "{}", text.len());
    let again: Value = serde_json::from_str(text).unwrap();
    let list = again["entries"].as_array().unwrap();
    assert_eq!(list[0]["message"], "MissingKey: missing key at index 0");
    assert_eq!(list.last().unwrap()["message"], "MissingKey: missing key at index 1999");
    assert_eq!(parcel.artefacts[0].facts.count(Sign::MissingMediaKey), list.len() as u64);
    assert!(parcel.notes[0].starts_with("the report is long"), "{:?}", parcel.notes);
    let mut whole = har();
    let all = whole["log"]["entries"].as_array_mut().unwrap();
    let one = all[2].clone();
    all.extend((0..500).map(|n| {
        let mut one = one.clone();
        one["time"] = json!(n);
        one
    }));
    let parcel = take_in("x", whole.to_string().as_bytes(), &limits).unwrap();
    let text = &parcel.artefacts[0].text;
    assert!(text.len() <= limits.kept + 200, "{}", text.len());
    assert!(text.contains("\"time\":499.0") && text.contains("/keys/upload"));
    assert!(parcel.notes[0].starts_with("the HAR file is long"), "{:?}", parcel.notes);
    assert_eq!(one_of(text).text, *text);
}

fn one_of(text: &str) -> Artefact {
    one(text.as_bytes())
}

#[test]
fn the_files_of_an_archive_share_what_is_kept() {
    let limits = Limits { kept: 128 << 10, ..Limits::default() };
    let long = long_log(2000);
    let har = har().to_string();
    let files: Vec<(&str, &[u8])> = vec![
        ("a", long.as_bytes()),
        ("b", LOG.as_bytes()),
        ("c", long.as_bytes()),
        ("d", har.as_bytes()),
        ("e", long.as_bytes()),
    ];
    let parcel = take_in("x", &zip_of(&files), &limits).unwrap();
    let kept: Vec<_> = parcel.artefacts.iter().map(|one| one.text.len()).collect();
    assert!(kept.iter().sum::<usize>() <= limits.kept, "{kept:?}");
    assert!(kept.iter().step_by(2).all(|kept| *kept > limits.kept / 6), "{kept:?}");
    assert_eq!(parcel.artefacts[1].text, one(LOG.as_bytes()).text);
    assert_eq!(parcel.artefacts[3].text, one(har.as_bytes()).text);
    for long in [0, 2, 4] {
        assert!(parcel.artefacts[long].text.contains("index 1999\n"));
    }
    let notes: Vec<_> = parcel.notes.iter().filter_map(|note| note.split(':').next()).collect();
    assert_eq!(notes, ["console.log", "console-3.log", "console-4.log"], "{:?}", parcel.notes);
}

#[test]
fn half_a_letter_costs_its_own_line_only() {
    let half = |text: String, at: &str| text.replacen(at, &format!("{at}\\ud83d"), 1);
    let text = half(half(report().to_string(), "somebody said"), "Firefox");
    let kept = one(text.as_bytes());
    assert_eq!((kept.kind, kept.facts.refused.len()), (FileKind::Report, 1));
    assert!(!kept.text.contains("browser") && kept.text.contains("SYNCING"), "{}", kept.text);
    let parcel = taken(half(har().to_string(), "Too Many Requests").as_bytes());
    assert!(parcel.notes[0].contains("1 request that could not be read"), "{:?}", parcel.notes);
    assert_eq!(parcel.artefacts[0].facts.delays.as_ref().unwrap().count, 1);
}

#[test]
fn a_torn_report_is_read_up_to_the_tear() {
    let whole = report().to_string();
    let parcel = taken(&whole.as_bytes()[..whole.len() - 20]);
    let artefact = &parcel.artefacts[0];
    assert_eq!((artefact.kind, artefact.facts.refused.len()), (FileKind::Report, 1));
    assert!(parcel.notes[0].starts_with("the report is damaged"), "{:?}", parcel.notes);
    assert_eq!(one(artefact.text.as_bytes()).text, artefact.text);
}

/// Gives a few bytes at a time.
struct Slow<'a>(std::io::Cursor<&'a [u8]>);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(1 + self.0.position() as usize % 7);
        self.0.read(&mut into[..most])
    }
}

impl std::io::Seek for Slow<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_file_is_the_same_whatever_pieces_it_comes_in() {
    let report = report().to_string();
    let har = har().to_string();
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&har).unwrap()).unwrap();
    let files: [(&str, &[u8]); 4] = [
        ("a", LOG.as_bytes()),
        ("b", report.as_bytes()),
        ("c", har.as_bytes()),
        ("d", pretty.as_bytes()),
    ];
    let tar = tar_of(&files);
    let all = [zip_of(&files), gz(&tar), tar];
    let torn = zip_of(&files);
    let torn = torn[..torn.len() * 2 / 3].to_vec();
    let plain = files.iter().map(|(_, file)| file.to_vec());
    for bytes in all.into_iter().chain(plain).chain([torn]) {
        let slow = take_in_from("x", Slow(std::io::Cursor::new(&bytes)), &Limits::default());
        assert_eq!(planted::seen(&slow), planted::seen(&Ok(taken(&bytes))));
    }
}

#[test]
fn what_an_archive_says_of_itself_costs_no_memory() {
    let err = |bytes: &[u8]| take_in("x", bytes, &Limits::default()).unwrap_err();
    // A list of files whose names are all there is to it.
    let names: Vec<_> = (0..40).map(|n| format!("{n:0>60000}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(err(&zip_of(&files)).contains("larger than 1 MiB"));
    // A zip inside another archive has to be in memory.
    let noise: Vec<u8> =
        (0..2u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let large = zip_of(&[("a", &noise)]);
    assert!(err(&gz(&large)).contains("larger than 4 MiB"), "{}", large.len());
    // A tar's long names are passed over.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(noise.len() as u64);
    header.set_cksum();
    tar.append(&header, noise.as_slice()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(LOG.len() as u64);
    header.set_cksum();
    tar.append(&header, LOG.as_bytes()).unwrap();
    assert_eq!(taken(&tar.into_inner().unwrap()).artefacts[0].text, one(LOG.as_bytes()).text);
}
