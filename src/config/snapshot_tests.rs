//! What is said about configs that are wrong, as people read it.

use super::Config;
use super::tests::{BOT, WRONG, folder, secret};

#[test]
fn every_problem() {
    let folder = folder();
    secret(folder.path(), "open", "hunter2", 0o644);
    secret(folder.path(), "empty", "\n", 0o600);
    secret(folder.path(), "two", "hunter2\nhunter3\n", 0o600);
    let database = |keys: &str| format!("{BOT}\n[database]\n{keys}");
    let watch = |keys: &str| format!("{BOT}\n[watch]\n{keys}");
    let password =
        |name: &str| database(&format!("url = \"postgresql://k@h/s\"\npassword_file = \"{name}\""));
    let configs = [
        ("empty", String::new()),
        ("many problems", WRONG.to_owned()),
        ("not TOML", "a = 1\nx = \"text".to_owned()),
        ("no section", "matrix = 5".to_owned()),
        ("logs are no list", "[logs]\nname = \"main\"".to_owned()),
        ("an empty store", "store = \"\"".to_owned()),
        ("empty lists", "[matrix]\nrooms = []\nadmins = []".to_owned()),
        ("negative power", "[matrix]\nmin_power_level = -1".to_owned()),
        ("a login in the URL", "[matrix]\nhomeserver = \"https://a:b@example.org\"".to_owned()),
        ("a log's name", "[[logs]]\nname = \"a b\"\npath = \"x\"".to_owned()),
        ("database without a URL", database("")),
        ("database, password in the URL", database("url = \"postgresql://k:hunter2@h/synapse\"")),
        ("database, another scheme", database("url = \"mysql://k@h/synapse\"")),
        ("database, no URL", database("url = \"synapse\"")),
        ("database without a name", database("url = \"postgresql://k@h\"")),
        ("database, sslmode", database("url = \"postgresql://k@h/s?sslmode=verify\"")),
        ("database, two URLs", database("url = \"postgresql://k@h/s\"\nurl_file = \"x\"")),
        ("secret, readable by all", password("open")),
        ("secret, empty", password("empty")),
        ("secret, two lines", password("two")),
        ("secret, absent", password("absent")),
        ("secret, a folder", password(".")),
        ("watch, another room", watch("room = \"!no:example.org\"")),
        ("watch, out of range", watch("refusals = 1\nwithin = \"10s\"\npoll = \"30s\"")),
        ("watch, wrong types", watch("refusals = \"3\"\nmention = 1\nrefusal = 3")),
    ];
    let mut page = String::new();
    for (name, text) in configs {
        let problems = Config::parse(&text, folder.path()).expect_err(name).to_string();
        let problems = problems.replace(&folder.path().display().to_string(), "FOLDER");
        page.push_str(&format!("=== {name} ===\n{problems}\n\n"));
    }
    insta::assert_snapshot!("problems", page);
}
