//! What a file costs: the real program redacts bombs, nested archives and large honest files, and needs no
//! more than 64 MiB beside what it needs for a small one; and so does the bot, with all that it does with one.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use kestrel_lab::ops::Bot;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::{Value, json};

use crate::reports::{PATIENCE as SAID, direct, opened, says, thread};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const MIB: usize = 1 << 20;
/// `[reports] largest`, at its default.
const LARGEST: usize = 24 * MIB;
/// KiB that any file may cost.
const MOST: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(300);
const TINY: &str = "2026-11-22T11:50:00Z E MissingKey: missing key at index 3\n";

/// What redacting a file came to.
struct Redacted {
    /// The most memory that the program had, in KiB.
    peak: u64,
    text: String,
    said: String,
    took: Duration,
}

/// Redacts a file. A second file, a pipe, is read behind it: while the program waits for what comes through,
/// it has done the first one and has not ended.
fn redacted(folder: &Path, name: &str, file: &[u8]) -> Redacted {
    let (path, pipe) = (folder.join(name), folder.join("pipe"));
    let (text, said) = (folder.join("text"), folder.join("said"));
    fs::write(&path, file).expect("the file is written");
    let _ = fs::remove_file(&pipe);
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let began = Instant::now();
    let mut child = Command::new(KESTREL)
        .arg("redact")
        .args([&path, &pipe])
        .stdin(Stdio::null())
        .stdout(File::create(&text).expect("a file"))
        .stderr(File::create(&said).expect("a file"))
        .spawn()
        .expect("the program starts");
    let mut through = waited_for(&mut child, &pipe, name);
    let took = began.elapsed();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak = peak.trim().trim_end_matches(" kB").parse().expect("KiB");
    through.write_all(TINY.as_bytes()).expect("it reads the pipe");
    drop(through);
    child.wait().expect("it ends");
    let read = |path| fs::read_to_string(path).expect("what it said");
    let (text, said) = (read(text), read(said));
    let text = text.strip_suffix(&format!("== console.log\n{TINY}"));
    Redacted { peak, text: text.expect("the pipe was read").to_owned(), said, took }
}

/// The pipe, once the program reads from it.
fn waited_for(child: &mut Child, pipe: &Path, name: &str) -> File {
    let deadline = Instant::now() + PATIENCE;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
    loop {
        match File::options().write(true).custom_flags(flags).open(pipe) {
            Ok(through) => return through,
            Err(_) => sleep(Duration::from_millis(10)),
        }
        if let Some(ended) = child.try_wait().expect("its state") {
            panic!("{name}: it ended before its second file: {ended}");
        }
        assert!(Instant::now() < deadline, "{name}: it takes too long");
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("it is packed");
    packed.finish().expect("it is packed")
}

/// A gzip file of parts, each so many times: the parts are packed once.
fn gz_of(parts: &[(&[u8], usize)]) -> Vec<u8> {
    parts.iter().flat_map(|(part, times)| gz(part).repeat(*times)).collect()
}

fn zip_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let level = zip::write::SimpleFileOptions::default().compression_level(Some(1));
        zip.start_file(name.as_str(), level).expect("a member");
        zip.write_all(bytes).expect("a member");
    }
    zip.finish().expect("a zip").into_inner()
}

/// A tar's header of a file with so many bytes.
fn tar_header(size: usize) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("console.log").expect("a name");
    header.set_size(size as u64);
    header.set_mode(0o600);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Lines as a client writes them; one of twenty is known.
fn log(bytes: usize) -> Vec<u8> {
    let mut log =
        String::from("2026-11-22T11:00:00Z I restoring session for @a:x.org device_id=DEV\n");
    let filler =
        "[Timeline] nothing to see in this room, as on most of the lines of any log ".repeat(5);
    for line in 0.. {
        if log.len() >= bytes {
            break;
        }
        let said =
            if line % 20 == 0 { "MissingKey: missing key at index 3" } else { filler.as_str() };
        log.push_str(&format!(
            "2026-11-22T11:{:02}:{:02}Z W {said} {line}\n",
            line / 60 % 60,
            line % 60
        ));
    }
    log.into_bytes()
}

fn request(url: &str, sent: &Value, got: &str) -> Value {
    let header = |n: u32| json!({"name": format!("x-header-{n}"), "value": "v".repeat(60)});
    let headers: Vec<_> = (0..20).map(header).collect();
    json!({
        "startedDateTime": "2026-11-22T11:51:40.184Z", "time": 12.5,
        "request": {"method": "POST", "url": format!("https://x/_matrix/client/{url}"), "headers": headers,
            "postData": {"mimeType": "application/json", "text": sent.to_string()}},
        "response": {"status": 200, "headers": headers, "content": {"mimeType": "application/json", "text": got}},
        "timings": {"send": 0, "wait": 12, "receive": 0},
    })
}

/// A HAR file with requests of every kind that is read, and syncs, which are most of its bytes.
fn har(bytes: usize) -> Vec<u8> {
    let event = json!({"type": "m.room.encrypted", "content": {"ciphertext": "A".repeat(600)}});
    let sync = json!({"rooms": {"timeline": vec![event; 300]}}).to_string();
    let keys: serde_json::Map<String, Value> = (0..50)
        .map(|n| (format!("signed_curve25519:AAAAAAAAA{n}"), json!({"key": "k".repeat(43)})))
        .collect();
    let upload =
        json!({"device_keys": {"user_id": "@a:x.org", "device_id": "DEV"}, "one_time_keys": keys});
    let entries = [
        request("v3/sync?since=s1", &Value::Null, &sync).to_string(),
        request("v3/keys/upload", &upload, "{}").to_string(),
        request("unstable/org.matrix.msc4140/delayed_events/syd_x/restart", &json!({}), "{}")
            .to_string(),
    ];
    let mut har = String::from("{\"log\":{\"version\":\"1.2\",\"entries\":[");
    for entry in entries.iter().cycle() {
        if har.len() + entry.len() > bytes {
            break;
        }
        har.push_str(entry);
        har.push(',');
    }
    format!("{har}{}]}}}}", entries[2]).into_bytes()
}

fn report(bytes: usize) -> Vec<u8> {
    let line = |n: usize| json!({"ts": 1_795_348_300_999u64, "level": "warn", "message": format!("{} {n}", "words ".repeat(400))});
    let mut entries: Vec<_> = (0..bytes / 2500).map(line).collect();
    entries
        .push(json!({"ts": 1_795_348_300_999u64, "message": "MissingKey: missing key at index 3"}));
    json!({"userId": "@a:x.org", "deviceId": "DEV", "entries": entries}).to_string().into_bytes()
}

/// Bombs: what each says about itself, and what it has to say for it.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let line = vec![b'a'; MIB];
    let bomb = gz_of(&[(&line, 300)]);
    let end = vec![0; 1024];
    let brackets = vec![b'['; MIB];
    let zeros = b"0,".repeat(MIB / 2);
    let large = "larger than 256 MiB";
    vec![
        ("bomb.gz", bomb.clone(), large),
        ("bomb.tar.gz", gz_of(&[(&tar_header(300 * MIB), 1), (&line, 300), (&end, 1)]), large),
        ("bomb.zip", zip_of(&[("bomb.gz".into(), bomb)]), large),
        ("deflated.zip", zip_of(&[("a.log".into(), vec![b'a'; 80 * MIB])]), "no known line"),
        ("brackets.gz", gz_of(&[(&brackets, 100)]), "JSON"),
        ("nested.json.gz", gz_of(&[(b"{\"a\":", 1), (&brackets, 100)]), "JSON"),
        ("entry.json.gz", gz_of(&[(b"{\"entries\":[", 1), (&brackets, 100)]), "JSON"),
        ("string.har.gz", gz_of(&[(b"{\"log\":{\"entries\":[\"", 1), (&line, 100)]), "JSON"),
        ("zeros.json.gz", gz_of(&[(b"{\"entries\":[", 1), (&zeros, 5), (b"0]}", 1)]), "JSON"),
        ("zip.gz", gz(&zip_of(&[("noise".into(), noise(5 * MIB))])), "larger than 4 MiB"),
        ("names.tar.gz", gz_of(&[(&long_name(100 * MIB), 1), (&line, 100), (&end, 1)]), "no file"),
    ]
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut chance = 0x9e37_79b9_u32;
    let mut next = || {
        chance ^= chance << 13;
        chance ^= chance >> 17;
        chance ^= chance << 5;
        chance as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A tar's header of a name of so many bytes, which follows it.
fn long_name(size: usize) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(size as u64);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Honest files as large as they may be, and what is to be found in what is kept.
fn honest() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let logs: Vec<_> = (0..12).map(|n| (format!("console-{n}.log"), log(3 * MIB / 2))).collect();
    let one = format!("E MissingKey: {}", "a long line ".repeat(31 * MIB / 12));
    let short = format!("{}{TINY}", "a line\n".repeat(3 * MIB));
    let known = format!("W MissingKey: {}\n", "known ".repeat(25_000)).repeat(400);
    vec![
        ("call.har", har(60 * MIB), "delayed_events/~"),
        ("report.json", report(40 * MIB), "missing key at index 3"),
        ("line.log", one.into_bytes(), "MissingKey"),
        ("known.log", known.into_bytes(), "MissingKey"),
        ("short.log", short.into_bytes(), "missing key at index 3"),
        ("logs.zip", zip_of(&logs), "missing key at index 3"),
    ]
}

#[test]
fn no_file_costs_more_than_its_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let tiny = redacted(folder.path(), "tiny.log", TINY.as_bytes());
    assert!(tiny.text.contains("missing key at index 3"), "{}", tiny.text);
    let mut wrong = Vec::new();
    let mut see = |name: &str, file: &[u8], words: &str| {
        let seen = redacted(folder.path(), name, file);
        let more = seen.peak.saturating_sub(tiny.peak);
        let (size, took) = (file.len() >> 10, seen.took.as_secs_f64());
        println!("{name:<16} {size:>6} KiB  +{:>3} MiB  {took:>5.1} s", more >> 10);
        if more > MOST {
            wrong.push(format!("{name}: {} MiB more than a small file", more >> 10));
        }
        if !seen.text.contains(words) && !seen.said.contains(words) {
            wrong.push(format!("{name}: no {words:?} in {}", seen.said));
        }
    };
    for (name, file, words) in bombs().into_iter().chain(honest()) {
        see(name, &file, words);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A field of the bot's own figures, in KiB. `lock` names its process.
fn figure(bot: &Bot, folder: &Path, field: &str) -> Result<u64> {
    let lock = fs::read_to_string(folder.join("store/lock"))?;
    let process = lock.split_whitespace().find_map(|word| word.parse::<u32>().ok());
    let process =
        process.with_context(|| format!("no process in {lock:?}: {}", bot.last_words()))?;
    if field.is_empty() {
        // From here on the peak is counted anew.
        fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        return Ok(0);
    }
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}

/// What users send, as large as the bot takes it; the last of each is what it says about it.
fn sent() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let logs: Vec<_> = (0..6).map(|n| (format!("console-{n}.log"), log(MIB))).collect();
    let known = format!("W MissingKey: {}\n", "known ".repeat(25_000)).repeat(150);
    let lines = "W MissingKey: missing key at index 3 of somebody who speaks now \n".repeat(9000);
    let mut all =
        vec![("noise.bin".to_owned(), noise(18 * MIB)), ("call.har".into(), har(20 * MIB))];
    all.extend(logs.clone());
    let mixed = zip_of(&all);
    assert!(mixed.len() < LARGEST, "{}", mixed.len());
    let line = vec![b'a'; MIB];
    vec![
        ("call.har", har(LARGEST - MIB), "Your report is case 2."),
        ("known.log", known.into_bytes(), "Your report is case 3."),
        ("lines.log", lines.into_bytes(), "Your report is case 4."),
        ("logs.zip", zip_of(&logs), "Your report is case 5."),
        ("mixed.zip", mixed.clone(), "Your report is case 6."),
        ("bomb.gz", gz_of(&[(&line, 300)]), "The file could not be read"),
        ("large.log", vec![b'a'; LARGEST + 1], "larger than the"),
        ("again.har", har(LARGEST - MIB), "Your report is case 7."),
        ("again.zip", mixed, "Your report is case 8."),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_no_report_costs_the_bot_more_than_its_bound() -> Result<()> {
    let (lab, ops, bot, patient) = opened("[reports]\neach = 20\n").await?;
    let folder = lab.scratch().join("bot");
    let user = direct(&lab, &patient.user, &bot, &[]).await?;
    user.sees_join(&bot.user_id, SAID).await.with_context(|| bot.last_words())?;
    user.ask("hi").await?;
    says(&user, &bot, "Send me the file that your client saved").await?;
    user.attach("small.log", "text/plain", TINY.as_bytes().to_vec()).await?;
    says(&user, &bot, "Your report is case 1.").await?;
    // The first one has the patterns made and the program's own pages read, which stay: 13 MiB of a debug build.
    let idle = figure(&bot, &folder, "VmRSS")?;
    println!("idle {} MiB", idle >> 10);
    let mut wrong = Vec::new();
    for (name, file, words) in sent() {
        figure(&bot, &folder, "")?;
        let size = file.len() >> 10;
        user.attach(name, "application/octet-stream", file).await?;
        says(&user, &bot, words).await?;
        let more = figure(&bot, &folder, "VmHWM")?.saturating_sub(idle);
        let now = figure(&bot, &folder, "VmRSS")?.saturating_sub(idle);
        println!("{name:<12} {size:>6} KiB  +{:>3} MiB, then +{} MiB", more >> 10, now >> 10);
        if more > MOST {
            wrong.push(format!("{name}: {} MiB more than the idle bot", more >> 10));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let root = says(&ops, &bot, "case 6: ").await?;
    let thread = thread(&ops, &root.event_id, "was not read").await?;
    let named = |name: &str| thread.iter().any(|one| one.attachment_name.as_deref() == Some(name));
    assert!(named("network.har") && named("console-6.log"), "{thread:#?}");
    Ok(())
}
