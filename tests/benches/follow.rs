//! What following a log costs, beside the tools that people use for it: CPU, memory, and the time from a
//! line to its alert. Prints a table, and fails where a promise does not hold.
//!
//! `mtail` and `fail2ban` are Debian's, unpacked into the lab's cache. mtail is asked twice: for what the
//! watch counts (refusals, accepted uploads, claims, restarts), to which the promise of twenty times less
//! holds; and for refusals alone, the least that can be asked of it. fail2ban looks for the refusal line.
//! Kestrel joins each refusal to its upload, tells forged lines, and watches for storms meanwhile.

#![allow(clippy::disallowed_methods, reason = "time is what is measured")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kestrel_lab::install;

/// Lines a second, and for how long.
const RATE: u64 = 50_000;
const SECONDS: u64 = 10;
/// Lines of the file that is read in one go; fail2ban gets a part of it.
const WHOLE: u64 = 1_000_000;
const PART: u64 = 100_000;
/// Devices in storm at once, and refusals a second of each.
const DEVICES: u64 = 200;
const HERTZ: u64 = 100;
/// What is promised.
const MOST_CORE: f64 = 0.05;
const TIMES_LESS: f64 = 20.0;
const MOST_MEMORY: u64 = 64 << 10;
const MOST_DELAY: Duration = Duration::from_secs(1);

const PROGRAM: &str = "counter refused by key\n\
    /SynapseError: 400 - One time key (?P<key>\\S+) already exists/ {\n  refused[$key]++\n}\n";
/// What the watch counts, a pattern each. mtail joins nothing: an accepted upload is any that was tried.
const SAME: &str = r#"counter refused by key
counter too_large
counter tried by user, device
counter claimed by device
counter restarts by address, status
/SynapseError: 400 - One time key (?P<key>\S+) already exists/ {
  refused[$key]++
}
/SynapseError: 4\d\d - .* would leave the device holding / {
  too_large++
}
/ - Adding one_time_keys .* for device '(?P<device>[^']+)' for user '(?P<user>[^']+)' at \d+$/ {
  tried[$user][$device]++
}
/ - Claimed one-time-keys: \S+ for (?P<device>@\S+)/ {
  claimed[$device]++
}
/ - (?P<address>\S+) - \S+ - \{[^}]*\} Processed request: .* (?P<status>\d{3})!? "(POST|PUT) \S*\/delayed_events\/\S* HTTP/ {
  restarts[$address][$status]++
}
"#;
const FAILREGEX: &str =
    r"uri='/_matrix/client/v3/keys/upload' .*site='<HOST>'> SynapseError: 400 - One time key";
const DEFINITION: &str = "[Definition]\nfailregex = ";

/// Lines of a busy server, as its log has them.
struct Server {
    request: u64,
    chance: u64,
}

impl Server {
    fn new() -> Self {
        Self { request: 0, chance: 0x9e37_79b9_7f4a_7c15 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    /// About so many lines of now: mostly /sync and sends, some uploads and claims, few refusals.
    fn lines(&mut self, count: u64, out: &mut impl Write) -> Result<()> {
        let stamp = stamp();
        let mut written = 0;
        while written < count {
            self.request += 1;
            let (request, user) = (self.request, self.below(5000));
            written += 1;
            match self.below(10_000) {
                0..6000 => access(out, &stamp, ("GET", request), user, 200, SYNC)?,
                6000..9600 => access(out, &stamp, ("PUT", request), user, 200, SEND)?,
                9600..9700 => {
                    writeln!(
                        out,
                        "{stamp} - synapse.handlers.e2e_keys - 819 - INFO - POST-{request} - Claimed \
                         one-time-keys: signed_curve25519:AAAAAAAAAA0 for @user{user}:lab.local:DEV"
                    )?;
                }
                9700..9900 => {
                    adding(out, &stamp, request, user)?;
                    access(out, &stamp, ("POST", request), user, 200, UPLOAD)?;
                    written += 1;
                }
                9900 => {
                    let user = 10_000 + request;
                    self.refused(out, &stamp, user, request)?;
                    written += 2;
                }
                9901 if self.below(100) == 0 => {
                    writeln!(
                        out,
                        "{stamp} - synapse.config.logger - 376 - WARNING - main - ***** STARTING SERVER \
                         *****"
                    )?;
                    self.request = 0;
                }
                _ => writeln!(
                    out,
                    "{stamp} - synapse.handlers.presence - 1104 - INFO - GET-{request} - Handling presence \
                     timeouts of 17 users"
                )?,
            }
        }
        Ok(())
    }

    fn refused(&mut self, out: &mut impl Write, stamp: &str, user: u64, key: u64) -> Result<()> {
        self.request += 1;
        let request = self.request;
        adding(out, stamp, request, user)?;
        writeln!(
            out,
            "{stamp} - synapse.http.server - 131 - INFO - POST-{request} - <XForwardedForRequest at \
             0x7f5090587050 method='POST' uri='/_matrix/client/v3/keys/upload' clientproto='HTTP/1.1' \
             site='8118'> SynapseError: 400 - One time key signed_curve25519:AAAA{key} already exists. Old \
             key: {{\"key\":\"a\"}}; new key: {{'key': 'b'}}"
        )?;
        access(out, stamp, ("POST", request), user, 400, UPLOAD)
    }
}

const SYNC: &str = "/_matrix/client/v3/sync?filter=0&timeout=30000&\
                    org.matrix.msc4222.use_state_after=true&since=s54_47_0_1_1_1_257_65_0_1";
const SEND: &str =
    "/_matrix/client/v3/rooms/%21KtDNwgCMWzfBxcXGqg%3Alab.local/send/m.room.encrypted/m17953";
const UPLOAD: &str = "/_matrix/client/v3/keys/upload";

fn stamp() -> String {
    let now = Timestamp::now();
    format!("{},{:03}", now.strftime("%Y-%m-%d %H:%M:%S"), now.as_millisecond().rem_euclid(1000))
}

fn access(
    out: &mut impl Write,
    stamp: &str,
    (method, request): (&str, u64),
    user: u64,
    status: u16,
    uri: &str,
) -> Result<()> {
    Ok(writeln!(
        out,
        "{stamp} - synapse.access.http.8118 - 643 - INFO - {method}-{request} - 127.0.0.1 - 8118 - \
         {{@user{user}:lab.local}} Processed request: 0.022sec/0.001sec ru=(0.009sec, 0.000sec) \
         db=(0.003sec/0.010sec/16) 4723B {status} \"{method} {uri} HTTP/1.1\" \"Mozilla/5.0 (X11; Linux \
         x86_64) Element/1.12.3\" [0 dbevts]"
    )?)
}

fn adding(out: &mut impl Write, stamp: &str, request: u64, user: u64) -> Result<()> {
    let at = Timestamp::now().as_millisecond();
    Ok(writeln!(
        out,
        "{stamp} - synapse.handlers.e2e_keys - 955 - INFO - POST-{request} - Adding one_time_keys \
         dict_keys(['signed_curve25519:AAAAAAAAAA0', 'signed_curve25519:AAAAAAAAAA4']) for device 'DEV' for \
         user '@user{user}:lab.local' at {at}"
    )?)
}

/// A program that is measured; it is ended with us.
struct Measured {
    child: Child,
}

/// What it used so far.
#[derive(Clone, Copy)]
struct Used {
    cpu: f64,
    /// KiB.
    peak: u64,
}

impl Measured {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self { child: child.with_context(|| format!("{command:?} did not start"))? })
    }

    fn used(&self) -> Result<Used> {
        let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id()));
        let stat = file("stat")?;
        let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
        let fields: Vec<_> = fields.split(' ').collect();
        // utime and stime, in hundredths of a second on every Linux.
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        let status = file("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        let peak = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(Used { cpu: ticks / 100.0, peak })
    }

    /// Waits for its end; what it used is asked for while it runs.
    fn finish(&mut self) -> Result<Used> {
        let mut last = self.used()?;
        while self.child.try_wait()?.is_none() {
            // After its end it is a ghost that still tells its time, but holds no memory.
            let used = self.used().unwrap_or(last);
            last = Used { cpu: used.cpu, peak: last.peak.max(used.peak) };
            sleep(Duration::from_millis(2));
        }
        let how = self.child.wait()?;
        ensure!(how.success(), "it ended with {how}");
        Ok(last)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kestrel(how: &str, log: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kestrel"));
    command.args(["watch", "--timezone", "UTC", "--format", "json", how]).arg(log);
    command
}

fn row(what: &str, lines: u64, used: Used) {
    let each = used.cpu / lines as f64;
    let (micro, core, peak) = (each * 1e6, each * RATE as f64 * 100.0, used.peak / 1024);
    println!("{what:<44} {lines:>9} {:>8.2} {micro:>9.3} {core:>8.2} % {peak:>6} MiB", used.cpu);
}

/// Writes live at `RATE` while a program follows.
fn live(command: &mut Command, log: &Path) -> Result<Used> {
    let mut file = BufWriter::new(File::create(log)?);
    let program = Measured::start(command.stdout(Stdio::null()))?;
    sleep(Duration::from_secs(2));
    let (before, begun) = (program.used()?, Instant::now());
    let mut server = Server::new();
    for step in 0..SECONDS * 50 {
        server.lines(RATE / 50, &mut file)?;
        file.flush()?;
        sleep((Duration::from_millis(20) * (step as u32 + 1)).saturating_sub(begun.elapsed()));
    }
    sleep(Duration::from_secs(3));
    let used = program.used()?;
    Ok(Used { cpu: used.cpu - before.cpu, ..used })
}

fn whole(command: &mut Command) -> Result<Used> {
    Measured::start(command.stdout(Stdio::null()))?.finish()
}

/// A hundred refusals a second on two hundred devices.
fn storm(log: &Path) -> Result<Used> {
    let mut file = BufWriter::new(File::create(log)?);
    let program = Measured::start(kestrel("--follow", log).stdout(Stdio::null()))?;
    sleep(Duration::from_secs(2));
    let (mut server, begun) = (Server::new(), Instant::now());
    for step in 0..HERTZ * 10 {
        let stamp = stamp();
        for device in 0..DEVICES {
            server.refused(&mut file, &stamp, device, device)?;
        }
        file.flush()?;
        let next = Duration::from_millis(1000 / HERTZ) * (step as u32 + 1);
        sleep(next.saturating_sub(begun.elapsed()));
    }
    sleep(Duration::from_secs(3));
    program.used()
}

/// From the third refusal's line to its alert, in a quiet log. One watch reports three devices: more at
/// once wait to become one alert.
fn delay(log: &Path) -> Result<Duration> {
    let mut file = BufWriter::new(File::create(log)?);
    let mut server = Server::new();
    for request in 0..100 {
        // No claims: what is right after one may be a client's text, and waits for more.
        access(&mut file, &stamp(), ("GET", request), request, 200, SYNC)?;
    }
    server.request = 100;
    file.flush()?;
    let mut program = Measured::start(kestrel("--follow", log).stdout(Stdio::piped()))?;
    let out = program.child.stdout.take().context("no output")?;
    let (sender, alerts) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = sender.send(Instant::now());
        }
    });
    sleep(Duration::from_secs(2));
    let mut longest = Duration::ZERO;
    for user in 0..3 {
        sleep(Duration::from_millis(1000 + 130 * user));
        for _ in 0..3 {
            server.refused(&mut file, &stamp(), user, user)?;
        }
        let written = Instant::now();
        file.flush()?;
        let alert = alerts.recv_timeout(Duration::from_secs(10)).context("no alert came")?;
        longest = longest.max(alert.saturating_duration_since(written));
    }
    Ok(longest)
}

fn main() -> Result<()> {
    let cache = install::cache_folder()?;
    let (mtail, fail2ban) =
        (install::debian(&cache, "mtail")?, install::debian(&cache, "fail2ban")?);
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("homeserver.log");
    let programs = folder.path().join("programs");
    fs::create_dir(&programs)?;
    for (name, program) in [("least", PROGRAM), ("same", SAME)] {
        fs::create_dir(programs.join(name))?;
        fs::write(programs.join(name).join("kestrel.mtail"), program)?;
    }
    let with_mtail = |program: &str, log: &Path| {
        let mut command = Command::new(mtail.join("usr/bin/mtail"));
        command.args(["--address", "127.0.0.1", "--port", "0", "--progs"]);
        command.arg(programs.join(program));
        command.arg("--logs").arg(log);
        command
    };
    println!(
        "{:<44} {:>9} {:>8} {:>9} {:>10} {:>10}",
        "", "lines", "CPU s", "µs/line", "of a core", "peak"
    );
    let lines = RATE * SECONDS;
    let own = live(&mut kestrel("--follow", &log), &log)?;
    row("kestrel watch --follow, live", lines, own);
    let theirs = live(&mut with_mtail("same", &log), &log)?;
    row("mtail, the same counts, live", lines, theirs);
    let least = live(&mut with_mtail("least", &log), &log)?;
    row("mtail, refusals alone, live", lines, least);
    write(&log, WHOLE)?;
    row("kestrel watch --replay, whole file", WHOLE, whole(&mut kestrel("--replay", &log))?);
    for (what, program) in [("the same counts", "same"), ("refusals alone", "least")] {
        let used = whole(with_mtail(program, &log).arg("--one_shot"))?;
        row(&format!("mtail --one_shot, {what}, whole file"), WHOLE, used);
    }
    let part = folder.path().join("part.log");
    write(&part, PART)?;
    let filter = folder.path().join("refused.conf");
    fs::write(&filter, format!("{DEFINITION}{FAILREGEX}\n"))?;
    row("fail2ban-regex, a part of it", PART, whole(&mut regex(&fail2ban, &part, &filter))?);
    let storm = storm(&log)?;
    row("kestrel in a storm of 200 devices", 3 * DEVICES * HERTZ * 10, storm);
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        longest = longest.max(delay(&log)?);
    }
    println!("from the line to its alert: {} ms at most of 9", longest.as_millis());
    let (core, times) = (own.cpu / SECONDS as f64, theirs.cpu / own.cpu);
    let least = least.cpu / own.cpu;
    println!("mtail takes {times:.1} times the CPU; asked for refusals alone, {least:.1} times");
    ensure!(times >= TIMES_LESS, "mtail takes {times:.1} times the CPU only");
    ensure!(core < MOST_CORE, "{:.1} % of a core", core * 100.0);
    ensure!(storm.peak < MOST_MEMORY, "{} KiB in a storm", storm.peak);
    ensure!(longest < MOST_DELAY, "{} ms to an alert", longest.as_millis());
    Ok(())
}

fn write(log: &Path, lines: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(log)?);
    let mut server = Server::new();
    for _ in 0..lines / 1000 {
        server.lines(1000, &mut file)?;
    }
    Ok(file.flush()?)
}

/// fail2ban's own test of a filter on a whole file.
fn regex(unpacked: &Path, log: &Path, filter: &Path) -> Command {
    let modules: PathBuf = unpacked.join("usr/lib/python3/dist-packages");
    let run = format!(
        "import sys; sys.path.insert(0, {:?}); from fail2ban.client.fail2banregex import \
         exec_command_line as run; run(['-c', {:?}, '--print-no-missed', {:?}, {:?}])",
        modules.display().to_string(),
        unpacked.join("etc/fail2ban").display().to_string(),
        log.display().to_string(),
        filter.display().to_string(),
    );
    let mut command = Command::new("python3");
    command.args(["-I", "-c", &run]);
    command
}
