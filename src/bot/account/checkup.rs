//! The files of a store and the homeserver's answers → the state of the bot's account, for `kestrel doctor`.
//!
//! It works while the bot runs: it takes no lock, opens none of the Matrix client's databases, uploads no key and
//! writes nothing. No token or password is shown.

use std::time::Duration;

use anyhow::Result;
use matrix_sdk::Client;

use super::client;
use super::device_keys;
use super::lease::{self, AccountHolder, StoreRun};
use super::password::{self, Password};
use super::session::StoredSession;
use super::session_end::SessionEnd;
use crate::bot::clock_offset;
use crate::config::{self, Config, Matrix};
use crate::store::{self, AccountFiles};

/// How long the homeserver gets for all of its answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thing about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub is: Is,
    /// A sentence for people.
    pub text: String,
}

/// The state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Well,
    /// A person has to do something about it.
    Wrong,
    Unknown,
}

impl Finding {
    fn well(text: impl Into<String>) -> Self {
        Self { is: Is::Well, text: text.into() }
    }

    fn wrong(text: impl Into<String>) -> Self {
        Self { is: Is::Wrong, text: text.into() }
    }

    fn unknown(text: impl Into<String>) -> Self {
        Self { is: Is::Unknown, text: text.into() }
    }
}

/// Checks the account, by the store's files and by the homeserver.
pub(crate) async fn check(config: &Config, matrix: &Matrix) -> Vec<Finding> {
    let mut found = Vec::new();
    let beside = match store::account_files(&config.store) {
        Ok(beside) => beside,
        Err(error) => {
            found.push(Finding::wrong(format!("the store cannot be read: {error:#}")));
            return found;
        }
    };
    let session = match beside.session.as_deref().map(StoredSession::read).transpose() {
        Ok(session) => session,
        Err(error) => {
            found.push(Finding::wrong(format!("{error:#}")));
            None
        }
    };
    match &session {
        Some(session) => found.extend(on_disk(session, &beside, matrix)),
        None if found.is_empty() => found.push(Finding::wrong(format!(
            "there is no session in {}: run `kestrel login`",
            config.store.display()
        ))),
        None => {}
    }
    let asked = tokio::time::timeout(PATIENCE, async {
        let mut answers = Vec::new();
        match on_server(matrix, session.as_ref(), &beside).await {
            Ok(said) => answers.extend(said),
            Err(error) => answers.push(Finding::wrong(format!("{error:#}"))),
        }
        answers
    });
    match asked.await {
        Ok(answers) => found.extend(answers),
        Err(_) => found.push(Finding::wrong(format!(
            "the homeserver {} did not answer within {PATIENCE:?}",
            matrix.homeserver
        ))),
    }
    found
}

/// What the store's files show.
fn on_disk(session: &StoredSession, beside: &AccountFiles, matrix: &Matrix) -> Vec<Finding> {
    let mut found = Vec::new();
    if session.user != matrix.user {
        found.push(Finding::wrong(format!(
            "the session is {}'s, matrix.user names {}: run `kestrel login`",
            session.user, matrix.user
        )));
    }
    if let Some(ended) = &session.ended {
        let at = ended.at;
        let why = &ended.why;
        found.push(Finding::wrong(format!("the last run ended at {at:.0}: {why}")));
    }
    if let Some(since) = session.conflict {
        found.push(Finding::wrong(format!(
            "since {since:.0} the homeserver rejects this device's one-time keys: the crypto store is older \
             than the device, for example because an older copy was restored. Stop Kestrel and run `kestrel login`"
        )));
    }
    if !beside.has_recovery_key {
        found.push(Finding::unknown(
            "the store has no recovery key yet: a device that replaces this one would not be verified",
        ));
    }
    found.extend(password_file(session, matrix));
    found
}

fn password_file(session: &StoredSession, matrix: &Matrix) -> Option<Finding> {
    let path = session.password_file(matrix)?;
    let error = config::secret_file(&path).err()?;
    Some(Finding::wrong(format!(
        "{error}. Without the password Kestrel cannot replace a lost device by itself (matrix.password_file)"
    )))
}

/// What the homeserver shows.
async fn on_server(
    matrix: &Matrix,
    session: Option<&StoredSession>,
    beside: &AccountFiles,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let bare = client::bare(matrix).await?;
    found.push(match clock_offset::offset(&bare).await {
        Ok(offset) if clock_offset::is_wrong(offset) => Finding::wrong(format!(
            "{}: commands can look too old, and log windows are shifted. Check time synchronisation",
            clock_offset::describe(offset)
        )),
        Ok(offset) => Finding::well(clock_offset::describe(offset)),
        Err(error) => {
            found.push(Finding::wrong(format!("{}: {error:#}", matrix.homeserver)));
            return Ok(found);
        }
    });
    let Some(session) = session else { return Ok(found) };
    let client = client::with_token(matrix, &session.device, &session.access_token).await?;
    match client.whoami().await {
        Ok(_) => found.push(Finding::well(format!(
            "the homeserver accepts the session of {}, device {}",
            session.user, session.device
        ))),
        Err(error) => {
            let over = SessionEnd::from_error_kind(error.client_api_error_kind());
            found.push(Finding::wrong(match over {
                Some(over) => format!("{over}. {}", what_next(over, session, matrix)),
                None => format!("the homeserver did not confirm the session: {error}"),
            }));
            return Ok(found);
        }
    }
    found.extend(device(&client, session).await?);
    found.push(holder(&client, beside).await?);
    found.extend(password(&client, session, matrix).await);
    Ok(found)
}

fn what_next(over: SessionEnd, session: &StoredSession, matrix: &Matrix) -> &'static str {
    match over {
        SessionEnd::Token if session.password_file(matrix).is_some() => {
            "`kestrel run` creates a new device with the password file, if the password is still right"
        }
        SessionEnd::Token => "Run `kestrel login`",
        SessionEnd::Deactivated | SessionEnd::Locked => {
            "An administrator of the homeserver can change that"
        }
    }
}

/// Compares the device's keys on the server with those in the store.
async fn device(client: &Client, session: &StoredSession) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let keys = device_keys::own(client, &session.user, &session.device).await?;
    let Some(ed25519) = &session.ed25519 else {
        found.push(Finding::unknown(
            "the device's keys cannot be compared with the server's before the next start of `kestrel run`",
        ));
        return Ok(found);
    };
    match &keys.device {
        None => found.push(Finding::wrong(
            "the homeserver has no encryption keys of this device. `kestrel run` replaces the device if it has a \
             password file; otherwise run `kestrel login`",
        )),
        Some(device) if device.ed25519 != *ed25519 => found.push(Finding::wrong(
            "the homeserver has different keys for this device than the store: two programs use one device ID. Run \
             `kestrel login`",
        )),
        Some(_) => {}
    }
    let replaced = match (&session.identity, &keys.identity) {
        (Some(ours), Some(theirs)) => *ours != theirs.master,
        _ => false,
    };
    found.push(if replaced {
        Finding::wrong(
            "the account's cross-signing identity was replaced by another login: this device is not verified any \
             more. Run `kestrel login --recovery-key-file FILE` with the new identity's recovery key",
        )
    } else if keys.is_signed() {
        Finding::well("the device is signed by the account's cross-signing identity")
    } else {
        Finding::wrong(
            "the device is not verified: the account's cross-signing identity does not sign it. Put its recovery \
             key into the file `recovery-key` of the store and restart Kestrel",
        )
    });
    Ok(found)
}

/// Who holds the account. Whether that process still runs is not known here.
async fn holder(client: &Client, beside: &AccountFiles) -> Result<Finding> {
    let store_run = beside.lease.as_deref().and_then(StoreRun::read);
    let record = lease::read(client).await?;
    let Some(record) = record else {
        return Ok(Finding::well("no process uses the account"));
    };
    let told = record.describe();
    Ok(match lease::holder(Some(&record), store_run.as_ref()) {
        AccountHolder::Free if record.released => {
            Finding::well(format!("no process uses the account; the last one was {told}"))
        }
        AccountHolder::Free => Finding::well(format!("this store uses the account: {told}")),
        AccountHolder::Copy => Finding::wrong(format!(
            "a newer run of this store used the account last: {told}. This store is an older copy, and its \
             device must not be used"
        )),
        AccountHolder::Other => Finding::wrong(format!(
            "another store uses the account: {told}. `kestrel run` with this store ends with status 4 while that \
             process runs"
        )),
    })
}

/// Whether the password is still the account's.
async fn password(client: &Client, session: &StoredSession, matrix: &Matrix) -> Option<Finding> {
    let path = session.password_file(matrix)?;
    // A file that cannot be read is reported above.
    let secret = config::secret_file(&path).ok()?;
    let shown = path.display();
    Some(match password::check(client, &matrix.user, &secret).await {
        Password::Right => Finding::well(format!("the password in {shown} is the account's")),
        Password::Wrong => Finding::wrong(format!(
            "the homeserver rejects the password in {shown}: it was changed. Kestrel cannot replace a lost device \
             with it (matrix.password_file)"
        )),
        Password::Unknown(why) => {
            Finding::unknown(format!("the password in {shown} could not be checked: {why}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn matrix() -> Matrix {
        let config = Config::parse(crate::bot::settings::BOT, std::path::Path::new("."));
        config.unwrap().matrix.unwrap()
    }

    fn session() -> StoredSession {
        let text = r#"{"user": "@kestrel:example.org", "device": "ABC", "access_token": "syt_secret", "store_key":
            [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],
            "password_file": null, "published": true}"#;
        StoredSession::read(text).unwrap()
    }

    fn beside() -> AccountFiles {
        AccountFiles { session: None, lease: None, has_recovery_key: true }
    }

    #[test]
    fn a_session_without_trouble_has_nothing_to_say() {
        assert!(on_disk(&session(), &beside(), &matrix()).is_empty());
    }

    #[test]
    fn trouble_that_the_bot_noted_is_told() {
        let mut session = session();
        session.conflict = Some(Timestamp::UNIX_EPOCH);
        session.ended = Some(crate::bot::account::session::RunEnd {
            at: Timestamp::UNIX_EPOCH,
            why: "another store uses this account".to_owned(),
        });
        session.user = "@other:example.org".try_into().unwrap();
        let mut matrix = matrix();
        matrix.password_file = Some("/nonexistent/password".into());
        let found =
            on_disk(&session, &AccountFiles { has_recovery_key: false, ..beside() }, &matrix);
        let said: Vec<_> = found.iter().map(|finding| finding.text.as_str()).collect();
        for (at, words) in [
            "is @other:example.org's",
            "ended at 1970-01-01T00:00:00Z: another store",
            "one-time keys",
            "no recovery key",
            "matrix.password_file",
        ]
        .into_iter()
        .enumerate()
        {
            assert!(said[at].contains(words), "{said:?}");
        }
    }

    #[tokio::test]
    async fn without_a_session_it_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("store = {:?}\n{}", folder.path(), crate::bot::settings::BOT)
            .replace("https://matrix.example.org", "http://127.0.0.1:1");
        let config = Config::parse(&text, folder.path()).unwrap();
        let found = check(&config, config.matrix.as_ref().unwrap()).await;
        assert!(found[0].text.contains("run `kestrel login`"), "{found:?}");
        assert!(found.iter().all(|finding| finding.is == Is::Wrong), "{found:?}");
        assert!(!folder.path().join("lock").exists(), "it took the store");
    }
}
