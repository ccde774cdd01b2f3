//! Turns a command into a process that cannot outlive the lab.
//!
//! A small shell holds the process and reads a pipe whose other end only the lab has. When the lab
//! lets go – it drops the leash, it is killed, the machine's owner closes the terminal – the pipe
//! closes, and the shell stops the process. It never signals a process by name and needs no unsafe.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The signal comes first, then the program and its arguments. The watcher ends the program when the
/// pipe closes, and harder when it lingers; the shell ends when the program does, whoever ended it.
const HOLD: &str = r#"
signal=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
held=$!
( read -r _ <&3; kill -s "$signal" "$held"; sleep 8; kill -s KILL "$held" ) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$held"
status=$?
kill "$watcher" 2>/dev/null
exit $status
"#;

/// Stops the processes and lets them continue again after so many seconds, whatever becomes of us meanwhile.
const FREEZE: &str = r#"
seconds=$1; shift
kill -s STOP "$@"
sleep "$seconds"
kill -s CONT "$@"
"#;

/// Longer than the watcher's patience, so that a stubborn process is gone before we stop waiting.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const OUTPUT_LINES_SHOWN: usize = 15;
const OUTPUT_LINE_LENGTH: usize = 240;

/// A user to run as: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserId {
    pub user: u32,
    pub group: u32,
}

/// What to run.
pub struct Spec<'a> {
    /// How errors name it.
    pub name: &'static str,
    pub program: &'a Path,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub folder: &'a Path,
    /// Both output streams go here.
    pub output: PathBuf,
    /// The signal that asks it to stop, as `kill -s` takes it.
    pub stop_signal: &'static str,
    pub user: Option<UserId>,
}

/// A running process, stopped when this is dropped.
#[derive(Debug)]
pub struct Leash {
    name: &'static str,
    shell: Child,
    pipe: Option<ChildStdin>,
    output: PathBuf,
}

impl Leash {
    pub fn hold(spec: Spec<'_>) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(&spec.output)
            .with_context(|| format!("cannot write {}", spec.output.display()))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", HOLD, "kestrel-lab", spec.stop_signal])
            .arg(spec.program)
            .args(&spec.arguments)
            .envs(spec.environment)
            .current_dir(spec.folder)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: Ctrl-C in the terminal reaches the lab, and the lab stops things in order.
            .process_group(0);
        if let Some(user) = spec.user {
            command.uid(user.user).gid(user.group);
        }
        let mut shell = command.spawn().with_context(|| format!("cannot start {}", spec.name))?;
        let pipe = shell.stdin.take();
        Ok(Self { name: spec.name, shell, pipe, output: spec.output })
    }

    /// An error with the last words of the process when it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.shell.try_wait()? else {
            return Ok(());
        };
        bail!(
            "{} ended by itself ({status}). Its last words, from {}:\n{}",
            self.name,
            self.output.display(),
            self.last_words()
        );
    }

    /// Stops the process and waits until it is gone.
    pub fn stop(&mut self) {
        drop(self.pipe.take());
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }

    /// Ends the program and its children at once, with no chance to finish anything, and waits until they
    /// are gone: what a power cut or the kernel's memory killer does.
    pub fn kill(&mut self) -> Result<()> {
        let held = self.held()?;
        let kill = |held: &[u32]| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "kill -s KILL \"$@\"", "kestrel-lab"]);
            command.args(held.iter().map(u32::to_string)).stdin(Stdio::null()).status()
        };
        if held.is_empty() || !kill(&held)?.success() {
            bail!("{} had ended before it was killed:\n{}", self.name, self.last_words());
        }
        // The shell ends when the program does; by then it is reaped.
        self.stop();
        Ok(())
    }

    /// The program and its children, without the shells that hold them.
    fn held(&self) -> Result<Vec<u32>> {
        let mut held = vec![self.shell.id()];
        let parents = parents()?;
        let mut next = 0;
        while let Some(parent) = held.get(next).copied() {
            let children = parents.iter().filter(|(_, of, _)| *of == parent);
            held.extend(children.map(|(process, ..)| *process));
            next += 1;
        }
        // The shells that watch stay awake: they end the program should we be killed now.
        let watches = |process: &u32| {
            let name = parents.iter().find(|(known, ..)| known == process).map(|(.., name)| name);
            name.is_none_or(|name| ["sh", "dash", "bash", "sleep"].contains(&name.as_str()))
        };
        held.retain(|process| !watches(process));
        Ok(held)
    }

    /// Holds the program and its children still for so many seconds; gives the shell that does it.
    pub fn freeze(&self, seconds: u32) -> Result<Child> {
        let frozen = self.held()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", FREEZE, "kestrel-lab"]).arg(seconds.to_string());
        command.args(frozen.iter().map(u32::to_string)).stdin(Stdio::null()).process_group(0);
        command.spawn().with_context(|| format!("cannot freeze {}", self.name))
    }

    /// What the program costs, from its start to now.
    pub fn cost(&self) -> Result<Cost> {
        let held = self.held()?;
        let process = held.first().with_context(|| format!("{} has ended", self.name))?;
        Cost::of(*process)
    }

    pub fn last_words(&self) -> String {
        last_lines(&self.output, OUTPUT_LINES_SHOWN)
    }
}

/// What a process costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The most memory it ever held, in KiB.
    pub peak_kib: u64,
    /// The memory that it holds now, in KiB.
    pub resident_kib: u64,
    pub cpu_seconds: f64,
}

impl Cost {
    fn of(process: u32) -> Result<Self> {
        /// The kernel counts in hundredths of a second, on every machine that this runs on.
        const TICKS: f64 = 100.0;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}"));
        let status = read("status")?;
        let kib = |key: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let stat = read("stat")?;
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        let ticks = |place: usize| -> Option<f64> { fields.get(place)?.parse().ok() };
        Ok(Self {
            peak_kib: kib("VmHWM:").context("no peak in /proc")?,
            resident_kib: kib("VmRSS:").context("no memory in /proc")?,
            cpu_seconds: ticks(11).zip(ticks(12)).map_or(0.0, |(own, kernel)| own + kernel) / TICKS,
        })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Every process of the machine: its id, its parent's, its name. PostgreSQL's children leave its group, so
/// the group alone does not find them.
fn parents() -> Result<Vec<(u32, u32, String)>> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")?.flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // `12 (a name) S 1 …`; the name may hold brackets.
        let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
        if let Some(parent) = rest.split(' ').nth(1).and_then(|parent| parent.parse().ok()) {
            processes.push((process, parent, name));
        }
    }
    Ok(processes)
}

/// The end of a text file, for errors that people read.
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> =
        text.lines().map(|line| line.chars().take(OUTPUT_LINE_LENGTH).collect()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Leash {
        Leash::hold(Spec {
            name: "sleep",
            program: Path::new("/bin/sleep"),
            arguments: vec!["300".into()],
            environment: Vec::new(),
            folder,
            output: folder.join("out"),
            stop_signal: "TERM",
            user: None,
        })
        .unwrap()
    }

    #[test]
    fn letting_go_stops_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut leash = sleeper(folder.path());
        leash.check().unwrap();
        let before = Instant::now();
        leash.stop();
        assert!(before.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_killed_process_is_gone_and_reaped() {
        let folder = tempfile::tempdir().unwrap();
        // Deaf to being asked, so that only a kill ends it this fast.
        let mut leash = Leash::hold(Spec {
            name: "tail",
            program: Path::new("/usr/bin/tail"),
            arguments: vec!["-f".into(), "/dev/null".into()],
            environment: Vec::new(),
            folder: folder.path(),
            output: folder.path().join("out"),
            stop_signal: "CONT",
            user: None,
        })
        .unwrap();
        while leash.held().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let before = Instant::now();
        leash.kill().unwrap();
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        assert!(leash.held().unwrap().is_empty());
        assert!(leash.kill().unwrap_err().to_string().contains("had ended"));
    }

    #[test]
    fn a_process_that_ends_is_noticed_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut leash = Leash::hold(Spec {
            name: "the test",
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".into(), "echo no such luck; exit 3".into()],
            environment: Vec::new(),
            folder: folder.path(),
            output: folder.path().join("out"),
            stop_signal: "TERM",
            user: None,
        })
        .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let words = leash.check().unwrap_err().to_string();
        assert!(words.contains("no such luck"), "{words}");
    }
}
