//! What a question costs over a large log, beside ripgrep over the same file: wall and processor time. Prints a
//! table, and fails where a promise does not hold.
//!
//! `cargo bench --bench scan` uses logs of 1 GiB and 10 GiB; `cargo bench --bench scan -- 256` uses logs of 256 MiB and
//! 2.5 GiB. ripgrep is Debian's, unpacked into the lab's cache. Each pair of commands runs in turn on a warm page
//! cache, three times, and the fastest of each counts. Kestrel's answer has a verdict; ripgrep's are lines.
//!
//! The mixes follow the recorded logs in `tests/fixtures/log` and what a busy server writes at INFO: of a hundred lines 92
//! are access lines (mostly /sync), the rest uploads, claims, replication and federation. The thick mix is a server on
//! which every client uploads 50 keys at a time.

#![allow(clippy::disallowed_methods, reason = "time is what is measured")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kestrel_lab::install;

const USER: &str = "@alice:lab.local";
const DEVICE: &str = "ALICEPHONE";
/// The logs' end; each begins a day before, the large one ten days.
const END: &str = "2026-11-22T12:00:00Z";
const DAY: i64 = 86_400_000;
const TURNS: usize = 3;
/// Requests between two uploads of the subject's.
const OWN: u64 = 5000;
const LATENCY: &str = r"Processed request: [0-9.]+sec/";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mix {
    Busy,
    Thick,
}

/// Writes one log.
struct Server<W> {
    out: W,
    mix: Mix,
    written: u64,
    request: u64,
    chance: u64,
    zone: TimeZone,
}

impl<W: Write> Server<W> {
    fn below(&mut self, bound: u64) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn line(&mut self, stamp: &str, text: std::fmt::Arguments) -> Result<()> {
        let line = format!("{stamp} - {text}\n");
        self.written += line.len() as u64;
        Ok(self.out.write_all(line.as_bytes())?)
    }

    /// So many days of lines, so many bytes.
    fn days(&mut self, days: i64, bytes: u64) -> Result<()> {
        let end = END.parse::<Timestamp>()?.as_millisecond();
        let (mut second, mut stamp) = (i64::MIN, String::new());
        while self.written < bytes {
            let span = i128::from(days * DAY);
            let past = i128::from(self.written) * span / i128::from(bytes);
            let at = end - days * DAY + past as i64;
            if at.div_euclid(1000) != second {
                second = at.div_euclid(1000);
                let local = Timestamp::from_second(second)?.to_zoned(self.zone.clone());
                stamp = local.strftime("%Y-%m-%d %H:%M:%S").to_string();
            }
            let stamp = format!("{stamp},{:03}", at.rem_euclid(1000));
            self.request(&stamp, at)?;
        }
        Ok(self.out.flush()?)
    }

    fn request(&mut self, stamp: &str, at: i64) -> Result<()> {
        self.request += 1;
        let (request, user) = (self.request, self.below(5000));
        if request.is_multiple_of(OWN) {
            return self.upload(stamp, at, USER, DEVICE, request.is_multiple_of(4 * OWN));
        }
        let uploads = if self.mix == Mix::Thick { 450 } else { 8 };
        match self.below(1000) {
            chance if chance < uploads => {
                let user = format!("@user{user}:lab.local");
                self.upload(stamp, at, &user, "SOMEDEVICE", false)
            }
            chance if chance < uploads + 20 => self.line(stamp, format_args!(
                "synapse.handlers.e2e_keys - 819 - INFO - POST-{request} - Claimed one-time-keys: \
                 signed_curve25519:AAAAAAAAAA0 for @user{user}:lab.local:DEV"
            )),
            chance if chance < uploads + 60 => self.line(stamp, format_args!(
                "synapse.replication.tcp.resource - 254 - INFO - replication_notifier-{request} - Sending update \
                 for caches: 3 -> 4 (limited: False, updates: 1, max token: 4)"
            )),
            chance if chance < 300 => self.access(stamp, "PUT", user, SEND),
            _ => self.access(stamp, "GET", user, SYNC),
        }
    }

    fn access(&mut self, stamp: &str, method: &str, user: u64, path: &str) -> Result<()> {
        let (request, took) = (self.request, self.below(400));
        self.line(stamp, format_args!(
            "synapse.access.http.8118 - 643 - INFO - {method}-{request} - 192.0.2.{} - 8118 - \
             {{@user{user}:lab.local}} Processed request: 0.{took:03}sec/0.001sec ru=(0.009sec, 0.000sec) \
             db=(0.003sec/0.010sec/16) 4723B 200 \"{method} {path} HTTP/1.1\" \"Mozilla/5.0 (X11; Linux \
             x86_64) Element/1.12.3\" [0 dbevts]",
            user % 200
        ))
    }

    fn upload(
        &mut self,
        stamp: &str,
        at: i64,
        user: &str,
        device: &str,
        refused: bool,
    ) -> Result<()> {
        let request = self.request;
        let count = if self.mix == Mix::Thick { 50 } else { 12 };
        let first = self.below(1 << 20);
        let keys: Vec<_> =
            (first..first + count).map(|key| format!("'signed_curve25519:AAAA{key:07}'")).collect();
        self.line(stamp, format_args!(
            "synapse.handlers.e2e_keys - 955 - INFO - POST-{request} - Adding one_time_keys dict_keys([{}]) for \
             device '{device}' for user '{user}' at {at}",
            keys.join(", ")
        ))?;
        let status = if refused { 400 } else { 200 };
        if refused {
            self.line(stamp, format_args!(
                "synapse.http.server - 131 - INFO - POST-{request} - <XForwardedForRequest at 0x7f method='POST' \
                 uri='/_matrix/client/v3/keys/upload' clientproto='HTTP/1.1' site='8118'> SynapseError: 400 - One \
                 time key signed_curve25519:AAAA{first:07} already exists. Old key: {{\"key\":\"old\",\"signatures\":\
                 {{\"{user}\":{{\"ed25519:{device}\":\"s\"}}}}}}; new key: {{'key': 'new', 'signatures': {{'{user}': \
                 {{'ed25519:{device}': 't'}}}}}}"
            ))?;
        }
        self.line(stamp, format_args!(
            "synapse.access.http.8118 - 643 - INFO - POST-{request} - 192.0.2.7 - 8118 - {{{user}}} Processed \
             request: 0.022sec/0.001sec ru=(0.009sec, 0.000sec) db=(0.003sec/0.010sec/16) 47B {status} \"POST \
             /_matrix/client/v3/keys/upload HTTP/1.1\" \"Element/1.12.3\" [0 dbevts]"
        ))
    }
}

const SYNC: &str = "/_matrix/client/v3/sync?filter=0&timeout=30000&since=s757284_1_2_3_4_5_6_7_8_9";
const SEND: &str =
    "/_matrix/client/v3/rooms/!aBcDeFgHiJkLmNoPqR:lab.local/send/m.room.encrypted/m1795348800.1";

fn write(path: &Path, mix: Mix, days: i64, bytes: u64) -> Result<()> {
    let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let zone = TimeZone::UTC;
    let mut server =
        Server { out, mix, written: 0, request: 0, chance: 0x9e37_79b9_7f4a_7c15, zone };
    server.days(days, bytes)
}

/// What one run used.
#[derive(Clone, Copy)]
struct Used {
    wall: Duration,
    /// User and system time of the shell and all of its children.
    cpu: Duration,
}

/// Runs a command to its end. The figures are those of `wait4`, by way of the shell's `time`.
fn run(command: &str) -> Result<Used> {
    let script = format!("TIMEFORMAT='%U %S'; time {{ {command} ; }}");
    let began = Instant::now();
    let out = Command::new("bash").arg("-c").arg(script).stdin(Stdio::null()).output()?;
    let wall = began.elapsed();
    let said = String::from_utf8_lossy(&out.stderr);
    let last = said.lines().last().context("no time")?;
    let cpu: f64 = last.split(' ').filter_map(|seconds| seconds.parse::<f64>().ok()).sum();
    ensure!(out.status.success(), "{command} ended with {}: {said}", out.status);
    Ok(Used { wall, cpu: Duration::from_secs_f64(cpu) })
}

/// Two commands in turn; the fastest of each.
fn pair(one: &str, other: &str) -> Result<(Used, Used)> {
    let (mut first, mut second) = (run(one)?, run(other)?);
    for _ in 1..TURNS {
        let (one, other) = (run(one)?, run(other)?);
        first = if one.wall < first.wall { one } else { first };
        second = if other.wall < second.wall { other } else { second };
    }
    Ok((first, second))
}

/// Prints a row; whether the promise holds.
fn row(what: &str, (kestrel, other): (Used, Used), most: f64) -> bool {
    let times = kestrel.wall.as_secs_f64() / other.wall.as_secs_f64();
    let seconds = |time: Duration| time.as_secs_f64();
    let holds = times <= most;
    println!(
        "{what:<52} {:>7.3} {:>7.3} {:>9.3} {:>7.3} {times:>7.3} ≤ {most:<6.3} {}",
        seconds(kestrel.wall),
        seconds(kestrel.cpu),
        seconds(other.wall),
        seconds(other.cpu),
        if holds { "" } else { "MISSED" }
    );
    holds
}

fn triage(what: &str, log: &Path, span: &str) -> String {
    let kestrel = env!("CARGO_BIN_EXE_kestrel");
    let log = log.display();
    // A verdict, or not enough evidence: both are answers.
    format!(
        "'{kestrel}' triage {what} --log '{log}' {span} --format json > /dev/null || test $? = 3"
    )
}

fn main() -> Result<()> {
    let mib = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1024_u64);
    let cache = install::cache_folder()?;
    let rg = install::debian(&cache, "ripgrep")?.join("usr/bin/rg");
    let folder = tempfile::tempdir_in(&cache)?;
    let file = |name: &str| folder.path().join(name);
    let (busy, thick, large) = (file("busy.log"), file("thick.log"), file("large.log"));
    write(&busy, Mix::Busy, 1, mib << 20)?;
    write(&thick, Mix::Thick, 1, mib << 20)?;
    write(&large, Mix::Busy, 10, (mib << 20) * 10)?;
    let rg = |words: &str, log: &Path| format!("'{}' {words} '{}'", rg.display(), log.display());
    let day = format!("--until {END} --last 1d");
    let quarter = format!("--until {END} --last 15m");
    let device = format!("ke1 {USER} {DEVICE}");
    let keys = "-N -e keys/upload -e 'One time key .* already exists' -e OneTimeKey";
    let pipe = |log: &Path| format!("{} | '{}' -F {USER} > /dev/null", rg(keys, log), "grep");
    println!("{:<52} {:>7} {:>7} {:>9} {:>7} {:>7}", "", "wall", "cpu", "rg wall", "cpu", "ratio");
    let mut missed = 0;
    let mut check = |holds: bool| missed += u64::from(!holds);
    for (name, log) in [("KE-1, busy", &busy), ("KE-1, thick with uploads", &thick)] {
        check(row(name, pair(&triage(&device, log, &day), &pipe(log))?, 0.8));
    }
    let latency = format!("{} > /dev/null", rg(&format!("-c '{LATENCY}'"), &busy));
    check(row("KE-4, busy", pair(&triage(&format!("ke4 {USER}"), &busy, &day), &latency)?, 0.3));
    for what in [format!("all {USER} {DEVICE}"), "fleet".to_owned()] {
        check(row(&what, pair(&triage(&what, &busy, &day), &latency)?, 0.5));
    }
    for zone in ["--timezone UTC", ""] {
        let span = format!("{quarter} {zone}");
        let ask = triage(&device, &large, &span);
        let name = format!("15 min of the large log {zone}");
        check(row(&name, pair(&ask, &pipe(&large))?, 1.0 / 60.0));
        let name = format!("… beside 15 min of the busy log {zone}");
        check(row(&name, pair(&ask, &triage(&device, &busy, &span))?, 1.3));
    }
    ensure!(missed == 0, "{missed} promises do not hold");
    Ok(())
}
