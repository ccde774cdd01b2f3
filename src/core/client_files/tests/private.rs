//! Lines that a private person would not want in front of strangers, in the forms of every client: what they say
//! behind a known logger is gone, and what Kestrel reads is still there.

use crate::client_files::intake::*;
use crate::client_files::tests::{NEW, OLD, refusal};
use crate::evidence::client::Sign;
use crate::evidence::client_file::*;

/// Behind a known logger, in every client's form: what was said, and no part of it may be left.
const SAID: &[&str] = &[
    "Anna Müller is not at home before nine",
    "meet Anna-Lena Zebra at Hotel Zebra, room 4711",
    "zebra",
    "Zebra",
    "message: zebra",
    "reason zebra stripes",
    "@room zebra",
    "@room: zebra",
    "geo:52.5200,13.4050;u=35",
    "geo:52.520008,13.404954",
    "https://zebra.example/callback?code=abc123zebra&state=x",
    "io.element.android:/callback?code=mcc_4Zebra7ifZebra",
    "oauth code 4Zebra9 accepted",
    "code=Zebra",
    "authorization_code: Zebra77",
    "connecting to zebra.home.arpa:8448",
    "host turn.zebra.example port 3478",
    "zebra.example",
    "matrix.zebra.example unreachable",
    "m.zebra.example",
    "**zebra** _zebra_ [zebra](https://zebra.example) # Zebra",
    "<b>zebra</b> <a href=\"https://zebra\">x</a>",
    "> zebra wrote",
    "name=Zebra topic=Zebra alias=#zebra:example.org",
    "displayname: Zebra, avatar: mxc://zebra.example/Zebra",
    "user Zebra logged in on Zebras iPhone",
    "device: ZebrasPhone model=Zebra",
    "state: zebra",
    "type=zebra",
    "status: pregnant zebra",
    "level zebra 17 42",
    "PIN 4711 zebra",
    "call me on 0170 1234567 zebra",
    "1984-05-03 zebra 03.05.1984",
    "room #zebra:example.org joined",
    "$zebra !zebra @Zebra",
    "type=m.zebra event_type: m.zebra.example algorithm=m.olm.v1.zebra",
    "in !zebra for $4242 as @Zebra, event $zebra",
    "event: $zebra id=$zebra room: !zebra user: @Zebra",
    "Zebra: {\"displayname\":\"Zebra\"}",
    "zebra=\"zebra\" 'zebra' `zebra`",
    "/data/user/0/zebra/files C:\\Users\\Zebra\\Desktop",
    "ゼブラ zebra Зебра",
    "z.e.b.r.a@example.org zebra@example.org",
    "Some(\"zebra\") Ok(Zebra { zebra: Zebra })",
    "sync state ERROR zebra",
    "missing key at index 3 of Zebra",
    "MissingKeyzebra xMissingKey zebra_MissingKey",
    "curve25519:zebra ed25519:Zebra",
    "events::zebra::anna",
    "crates/zebra/src/anna.rs:3",
    "zebra.js:5 client.js:zebra",
];

/// Words of [`SAID`] that give it away.
const TRACES: &[&str] = &[
    "zebra",
    "anna",
    "müller",
    "home",
    "hotel",
    "4711",
    "52.5",
    "13.4",
    "geo:",
    "mcc_",
    "@room",
    "callback",
    "0170",
    "1234567",
    "1984",
    "pregnant",
    "<b>",
    "**",
    "mxc:",
    "iphone",
    "ゼブラ",
    "зебра",
    "users",
    "42",
];

/// A line of each client, before the text and after it.
const FORMS: &[(&str, &str)] = &[
    ("2026-11-22T11:51:40.184Z I [MembershipManager] ", ""),
    ("2026-11-22T11:51:40.184Z W FetchHttpApi: ", ""),
    ("2026-11-22T11:51:40.184Z D [MatrixRTCSession !NRXIdLJyZRywXEsbXl:lab.local] ", ""),
    (
        "2026-11-22T11:51:40.184Z E Error decrypting event (id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ): ",
        "",
    ),
    (
        "2026-11-22T10:51:40.184561Z  INFO matrix_sdk_crypto::machine: ",
        " | crates/matrix-sdk-crypto/src/machine/mod.rs:1234 | spans: root",
    ),
    ("2026-11-22T10:51:40.184561Z DEBUG matrix_sdk::sliding_sync::client: ", ""),
    ("2026-11-22T10:51:40.184561Z TRACE matrix_sdk_ui::timeline::controller: ", ""),
    ("11-22 11:51:40.184  1234  1256 W org.matrix.rust.sdk: matrix_sdk_base::client: ", ""),
    ("11-22 11:51:40.184  1234  1256 I elementx: RustCrypto ", ""),
    ("client.js:71030 WARN matrix_sdk_crypto::olm::account: ", ""),
    ("RustCrypto ", " /sync error"),
    ("MissingKey: missing key at index 3 for participant @b:lab.local ", ""),
];

#[test]
fn what_is_said_behind_a_known_logger_is_not_kept() {
    let mut left = Vec::new();
    for (before, behind) in FORMS {
        for said in SAID {
            let line = format!("{before}{said}{behind}");
            let Ok(parcel) = take_in("x", line.as_bytes(), &Limits::default()) else { continue };
            let text = &parcel.artefacts[0].text;
            // A time and the names of the form itself are no trace.
            let shown =
                text.to_lowercase().replace("11:51:40.184", "").replace("10:51:40.184561", "");
            let shown = shown.replace("index 3", "").replace("1234", "").replace("71030", "");
            for trace in TRACES.iter().filter(|trace| shown.contains(*trace)) {
                left.push(format!("{trace}: {line} → {text}"));
            }
            let again = take_in("x", text.as_bytes(), &Limits::default()).expect("read again");
            assert_eq!(&again.artefacts[0].text, text, "{line}");
        }
    }
    assert!(left.is_empty(), "{} of {}: {left:#?}", left.len(), FORMS.len() * SAID.len());
}

#[test]
fn what_kestrel_reads_stays() {
    let refused = refusal();
    let lines = [
        (
            "W MatrixError: [400] REFUSED (https://lab.local/_matrix/client/v3/keys/upload)",
            Sign::AlreadyExists,
        ),
        (
            "11-22 11:51:40.184  1234  1256 E org.matrix.rust.sdk: matrix_sdk::client: Error: [400 / M_UNKNOWN] REFUSED",
            Sign::AlreadyExists,
        ),
        (
            "2026-11-22T10:51:40.184561Z  WARN matrix_sdk_crypto::olm::account: Olm event doesn't contain a ciphertext for our key | crates/matrix-sdk-crypto/src/olm/account.rs:1534 | spans: sync_once{conn_id=\"room-list\"} > receive_sync_changes > decrypt_to_device_event{sender=\"@b:lab.local\"}",
            Sign::NoCiphertextForUs,
        ),
        (
            "2026-11-22T10:51:40.184561Z ERROR matrix_sdk_crypto::olm::account: Failed to create a new Olm session from a pre-key message: SessionCreation(MissingOneTimeKey(\"curve25519:AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng\")) session_keys=x",
            Sign::MissingOneTimeKey,
        ),
        (
            "W matrix_sdk_crypto::olm::account: Failed to decrypt a non-pre-key message with all available sessions",
            Sign::Wedged,
        ),
        ("W MissingKey: missing key at index 3 for participant @b:x", Sign::MissingMediaKey),
        (
            "W matrix_sdk_crypto::machine: Received an unexpected encrypted to-device event event_type=\"io.element.call.encryption_keys\" sender=\"@b:lab.local\"",
            Sign::MediaKeyDecrypted,
        ),
        (
            "W Received a to-device message with sender_device_keys with incorrect ed25519",
            Sign::SenderKeysRefused,
        ),
        ("W [ToDeviceKeyTransport] No targets found for sending key", Sign::NoTargets),
        (
            "W [MembershipManager] Network local timeout error while sending event, immediate retry (2/10): AbortError: Restart delayed event timed out before the HS responded",
            Sign::DelayTimedOut,
        ),
    ];
    for (line, sign) in lines {
        let line = line.replace("REFUSED", &refused);
        let parcel = take_in("x", line.as_bytes(), &Limits::default()).expect("a log");
        let text = &parcel.artefacts[0].text;
        let facts = &parcel.artefacts[0].facts;
        assert_eq!(facts.count(sign), 1, "{line} → {text}");
        if sign == Sign::AlreadyExists {
            let refusal = &facts.refused[0];
            assert!(
                OLD.starts_with(&refusal.old.head) && NEW.starts_with(&refusal.new.head),
                "{text}"
            );
        }
        if sign == Sign::MissingOneTimeKey {
            let key = facts.signs[0].key.as_deref();
            assert_eq!(key, Some("AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng"), "{text}");
        }
    }
    let event = "E Error decrypting event (id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ type=m.room.encrypted \
                 sender=@a:lab.local room=!NRXIdLJyZRywXEsbXl:lab.local ts=2026-11-22T11:43:50.918Z): DecryptionError[msg: \
                 missing field `algorithm` at line 1 column 217, sender_key: abc, session_id: sess]";
    let parcel = take_in("x", event.as_bytes(), &Limits::default()).expect("a log");
    let seen = &parcel.artefacts[0].facts.events[0];
    assert_eq!((seen.event.len(), seen.column, seen.no_algorithm), (44, Some(217), true));
    let text = &parcel.artefacts[0].text;
    assert!(
        text.contains("room=!NRXIdLJyZRywXEsbXl:lab.local ts=2026-11-22T11:43:50.918Z"),
        "{text}"
    );
    assert!(!text.contains("abc") && !text.contains("sess]"), "{text}");
}
