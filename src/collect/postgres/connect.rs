//! Opens a read-only session from a database URL, with or without a snapshot, and explains errors.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{WasNull, WrongType};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use crate::config::Database;

/// Opens a session with one snapshot for all statements, so that rows of different tables match.
pub(super) async fn connect(database: &Database, deadline: Duration) -> Result<Client, String> {
    let client = open(database, deadline).await?;
    begin(&client).await?;
    Ok(client)
}

/// Begins the one snapshot of a session.
pub(super) async fn begin(client: &Client) -> Result<(), String> {
    let snapshot = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    client.batch_execute(snapshot).await.map_err(|error| words(&error, ""))
}

/// Opens a read-only session with time limits, in which each statement sees the current data. It holds no
/// snapshot, and so never delays the database's vacuum.
pub(super) async fn open(database: &Database, deadline: Duration) -> Result<Client, String> {
    let known = database.current();
    let client = match enter(&known, deadline).await {
        Ok(client) => client,
        Err(NoEntry::Rejected(refusal)) => again(database, &known, refusal, deadline).await?,
        Err(NoEntry::Other(why)) => return Err(why),
    };
    bind(&client, deadline).await.map_err(|error| words(&error, ""))?;
    Ok(client)
}

/// Sets the limits of a session: a role can have and change any settings, so the session sets its own.
pub(super) async fn bind(client: &Client, deadline: Duration) -> Result<(), Error> {
    let limit = deadline.as_millis().clamp(1, LONGEST);
    let session = format!(
        "SET default_transaction_read_only = on; SET statement_timeout = {limit}; SET lock_timeout = 1000; \
         SET idle_in_transaction_session_timeout = {IDLE}"
    );
    client.batch_execute(&session).await
}

/// The longest time of a statement in milliseconds, whatever the deadline of a question is.
const LONGEST: u128 = 60_000;
/// An idle transaction ends after this many milliseconds: it delays the vacuum.
const IDLE: u32 = 15_000;

/// Why a session could not be opened.
enum NoEntry {
    /// The database rejected the role or its password.
    Rejected(RejectedLogin),
    Other(String),
}

/// A login that the database rejected.
struct RejectedLogin {
    /// The password was wrong; otherwise the role or its access rule.
    password: bool,
    /// What the database says.
    why: String,
}

/// Connects and logs in.
async fn enter(url: &Url, deadline: Duration) -> Result<Client, NoEntry> {
    let (mut config, trust) = settings(url).map_err(NoEntry::Other)?;
    config.connect_timeout(deadline).application_name("kestrel");
    let tls = MakeRustlsConnect::new(trust.client_config().map_err(NoEntry::Other)?);
    let (client, connection) =
        config.connect(tls).await.map_err(|error| NoEntry::from_error(&error))?;
    // The task ends with the client; an error there reaches us as the failure of a statement.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// After a rejection: one more attempt with the current content of the password file.
async fn again(
    database: &Database,
    refused: &Url,
    refusal: RejectedLogin,
    deadline: Duration,
) -> Result<Client, String> {
    let Some(key) = database.secret_key() else {
        return Err(refusal.words("correct the role and the password in the database URL"));
    };
    let read = match database.reread() {
        Ok(read) => read,
        Err(why) => return Err(refusal.words(&format!("reading {key} again failed: {why}"))),
    };
    let next = format!(
        "put the role's current password into the file named by {key}; Kestrel reads it again for the next \
         question, without a restart"
    );
    if read == *refused {
        return Err(refusal.words(&next));
    }
    match enter(&read, deadline).await {
        Ok(client) => {
            tracing::info!("the database accepts the new value of {key}");
            database.worked(read);
            Ok(client)
        }
        Err(NoEntry::Rejected(refusal)) => {
            Err(refusal.words(&format!("the current value of {key} is rejected too: {next}")))
        }
        Err(NoEntry::Other(why)) => Err(why),
    }
}

impl NoEntry {
    fn from_error(error: &Error) -> Self {
        let password = match error.code() {
            Some(&SqlState::INVALID_PASSWORD) => true,
            Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => false,
            _ => return Self::Other(words(error, "")),
        };
        let why = error.as_db_error().map_or_else(|| chain(error), |said| said.message().into());
        Self::Rejected(RejectedLogin { password, why })
    }
}

impl RejectedLogin {
    /// What happened, and what to do about it.
    fn words(&self, next: &str) -> String {
        let why = &self.why;
        if self.password {
            return format!("the database rejected the role's password: {why}; {next}");
        }
        format!(
            "the database rejected the role: {why}; the password is not the cause: check that the role exists \
             and may log in, and check pg_hba.conf"
        )
    }
}

/// Which server to trust, in libpq's terms.
enum Trust {
    /// `prefer`, `require`: encrypted, without checking the certificate (as libpq does).
    Anyone,
    /// `verify-ca`, `verify-full`: the certificate and the host name are checked.
    Roots(Option<String>),
}

/// Separates what the driver does not support: `verify-ca`, `verify-full` and `sslrootcert`.
fn settings(whole: &Url) -> Result<(Config, Trust), String> {
    let mut url = whole.clone();
    let mut mode = None;
    let mut root = None;
    let mut rest = Vec::new();
    for (key, value) in whole.query_pairs() {
        match key.as_ref() {
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => root = Some(value.into_owned()),
            _ => rest.push((key.into_owned(), value.into_owned())),
        }
    }
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let mut config: Config = (url.as_str().parse())
        .map_err(|error: Error| format!("the database URL cannot be used: {}", chain(&error)))?;
    let trust = match mode.as_deref() {
        Some("verify-ca" | "verify-full") => Trust::Roots(root),
        _ => Trust::Anyone,
    };
    config.ssl_mode(match mode.as_deref() {
        None | Some("prefer" | "allow") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some(other) => {
            return Err(format!(
                "sslmode={other} in the database URL is not supported; use disable, prefer, require, verify-ca \
                 or verify-full"
            ));
        }
    });
    Ok((config, trust))
}

impl Trust {
    fn client_config(self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(match self {
            Self::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth(),
            Self::Roots(file) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
        })
    }
}

fn roots(file: Option<String>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            let unreadable = |error| format!("sslrootcert {file} cannot be read: {error}");
            for certificate in CertificateDer::pem_file_iter(&file).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                store.add(certificate).map_err(|error| format!("sslrootcert {file}: {error}"))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
}

/// Accepts any certificate: `sslmode=require` promises encryption, not the identity of the server.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A database error for a person: what happened and what to do.
pub(super) fn words(error: &Error, table: &str) -> String {
    let odd = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<WasNull>() || cause.is::<WrongType>()
    };
    if std::error::Error::source(error).is_some_and(odd) {
        // A row may contain what Synapse never writes, such as NULL.
        return format!("{table} has a row that Synapse did not write: {}", chain(error));
    }
    let Some(code) = error.code() else {
        return format!("cannot connect to the database: {}", chain(error));
    };
    match *code {
        SqlState::INSUFFICIENT_PRIVILEGE => {
            format!(
                "the role may not read {table}: run the SQL from `kestrel grants` as a superuser"
            )
        }
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => format!(
            "{table} does not match Synapse's schema ({}): check that this is Synapse's database and the right \
             schema",
            chain(error)
        ),
        SqlState::QUERY_CANCELED => format!("reading {table} timed out: the database is slow"),
        _ => chain(error),
    }
}

/// Whether a statement was cancelled by its time limit.
pub(super) fn is_out_of_time(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// An error with its causes; the driver's own text says only "db error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let line = next.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        cause = next.source();
    }
    text
}

/// Whether the role may call a function from the grants, by a statement that checks it.
pub(super) async fn may_call(client: &Client, asks: &str) -> Result<bool, Error> {
    // `has_schema_privilege` fails if the schema does not exist.
    const SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'kestrel')";
    let known: bool = client.query_one(SCHEMA, &[]).await?.try_get(0)?;
    Ok(known && client.query_one(asks, &[]).await?.try_get(0)?)
}
