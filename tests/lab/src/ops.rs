//! Turns a lab into an ops room: an encrypted room with an admin in it, and Kestrel beside them.
//!
//! Kestrel is the real program in a process of its own, told everything by its config file. Nothing
//! here reaches into it, so what works here works for an operator.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use matrix_sdk::ruma::RoomId;
use serde_json::{Value, json};

use crate::lab::{Account, Lab};
use crate::leash::{Cost, Leash, Spec, last_lines};
pub use crate::room::{Message, Person};

const BOT: &str = "kestrel";
const DATABASE_ROLE: &str = "kestrel";
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
const LIFE_CHECK: Duration = Duration::from_secs(1);

/// The room; what its admin can do can be done with it.
#[derive(Debug)]
pub struct OpsRoom {
    admin: Person,
}

impl OpsRoom {
    /// Makes an encrypted room and its admin, whose device is cross-signed.
    pub async fn open(lab: &Lab) -> Result<Self> {
        let encryption = json!({
            "type": "m.room.encryption",
            "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        });
        Self::with_state(lab, json!([encryption])).await
    }

    /// The same, and the room is not encrypted.
    pub async fn open_plain(lab: &Lab) -> Result<Self> {
        Self::with_state(lab, json!([])).await
    }

    async fn with_state(lab: &Lab, state: Value) -> Result<Self> {
        let admin = lab.register(&lab.fresh_name("admin")).await?;
        let body = json!({"preset": "private_chat", "name": "Ops", "initial_state": state});
        let token = Some(admin.access_token.as_str());
        let answer = lab.wire().post("/_matrix/client/v3/createRoom", token, body).await?;
        let room_id = answer["room_id"].as_str().context("no room id")?;
        let room_id = RoomId::parse(room_id)?;
        let admin = Person::enter(lab, admin, &room_id).await?;
        admin.cross_sign().await?;
        Ok(Self { admin })
    }

    pub fn admin(&self) -> &Person {
        &self.admin
    }

    /// Brings somebody into the room who is no admin.
    pub async fn bring(&self, lab: &Lab, name: &str) -> Result<Person> {
        let account = lab.register(&lab.fresh_name(name)).await?;
        self.admin.invite(&account.user_id).await?;
        let person = Person::enter(lab, account, &self.admin.room_id()).await?;
        self.admin.sees_join(&person.account.user_id, JOIN_PATIENCE).await?;
        Ok(person)
    }
}

impl Deref for OpsRoom {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.admin
    }
}

/// Kestrel at work, stopped when this is dropped.
#[derive(Debug)]
pub struct Bot {
    pub user_id: String,
    pub password: String,
    binary: PathBuf,
    folder: PathBuf,
    leash: Option<Leash>,
}

impl Bot {
    /// Sets Kestrel up as its README says – an account, a database role, a config, a session – invites
    /// it and waits until it has joined. `extra` is added at the end of the config file.
    pub async fn start(
        lab: &Lab,
        ops: &OpsRoom,
        binary: &Path,
        folder: &Path,
        extra: &str,
    ) -> Result<Self> {
        let mut bot = Self::prepare(lab, ops, binary, folder, extra).await?;
        ops.admin.invite(&bot.user_id).await?;
        bot.run()?;
        bot.joined(ops).await?;
        Ok(bot)
    }

    /// Waits until it has joined the room, no longer than it lives.
    pub async fn joined(&mut self, ops: &OpsRoom) -> Result<()> {
        let deadline = Instant::now() + JOIN_PATIENCE;
        loop {
            let joined = ops.admin.sees_join(&self.user_id, LIFE_CHECK).await;
            self.check()?;
            if joined.is_ok() || Instant::now() > deadline {
                let words = || format!("Kestrel's log ends with:\n{}", self.last_words());
                return joined.with_context(words);
            }
        }
    }

    /// All of `start` but the invitation and the start.
    pub async fn prepare(
        lab: &Lab,
        ops: &OpsRoom,
        binary: &Path,
        folder: &Path,
        extra: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (account, is_new) = bot_account(lab).await?;
        let bot = Self {
            user_id: account.user_id,
            password: account.password,
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            leash: None,
        };
        fs::write(bot.config_path(), config(lab, ops, &bot.user_id, extra)?)?;
        bot.write_secret("password", &bot.password)?;
        let grants = bot.command(&["grants"])?;
        lab.sql(&grants).await.context("the SQL of `kestrel grants` does not run")?;
        // The lab outlives its bots: an identity that an earlier one made is of no use to anybody.
        let reset: &[&str] = if is_new { &[] } else { &["--reset-identity"] };
        bot.login(reset)?;
        Ok(bot)
    }

    /// The same account from another folder, with a config and a password file there and no session: what
    /// somebody has who installs the bot twice.
    pub fn beside(&self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let bot = Self {
            user_id: self.user_id.clone(),
            password: self.password.clone(),
            binary: self.binary.clone(),
            folder: folder.to_owned(),
            leash: None,
        };
        fs::copy(self.config_path(), bot.config_path())?;
        bot.write_secret("password", &bot.password)?;
        Ok(bot)
    }

    /// `kestrel login` with the password file and these flags.
    pub fn login(&self, flags: &[&str]) -> Result<String> {
        let password_file = self.folder.join("password").display().to_string();
        let config_path = self.config_path().display().to_string();
        let mut arguments =
            vec!["login", "--config", &config_path, "--password-file", &password_file];
        arguments.extend(flags);
        self.command(&arguments)
    }

    /// Writes a file that only its owner can read into the bot's folder.
    pub fn write_secret(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Its run-time state.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// What Kestrel itself logs.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("kestrel.log")
    }

    pub fn last_words(&self) -> String {
        last_lines(&self.log_path(), 20)
    }

    /// Starts the program, again after `stop`.
    pub fn run(&mut self) -> Result<()> {
        let config = self.config_path().display().to_string();
        let leash = Leash::hold(Spec {
            name: "Kestrel",
            program: &self.binary,
            arguments: vec!["run".into(), "--config".into(), config],
            environment: Vec::new(),
            folder: &self.folder,
            output: self.log_path(),
            stop_signal: "TERM",
            user: None,
        })?;
        self.leash = Some(leash);
        Ok(())
    }

    pub fn stop(&mut self) {
        self.leash = None;
    }

    /// Ends the program in the middle of whatever it does, as a power cut would; `run` starts it again.
    pub fn kill(&mut self) -> Result<()> {
        let mut leash = self.leash.take().context("Kestrel is not running")?;
        leash.kill()
    }

    /// What the program costs, since it was started last.
    pub fn cost(&self) -> Result<Cost> {
        self.leash.as_ref().context("Kestrel is not running")?.cost()
    }

    /// An error when the program has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.leash.as_mut().map_or(Ok(()), Leash::check)
    }

    /// Runs another order of the program and returns what it prints.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let order = arguments.first().copied().unwrap_or_default();
        let output = Command::new(&self.binary)
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        if !output.status.success() {
            bail!(
                "`kestrel {order}` failed ({}):\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The bot's account, made when it is not there, and whether it was. A login of the bot's own makes its device.
async fn bot_account(lab: &Lab) -> Result<(Account, bool)> {
    match lab.register(BOT).await {
        Ok(account) => Ok((account, true)),
        Err(error) if error.to_string().contains("M_USER_IN_USE") => {
            Ok((lab.login(BOT, None).await?, false))
        }
        Err(error) => Err(error),
    }
}

fn config(lab: &Lab, ops: &OpsRoom, bot: &str, extra: &str) -> Result<String> {
    let quote = |text: &str| serde_json::to_string(text);
    let log = lab.log_path().to_str().context("the log's path is not valid UTF-8")?;
    Ok(format!(
        "store = \"store\"\n\n\
         [matrix]\n\
         homeserver = {}\n\
         user = {}\n\
         rooms = [{}]\n\
         admins = [{}]\n\n\
         [server]\n\
         name = {}\n\n\
         [[logs]]\n\
         name = \"main\"\n\
         path = {}\n\n\
         [database]\n\
         url = {}\n\n\
         {extra}",
        quote(lab.homeserver())?,
        quote(bot)?,
        quote(ops.room_id().as_str())?,
        quote(&ops.admin.account.user_id)?,
        quote(lab.server_name())?,
        quote(log)?,
        quote(&format!("{}?sslmode=disable", lab.database_url_as(DATABASE_ROLE)))?,
    ))
}
