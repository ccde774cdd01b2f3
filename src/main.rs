//! The command line: arguments, logging and wiring. It decides nothing.

// The command line reads the clock and passes the time on as a value.
#![allow(clippy::disallowed_methods)]

mod terminal;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use kestrel::bot;
use kestrel::config::Config;
use kestrel::flow::Flow;
use kestrel::store::Store;

use self::terminal::Configured;

/// Finds out why Matrix messages do not decrypt, from Synapse's log and database. It changes nothing in them
#[derive(Debug, Parser)]
#[command(name = "kestrel", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the bot in the ops rooms (needs a session: `kestrel login`)
    #[command(after_help = RUN_EXIT)]
    Run(Configured),
    /// Create the bot's session: its device, cross-signing identity and recovery key
    Login(Login),
    /// Answer a question on the terminal, without Matrix; a config file is optional
    Triage(Box<terminal::Triage>),
    /// Run the storm watch on logs, and print the alerts instead of posting them
    Watch(Box<terminal::Watching>),
    /// List ongoing and recent storms; works while the bot runs
    Storms(terminal::Storms),
    /// Mute alerts about a storm, a user's devices or all storms for a while; works while the bot runs
    Mute(terminal::Muting),
    /// Remove one mute, or all
    Unmute(terminal::Unmuting),
    /// List the newest cases; works while the bot runs
    Cases(terminal::Cases),
    /// Show a case as it was answered, or delete it
    Case(terminal::OneCase),
    /// Show what Kestrel would store of a user's report, HAR file or log, and count what it removes
    Redact(terminal::Redact),
    /// Evaluate a saved evidence.json or a capture bundle again
    Replay(terminal::Replay),
    /// Check the config, the bot's account and every source; works while the bot runs
    Doctor(Configured),
    /// Show the decision trees: the questions in order, and the verdicts they lead to
    Tree(terminal::Tree),
    /// Print the SQL that creates a read-only role in Synapse's database
    Grants {
        /// The role's name
        #[arg(long, default_value = "kestrel")]
        role: String,
    },
}

/// The exit status of `run`, for service managers.
const RUN_EXIT: &str = "Exit status: 0 stopped on request; 2 bad usage; 4 manual action required: the session has \
                        ended, the account is deactivated,\nor another store uses the account; 1 any other error";

#[derive(Debug, Args)]
struct Login {
    #[command(flatten)]
    configured: Configured,
    /// A file with the account's password; otherwise Kestrel asks for it
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
    /// A file with an access token that was created elsewhere, for an account without a password (SSO, MAS)
    #[arg(long, value_name = "FILE", requires = "device")]
    token_file: Option<PathBuf>,
    /// The device ID of the access token
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// A file with the recovery key of the account's cross-signing identity, such as `recovery-key` from the store
    /// with which Kestrel created that identity. Otherwise Kestrel tries the key of this store, then asks for it
    #[arg(long, value_name = "FILE", conflicts_with = "reset_identity")]
    recovery_key_file: Option<PathBuf>,
    /// Replace the account's cross-signing identity. Everybody who verified the bot has to verify it again,
    /// its other devices become unverified, and its old recovery key and key backup are deleted
    #[arg(long)]
    reset_identity: bool,
}

/// Bad usage, as `clap` itself exits.
const USAGE: u8 = 2;
/// `kestrel run` requires manual action: a restart changes nothing.
const NEEDS_PERSON: u8 = 4;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let quiet = if matches!(arguments.verb, Verb::Run(_)) {
        bot::RUN_LOG_FILTER
    } else {
        bot::COMMAND_LOG_FILTER
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| quiet.into()))
        .with_writer(std::io::stderr)
        .with_ansi(terminal::coloured(&std::io::stderr()))
        .init();
    match answer(arguments.verb).await {
        Ok(code) => code,
        Err(error) => {
            // A closed pipe, as in `2>&1 | head -1`, is not an error either.
            let _ = writeln!(std::io::stderr(), "kestrel: {error:#}");
            if error.is::<bot::NeedsPerson>() {
                return NEEDS_PERSON.into();
            }
            let usage = error.is::<kestrel::config::Problems>()
                || error.is::<kestrel_core::command::UsageError>();
            if usage { USAGE.into() } else { ExitCode::FAILURE }
        }
    }
}

async fn answer(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Run(configured) => run(&configured.config).await?,
        Verb::Login(login) => log_in(login).await?,
        Verb::Triage(triage) => return terminal::triage(*triage).await,
        Verb::Watch(watch) => return terminal::watch(*watch).await,
        Verb::Storms(storms) => return terminal::storms(&storms),
        Verb::Mute(muting) => return terminal::mute(&muting),
        Verb::Unmute(unmuting) => return terminal::unmute(&unmuting),
        Verb::Cases(cases) => return terminal::cases(&cases),
        Verb::Case(case) => return terminal::case(&case),
        Verb::Tree(tree) => return terminal::tree(&tree),
        Verb::Redact(redact) => return terminal::redact(&redact),
        Verb::Replay(replay) => return terminal::replay(&replay),
        Verb::Doctor(configured) => {
            let config = Config::load(&configured.config)?;
            let account: Vec<_> =
                bot::check(&config).await?.into_iter().map(account_check).collect();
            return terminal::doctor(&config, &account).await;
        }
        Verb::Grants { role } => terminal::say(&kestrel::collect::postgres::grants(&role))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn account_check(finding: bot::Finding) -> terminal::AccountCheck {
    let well = match finding.is {
        bot::Is::Well => Some(true),
        bot::Is::Wrong => Some(false),
        bot::Is::Unknown => None,
    };
    terminal::AccountCheck { well, text: finding.text }
}

async fn run(config: &Path) -> Result<()> {
    let config = Arc::new(Config::load(config)?);
    let store = Store::open(&config.store, jiff::Timestamp::now())?;
    bot::run(Arc::clone(&config), Flow::new(config), store).await
}

async fn log_in(login: Login) -> Result<()> {
    let config = Config::load(&login.configured.config)?;
    let store = Store::open(&config.store, jiff::Timestamp::now())?;
    let by_config = || config.matrix.as_ref()?.password_file.clone();
    let password_file = login.password_file.or_else(by_config);
    let secret = match (login.token_file, password_file) {
        (Some(file), _) => bot::Secret::Token {
            access_token: kestrel::config::secret_file(&file)
                .context("the token file cannot be used")?,
            device_id: login.device.unwrap_or_default().into(),
        },
        (None, Some(file)) => bot::Secret::PasswordFile(file),
        (None, None) => bot::Secret::Password(
            rpassword::prompt_password("Password: ")
                .context("no password was entered; without a terminal, use --password-file")?,
        ),
    };
    let recovery_key = login.recovery_key_file.map(|file| {
        kestrel::config::secret_file(&file).context("the recovery key file cannot be used")
    });
    let wishes = bot::Wishes {
        recovery_key: recovery_key.transpose()?,
        reset_identity: login.reset_identity,
        ask: std::io::stdin().is_terminal().then_some(ask_recovery_key),
    };
    let made = bot::login(&config, store, secret, &wishes).await?;
    let sure = if made.verified { "verified" } else { "not verified" };
    let mut text = format!("{} is logged in as device {} ({sure}).\n", made.user, made.device);
    if let Some(file) = made.recovery_key {
        let file = file.display();
        text.push_str(&format!("The recovery key is in {file}: keep a copy elsewhere.\n"));
    }
    for remark in made.remarks {
        text.push_str(&format!("{remark}\n"));
    }
    terminal::say(&text)
}

fn ask_recovery_key() -> Result<String> {
    rpassword::prompt_password("Recovery key of the account (leave empty to stop): ")
        .context("no recovery key was entered; without a terminal, use --recovery-key-file")
}
