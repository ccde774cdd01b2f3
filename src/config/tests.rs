//! Config texts, and what is said about them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use std::path::Path;
use std::time::Duration;

use super::*;

const EXAMPLE: &str = include_str!("../../config/example.toml");
pub(super) const LOTUS: &str = include_str!("../../config/lotus.toml");
const UNIT: &str = include_str!("../../config/kestrel.service");

/// A config in which nearly every key is wrong.
pub(super) const WRONG: &str = r##"
stor = "x"
[matrix]
homeserver = "ftp://example.org"
user = "kestrel"
rooms = ["#ops:example.org", 5]
admin = ["@you:example.org"]
max_command_age = "5 minutes"
allow_unencrypted = "no"
require_verified = "sometimes"
[server]
name = "exa mple"
[[logs]]
name = "main"
path = 5
[[logs]]
name = "main"
timezone = "Berlin"
pth = "x"
[limits]
deadline = "0s"
window = "32d"
timezone = "+5"
show_addresses = "yes"
frobnicate = 1
"##;

pub(super) const BOT: &str = r#"
[matrix]
homeserver = "https://matrix.example.org"
user = "@kestrel:example.org"
rooms = ["!opsroom:example.org"]
admins = ["@you:example.org"]
"#;

/// A folder that stands for /etc/kestrel, with the secrets that the examples name.
pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    secret(folder.path(), "database-password", "p@ss%25/w:rd\n", 0o640);
    let url = "postgresql://kestrel:secret@db.example.org/synapse\n";
    secret(folder.path(), "database-url", url, 0o600);
    secret(folder.path(), "prometheus-password", "p@ss", 0o640);
    secret(folder.path(), "prometheus-token", "t0ken", 0o640);
    folder
}

pub(super) fn secret(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode set");
}

#[track_caller]
pub(super) fn good(text: &str, folder: &Path) -> Config {
    let text = text.replace("/etc/kestrel/", &format!("{}/", folder.display()));
    Config::parse(&text, folder).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let folder = folder();
    match Config::parse(text, folder.path()) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(problems) => problems.list,
    }
}

/// `# key = value` as `key = value`, but for the keys in `without`; those are left out if they stand
/// uncommented too.
fn uncommented(text: &str, without: &[&str]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split(" = ").next().unwrap_or_default();
        let is_key =
            bare.contains(" = ") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_key && without.contains(&key) {
            continue;
        }
        out.push_str(if is_key { bare } else { line });
        out.push('\n');
    }
    out
}

fn same(a: &Config, b: &Config) {
    assert_eq!(format!("{a:#?}"), format!("{b:#?}"));
}

#[test]
fn the_example_loads_as_it_stands_and_with_every_key_spelled_out() {
    let folder = folder();
    let as_is = good(EXAMPLE, folder.path());
    // What every commented line documents is a default, save for the keys whose absence means "none".
    let spelled = good(&uncommented(EXAMPLE, &["url_file", "token_file"]), folder.path());
    let log = &spelled.logs[0];
    assert_eq!(log.timezone, Some(jiff::tz::TimeZone::get("Europe/Berlin").expect("bundled")));
    let matrix = spelled.matrix.clone().expect("a bot");
    assert_eq!(matrix.min_power_level, Some(50));
    assert_eq!(matrix.max_command_age, Duration::from_secs(300));
    assert!(!matrix.allow_unencrypted);
    assert_eq!(matrix.require_verified, RequireVerified::Destructive);
    let mut defaults = spelled.clone();
    defaults.logs[0].timezone = None;
    let bot = defaults.matrix.as_mut().expect("a bot");
    assert_eq!(bot.password_file.take(), Some(folder.path().join("matrix-password")));
    bot.min_power_level = None;
    let prometheus = defaults.prometheus.as_mut().expect("a Prometheus");
    let login = Access::Password { user: "kestrel".into(), password: "p@ss".into() };
    assert_eq!(prometheus.access, login);
    assert_eq!(prometheus.labels, [("server_name".to_owned(), "example.org".to_owned())]);
    *prometheus = Prometheus::open(prometheus.url.clone());
    assert_eq!(defaults.watch.poll.take(), Some(Duration::from_secs(900)));
    same(&as_is, &defaults);
    let room = matrix.rooms.first().cloned();
    assert_eq!(defaults.watch, Watch { room: room.clone(), ..Watch::default() });
    assert_eq!(defaults.reports, Reports { room, ..Reports::default() });

    assert_eq!(spelled.cases, Cases::default());
    let limits = Limits::default();
    assert_eq!(spelled.limits.deadline, limits.deadline);
    assert_eq!(spelled.limits.window, limits.window);
    assert_eq!(spelled.limits.timezone, limits.timezone);
    assert_eq!(spelled.limits.show_addresses, limits.show_addresses);
    assert_eq!(spelled.store, folder.path().join(file::STORE));

    let by_file = uncommented(EXAMPLE, &["url", "password_file", "user", "token_file"]);
    let url = "[prometheus]\nurl = \"http://127.0.0.1:9090\"";
    let bot = "[matrix]\nuser = \"@kestrel:example.org\"";
    let by_file = by_file.replace("[prometheus]", url).replace("[matrix]", bot);
    let by_file = good(&by_file, folder.path());
    let database = by_file.database.expect("a database");
    assert_eq!(database.url.password(), Some("secret"));
    assert_eq!(database.shown(), "postgresql://kestrel@db.example.org/synapse");
    assert!(!format!("{database:?}").contains("secret"));
}

#[test]
fn the_example_names_every_key_the_code_knows_and_no_other() {
    let text = uncommented(EXAMPLE, &[]);
    // `url` and `url_file` both are there, so this is read as TOML only.
    let table: toml::Table = text.parse().expect("TOML");
    for (section, keys) in file::KEYS {
        let table = match (*section, table.get(*section)) {
            ("", _) => &table,
            (_, Some(toml::Value::Array(blocks))) => blocks[0].as_table().expect("a block"),
            (_, value) => value.and_then(toml::Value::as_table).expect(section),
        };
        let told: BTreeSet<&str> = table.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(told, known, "[{section}]");
    }
}

#[test]
fn the_worked_example_and_its_unit_fit_together() {
    let folder = folder();
    let lotus = good(LOTUS, folder.path());
    assert_eq!(lotus.server.name.expect("named"), "matrix.lotusguild.org");
    assert_eq!(lotus.logs[0].path, Path::new("/var/log/matrix-synapse/homeserver.log"));
    let database = lotus.database.expect("a database");
    assert_eq!(database.url.host_str(), Some("10.10.10.44"));
    assert_eq!(database.shown(), "postgresql://kestrel@10.10.10.44/synapse");
    assert_eq!(lotus.store, Path::new("/var/lib").join("kestrel"));
    assert!(UNIT.contains("StateDirectory=kestrel\n"));
    assert!(UNIT.contains("RestartPreventExitStatus=2 4\n"));
    assert!(UNIT.contains("run --config /etc/kestrel/kestrel.toml\n"));
}

#[test]
fn a_minimal_bot_needs_four_lines() {
    let config = Config::parse(BOT, Path::new("/etc/kestrel")).expect("enough");
    assert_eq!(config.server.name.expect("derived"), "example.org");
    assert!(config.logs.is_empty() && config.database.is_none());
    let other = format!("{BOT}\n[server]\nname = \"other.org\"");
    let config = Config::parse(&other, Path::new(".")).expect("named");
    assert_eq!(config.server.name.expect("named"), "other.org");
    let terminal = Config::parse("server.name = \"example.org\"", Path::new(".")).expect("no bot");
    assert!(terminal.matrix.is_none());
    assert_eq!(
        problems(""),
        ["server.name: is missing, and there is no matrix.user to derive it from"]
    );
}

#[test]
fn who_may_command_is_read() {
    let read = |keys: &str| {
        let config = Config::parse(&format!("{BOT}\n{keys}"), Path::new(".")).expect(keys);
        let matrix = config.matrix.expect("a bot");
        (matrix.allow_unencrypted, matrix.require_verified)
    };
    assert_eq!(read(""), (false, RequireVerified::Destructive));
    assert!(read("allow_unencrypted = true").0);
    for one in [RequireVerified::Never, RequireVerified::Destructive, RequireVerified::Always] {
        assert_eq!(read(&format!("require_verified = {:?}", one.name())).1, one);
    }
    let covered = |one: RequireVerified| [one.covers(false), one.covers(true)];
    assert_eq!(covered(RequireVerified::Never), [false, false]);
    assert_eq!(covered(RequireVerified::Destructive), [false, true]);
    assert_eq!(covered(RequireVerified::Always), [true, true]);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_key() {
    let told = problems(WRONG);
    let wanted = [
        "stor: unknown key; did you mean \"store\"?",
        "matrix.admin: unknown key; did you mean \"admins\"?",
        "matrix.homeserver: must begin with https://",
        "matrix.user: \"kestrel\" is not a Matrix user ID",
        "matrix.rooms[0]: \"#ops:example.org\" is not a room ID",
        "matrix.rooms[1]: must be a string in quotes, not a number",
        "matrix.admins: is empty: nobody could",
        "matrix.max_command_age: \"5 minutes\" is not a duration like \"90s\"",
        "matrix.allow_unencrypted: must be true or false, not a string",
        "matrix.require_verified: \"sometimes\" is not \"never\", \"destructive\" or \"always\"",
        "server.name: \"exa mple\" is not a server name",
        "logs[0].path: must be a string in quotes, not a number",
        "logs[1].pth: unknown key; did you mean \"path\"?",
        "logs[1].path: is missing",
        "logs[1].name: \"main\" is used twice",
        "logs[1].timezone: \"Berlin\" is not a time zone",
        "limits.frobnicate: unknown key; the known keys are deadline, window, timezone, show_addresses",
        "limits.deadline: \"0s\" is out of range; it must be 1s to 5m",
        "limits.window: \"32d\" is out of range",
        "limits.timezone: \"+5\" is not a time zone",
        "limits.show_addresses: must be true or false, not a string",
    ];
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told} / {wanted}");
    }
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    let shown = Problems { list: told }.to_string();
    assert!(shown.starts_with("the config has 21 problems:\n  stor: "), "{shown}");
}

#[test]
fn a_prometheus_is_checked() {
    let folder = folder();
    let read = |section: &str| {
        let text = format!("{BOT}\n[prometheus]\n{section}");
        match Config::parse(&text, folder.path()) {
            Ok(config) => format!("accepted: {:?}", config.prometheus),
            Err(problems) => problems.list.join("; "),
        }
    };
    let url = "url = \"http://127.0.0.1:9090/prom\"";
    assert!(read(url).starts_with("accepted: "), "{}", read(url));
    let token = read(&format!("{url}\ntoken_file = \"prometheus-token\""));
    assert!(token.contains("Token(…)") && !token.contains("t0ken"), "{token}");
    for (section, wanted) in [
        ("", "prometheus.url: is missing"),
        ("url = \"127.0.0.1:9090\"", "prometheus.url: must begin with http"),
        ("url = \"http://u:p@x\"", "prometheus.url: contains a user name or password"),
        ("url = \"http://x?y=1\"", "prometheus.url: contains a query"),
        ("url = \"http://x\"\nuser = \"u\"", "prometheus.user: also needs password_file"),
        ("url = \"http://x\"\npassword_file = \"prometheus-password\"", "also needs user"),
        (
            "url = \"http://x\"\nuser = \"u\"\npassword_file = \"prometheus-password\"\n\
             token_file = \"prometheus-token\"",
            "prometheus.token_file: is not allowed together with user",
        ),
        ("url = \"http://x\"\nlabels = { \"a=\\\"b\" = \"x\" }", "is not a label name"),
        ("url = \"http://x\"\nlabels = { job = 5 }", "must be a string in quotes"),
        ("url = \"http://x\"\nlabel = \"x\"", "did you mean \"labels\"?"),
    ] {
        assert!(read(section).contains(wanted), "{section}: {}", read(section));
    }
}

#[test]
fn a_watch_is_checked() {
    let read = |bot: &str, section: &str| {
        let text = format!("{bot}\n[watch]\n{section}");
        match Config::parse(&text, Path::new(".")) {
            Ok(config) => format!("accepted: {:?}", config.watch),
            Err(problems) => problems.list.join("; "),
        }
    };
    let rooms = "\"!opsroom:example.org\"";
    let two = BOT.replace(rooms, &format!("{rooms}, \"!other:example.org\""));
    let other = read(&two, "room = \"!other:example.org\"\nenabled = false\npoll = \"1m\"");
    assert!(other.contains("enabled: false, room: Some(\"!other:example.org\")"), "{other}");
    assert!(other.contains("poll: Some(60s)"), "{other}");
    assert!(read(&two, "").contains("room: Some(\"!opsroom:example.org\")"));
    for (section, wanted) in [
        (
            "room = \"!no:example.org\"",
            "watch.room: \"!no:example.org\" is not one of matrix.rooms",
        ),
        ("room = \"#ops:example.org\"", "watch.room: \"#ops:example.org\" is not a room ID"),
        ("refusals = 1", "watch.refusals: 1 is out of range; it must be 2 to 1000"),
        ("refusals = -3", "watch.refusals: -3 is out of range"),
        ("refusals = \"3\"", "watch.refusals: must be a whole number, not a string"),
        ("within = \"10s\"", "watch.within: \"10s\" is out of range; it must be 1m to 24h"),
        ("surplus = 50", "watch.surplus: 50 is out of range; it must be 100 to 1000000"),
        ("quiet = \"2h\"", "watch.quiet: \"2h\" is out of range; it must be 5s to 1h"),
        ("poll = \"30s\"", "watch.poll: \"30s\" is out of range; it must be 1m to 24h"),
        ("poll = false", "watch.poll: must be a string in quotes, not true or false"),
        ("mention = 1", "watch.mention: must be true or false"),
        ("refusal = 3", "watch.refusal: unknown key; did you mean \"refusals\"?"),
    ] {
        assert!(read(BOT, section).contains(wanted), "{section}: {}", read(BOT, section));
    }
    let terminal = "server.name = \"example.org\"";
    let none = read(terminal, "room = \"!a:example.org\"");
    assert!(none.contains("watch.room: has no effect without a [matrix] section"), "{none}");
    assert!(read(terminal, "").contains("room: None"));
    // What is wrong with the bot is told once, not here again.
    let twice = read(&BOT.replace("https://", "ftp://"), "room = \"!opsroom:example.org\"");
    assert!(!twice.contains("watch.room"), "{twice}");
}

#[test]
fn shapes_that_are_wrong() {
    for (text, wanted) in [
        ("matrix = 5", "matrix: must be a section: [matrix]"),
        ("[logs]\nname = \"main\"", "logs: must be a list of blocks that each begin with [[logs]]"),
        ("store = \"\"", "store: is empty"),
        ("[matrix]\nrooms = []\nadmins = []", "matrix.rooms: is empty"),
        ("[matrix]\nrooms = []\nadmins = []", "matrix.admins: is empty: nobody could"),
        ("[matrix]\nmin_power_level = -1", "matrix.min_power_level: is negative"),
        (
            "[matrix]\nhomeserver = \"https://a:b@example.org\"",
            "matrix.homeserver: contains a user name or password",
        ),
        ("[[logs]]\nname = \"a b\"\npath = \"x\"", "logs[0].name: \"a b\" must be one word"),
        ("[database]", "database.url: is missing"),
        ("a = 1\nx = \"postgresql://u:hunter2@h/d", "line 2, column "),
    ] {
        let told = problems(text);
        assert!(told.iter().any(|one| one.starts_with(wanted)), "{text}: {told:#?}");
        assert!(!told.concat().contains("hunter2"), "{told:?}");
    }
    let level = BOT.replace("admins = [\"@you:example.org\"]", "min_power_level = 50");
    assert!(Config::parse(&level, Path::new(".")).is_ok());
}

#[test]
fn a_file_is_loaded_relative_to_its_folder() {
    let folder = folder();
    let path = folder.path().join("kestrel.toml");
    let logs = "[[logs]]\nname = \"main\"\npath = \"logs/homeserver.log\"";
    fs::write(&path, format!("store = \"state\"\n{BOT}\n{logs}")).expect("written");
    let config = Config::load(&path).expect("good");
    assert_eq!(config.store, folder.path().join("state"));
    assert_eq!(config.logs[0].path, folder.path().join("logs/homeserver.log"));
    let absent = Config::load(&folder.path().join("absent.toml")).expect_err("absent");
    assert!(absent.to_string().contains("absent.toml: cannot be read"), "{absent}");
}
