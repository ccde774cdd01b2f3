//! What clients send when their users report a bug: Element Web's archive of numbered logs, Element X's log of each
//! hour, the details beside them, and Android's logcat.

use serde_json::json;

use crate::client_files::intake::*;
use crate::client_files::tests::{NEW, OLD, gz, har, refusal, taken, tar_of, zip_of};
use crate::evidence::client::{ClientIdentity, Sign};
use crate::evidence::client_file::*;

/// An hour of a client's log, with a rejection at its end if wanted.
fn hour(hour: usize, lines: usize, refused: bool) -> String {
    let mut log = String::new();
    for line in 0..lines {
        let minute = line / 60 % 60;
        let second = line % 60;
        log.push_str(&format!(
            "2026-11-{:02}T{:02}:{minute:02}:{second:02}Z  WARN matrix_sdk_crypto::machine: Failed to decrypt a room event\n",
            10 + hour / 24,
            hour % 24,
        ));
    }
    if refused {
        log.push_str(&format!("2026-11-22T23:59:59Z ERROR matrix_sdk::client: {}\n", refusal()));
    }
    log
}

/// 60 hours as Element X stores them, in the order in which a folder may list them; the newest has a rejection.
fn hours(count: usize, lines: usize) -> Vec<(String, String)> {
    let name = |n: usize| format!("logs.2026-11-{:02}-{:02}.log", 10 + n / 24, n % 24);
    let mut all: Vec<_> = (0..count).map(|n| (name(n), hour(n, lines, n + 1 == count))).collect();
    all.sort_by_key(|(name, _)| name.chars().rev().collect::<String>());
    all
}

fn bytes(files: &[(String, String)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect()
}

#[test]
fn a_refusal_behind_more_known_lines_than_are_kept_is_seen() {
    let mut log =
        String::from("2026-11-10T00:00:00Z I restoring session for @a:x.org device_id=DEV\n");
    for n in 0..60 {
        log.push_str(&hour(n, 1000, false));
    }
    log.push_str(&format!("2026-11-22T23:59:59Z W MatrixError: [400] {}\n", refusal()));
    // Less is kept than there is, so that the test need not redact all of it.
    let limits = Limits { kept: 1 << 20, ..Limits::default() };
    let parcel = take_in("x", log.as_bytes(), &limits).expect("a log");
    let facts = &parcel.artefacts[0].facts;
    assert_eq!((facts.count(Sign::AlreadyExists), facts.refused.len()), (1, 1));
    assert_eq!(facts.user.as_deref(), Some("@a:x.org"));
    let note = &parcel.notes[0];
    assert!(note.contains("known lines between its start and its newest"), "{note}");
    assert!(note.contains("(2026-11-10 00:") && note.contains(" UTC to 2026-11-"), "{note}");
    assert_eq!(facts.unread, parcel.notes);
    assert!(facts.summary().contains("not all of the file was read"), "{}", facts.summary());
}

#[test]
fn a_refusal_behind_more_requests_than_are_redacted_is_seen() {
    let har = har().to_string();
    let (start, end) = har.split_at(har.find("[{\"request\"").expect("a list") + 1);
    let many = "{\"request\":{\"url\":\"https://x/\"}},".repeat(100_001);
    let parcel = taken(format!("{start}{many}{end}").as_bytes());
    let facts = &parcel.artefacts[0].facts;
    assert_eq!((facts.refused.len(), facts.sent_count), (1, 1));
    let said = "2 requests after the first 100000 were not read";
    assert!(parcel.notes[0].contains(said), "{:?}", parcel.notes);
}

#[test]
fn of_many_hours_the_newest_are_kept_as_one_log() {
    let files = hours(60, 20);
    let plain = bytes(&files);
    let packed: Vec<_> =
        files.iter().map(|(name, text)| (format!("{name}.gz"), gz(text.as_bytes()))).collect();
    let packed: Vec<_> =
        packed.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    for archive in
        [zip_of(&plain), tar_of(&plain), gz(&tar_of(&plain)), zip_of(&packed), tar_of(&packed)]
    {
        let parcel = taken(&archive);
        assert_eq!((parcel.artefacts.len(), &parcel.notes), (1, &vec![]), "{:?}", parcel.notes);
        let text = &parcel.artefacts[0].text;
        assert_eq!(text.lines().count(), 1201);
        let times: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(times.is_sorted(), "the parts are not in their order");
        assert_eq!(parcel.artefacts[0].facts.count(Sign::AlreadyExists), 1);
        // Less is kept than there is: the oldest hours go.
        let limits = Limits { kept: 64 << 10, ..Limits::default() };
        let parcel = take_in("x", &archive, &limits).expect("read");
        let text = &parcel.artefacts[0].text;
        assert!(text.len() < (limits.kept), "{}", text.len());
        assert!(!text.contains("2026-11-10T") && text.contains("2026-11-12T11:"), "{text}");
        assert_eq!(parcel.artefacts[0].facts.count(Sign::AlreadyExists), 1);
        assert!(parcel.notes[0].contains("2026-11-10 00:00:00 UTC to "), "{:?}", parcel.notes);
        // And no more is unpacked than is allowed. A packed tar is looked through only so far, too.
        if archive.starts_with(b"\x1f\x8b") {
            continue;
        }
        let limits = Limits { unpacked: 40 << 10, ..Limits::default() };
        let parcel = take_in("x", &archive, &limits).expect("read");
        assert_eq!(parcel.artefacts[0].facts.count(Sign::AlreadyExists), 1);
        assert!(parcel.notes[0].contains("more files were not read"), "{:?}", parcel.notes);
        assert!(parcel.notes[0].contains("(2026-11-10 00h to 2026-11-"), "{:?}", parcel.notes);
    }
}

#[test]
fn element_webs_first_log_is_its_newest() {
    let logs: Vec<_> = (0..20)
        .map(|n| (format!("logs-{n:04}.log.gz"), gz(hour(40 - n, 50, n == 0).as_bytes())))
        .collect();
    let details = details().to_string();
    let mut files: Vec<(&str, &[u8])> = vec![("details.json", details.as_bytes())];
    files.extend(logs.iter().rev().map(|(name, log)| (name.as_str(), log.as_slice())));
    let limits = Limits { kept: 64 << 10, ..Limits::default() };
    let parcel = take_in("report.zip", &zip_of(&files), &limits).expect("read");
    let names: Vec<_> = parcel.artefacts.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["report.json", "console.log"]);
    let [details, log] = &parcel.artefacts[..] else { panic!("two files") };
    assert_eq!(log.facts.count(Sign::AlreadyExists), 1);
    assert!(log.text.trim_end().ends_with(NEW_END), "{}", log.text);
    // The details were written when the newest log ended.
    assert_eq!(
        details.facts.span.map(|(first, _)| first.to_string()).as_deref(),
        Some("2026-11-22T23:59:59Z")
    );
    assert!(parcel.notes.iter().any(|note| note.contains("and its newest")), "{:?}", parcel.notes);
}

const NEW_END: &str = "}}}";

/// What the rageshake server stores of a report by Element Web.
fn details() -> serde_json::Value {
    let undecrypted = json!({
        "event_id": "$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ", "room_id": "!NRXIdLJyZRywXEsbXl:lab.local",
        "session_id": OLD, "sender_key": NEW, "device_id": "SENDERDEV", "user_id": "@b:lab.local",
        "recipient_rageshake": "https://zebra.example/1",
    });
    json!({
        "user_text": "zebra wrote this, call 0170 1234567", "app": "element-web",
        "data": {
            "User-Agent": "Mozilla/5.0 (X11; zebra) Firefox/143.0", "Version": "1.11.90",
            "user_id": "@a:lab.local", "device_id": "ABCDEFGHIJ",
            "device_keys": format!("ed25519:{NEW}, curve25519:{OLD}"),
            "crypto_version": "Rust SDK 0.11.0 (2d5d6cd), Vodozemac 0.9.0",
            "cross_signing_key": OLD, "cross_signing_ready": "true",
            "cross_signing_privkey_in_secret_storage": "true", "cross_signing_master_privkey_cached": "false",
            "secret_storage_ready": "true", "secret_storage_key_in_account": "true",
            "session_backup_key_in_secret_storage": "true", "session_backup_key_cached": "true",
            "session_backup_key_well_formed": "true", "some_future_password_set": "true",
            "storageManager_quota": "10737418240", "enabled_labs": "feature_zebra", "lastRoom": "Zebra",
            "mx_local_settings": "{\"zebra\":\"zebra\"}", "mood": "zebra", "zebra": "true",
            "auto_uisi": undecrypted.to_string(),
        },
        "labels": ["zebra"], "logs": ["logs-0000.log.gz"], "logErrors": null, "files": [], "fileErrors": null,
    })
}

#[test]
fn the_details_of_a_bug_report_say_whose_account_it_was() {
    let parcel = taken(details().to_string().as_bytes());
    let Artefact { facts, text, removed, .. } = &parcel.artefacts[0];
    assert_eq!(facts.user.as_deref(), Some("@a:lab.local"));
    assert_eq!(facts.device.as_deref(), Some("ABCDEFGHIJ"));
    assert_eq!((facts.sdk.as_deref(), facts.app.as_deref()), (None, Some("element-web 1.11.90")));
    assert_eq!(facts.crypto_version.as_deref(), Some("Rust SDK 0.11.0 (2d5d6cd), Vodozemac 0.9.0"));
    let identity = ClientIdentity { ed25519: Some(NEW.into()), curve25519: Some(OLD.into()) };
    assert_eq!(facts.identity, Some(identity));
    assert_eq!(facts.events[0].event, "$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ");
    let told = removed.summary();
    assert!(!told.contains("password") && !told.contains("key"), "{told}");
    assert!(!text.to_lowercase().contains("zebra") && !text.contains("0170"), "{text}");
    for kept in
        ["\"secret_storage_ready\": \"true\"", "10737418240", "!NRXIdLJyZRywXEsbXl:lab.local"]
    {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert_eq!(&taken(text.as_bytes()).artefacts[0].text, text);
    // A report of no app says its SDK's version so.
    let own = json!({"userId": "@a:x.org", "deviceId": "DEV", "version": "41.7.0", "entries": []});
    assert_eq!(taken(own.to_string().as_bytes()).artefacts[0].facts.sdk.as_deref(), Some("41.7.0"));
}

#[test]
fn details_may_be_lines_of_text() {
    let issue = format!(
        "text = it broke: zebra\napp = element-web\nversion = 1.11.90\nuser_id = @a:lab.local\ndevice_id = ABCDEFGHIJ\n\
         device_keys = ed25519:{NEW}, curve25519:{OLD}\nmx_local_settings = {{\"zebra\":1}}\nzebra = zebra\n"
    );
    let log = hour(3, 5, true);
    let tar = tar_of(&[("log-0.log", log.as_bytes()), ("issue.txt", issue.as_bytes())]);
    let parcel = taken(&tar);
    assert!(parcel.notes.is_empty(), "{:?}", parcel.notes);
    let details = &parcel.artefacts[1];
    assert_eq!(
        (details.kind, details.facts.device.as_deref()),
        (FileKind::Report, Some("ABCDEFGHIJ"))
    );
    assert!(
        details.facts.identity.is_some() && !details.text.contains("zebra"),
        "{}",
        details.text
    );
}

#[test]
fn logcats_times_are_read_and_never_taken_for_anybodys_zone() {
    let log = "--------- beginning of main\n\
               11-22 11:51:40.184  1234  1256 W org.matrix.rust.sdk: matrix_sdk_crypto::olm::account: Olm event doesn't contain a ciphertext for our key\n\
               11-22 11:52:03.001  1234  1256 I zebra.app: zebra\n\
               11-22 11:52:04.500  1234  1256 E org.matrix.rust.sdk: matrix_sdk_crypto::machine: Failed to decrypt a room event\n";
    let parcel = taken(log.as_bytes());
    let Artefact { facts, text, .. } = &parcel.artefacts[0];
    assert_eq!(facts.span, None);
    assert_eq!(facts.local, Some(("11-22 11:51:40.184".into(), "11-22 11:52:04.500".into())));
    assert!(
        text.starts_with("11-22 11:51:40.184 W org.matrix.rust.sdk: matrix_sdk_crypto::olm"),
        "{text}"
    );
    assert!(!text.contains("zebra"), "{text}");
    assert!(parcel.notes[0].contains("no time zone and no year"), "{:?}", parcel.notes);
    assert_eq!(&taken(text.as_bytes()).artefacts[0].text, text);
    // With a year and a zone, as `logcat -v year,zone` and iOS write them, a time is a time.
    let dated = "2026-11-22 11:51:40.184561+0100 W matrix_sdk_crypto::machine: Failed to decrypt a room event\n";
    let facts = &taken(dated.as_bytes()).artefacts[0].facts;
    assert_eq!(
        facts.span.map(|(first, _)| first.to_string()).as_deref(),
        Some("2026-11-22T10:51:40.184561Z")
    );
}

#[test]
fn a_one_word_field_may_be_a_name() {
    for (name, value) in [
        ("mood", json!("pregnant")),
        ("draft", json!("Zebra")),
        ("Zebra", json!(true)),
        ("zebra", json!(4711)),
        ("theme", json!("zebra")),
        ("browser", json!("Zebra 17")),
        ("version", json!("Anna 1.2.3")),
        ("sdkVersion", json!("Zebra 1.2.3")),
        ("syncState", json!("Zebra")),
        ("zebra", json!({"zebra": "Zebra"})),
        ("data", json!({"zebra": "Zebra", "Zebra": 1})),
        ("app", json!("zebra")),
        ("device", json!("Zebra")),
        ("device", json!("ZebrasPhone 7")),
    ] {
        let mut report = json!({"userId": "@a:x.org", "deviceId": "DEV", "entries": []});
        report[name] = value.clone();
        let kept = &taken(report.to_string().as_bytes()).artefacts[0];
        let text = kept.text.to_lowercase();
        for trace in ["pregnant", "zebra", "4711", "anna"] {
            assert!(!text.contains(trace), "{name}: {value} → {text}");
        }
    }
}
