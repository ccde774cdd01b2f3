//! A stub of Matrix Authentication Service. It is ours and no MAS: it answers Synapse's questions about access
//! tokens, can be down, and calls Synapse's `/_synapse/mas/` endpoints as MAS 1.22 does. It stands in for a
//! service that could not be switched off and on within a test.
//!
//! There is no login: a token is made on demand, and is good until the stub is dropped.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::lab::{Account, Lab};

/// Shared by Synapse and the stub.
const SECRET: &str = "lab-mas";
const LONGEST: usize = 64 << 10;
const SCOPE: &str = "urn:matrix:client:api:*";
const ADMIN: &str = "urn:synapse:admin:*";

/// The stub, stopped when it is dropped.
#[derive(Debug)]
pub struct Mas {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    /// What is said of each token.
    tokens: HashMap<String, Value>,
}

impl Mas {
    /// Starts it, up.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let seen = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((synapse, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let _ = answer(synapse, &seen).await;
                });
            }
        });
        Ok(Self { address, state, accepting })
    }

    /// What homeserver.yaml has to say for it.
    pub fn config(&self) -> Map<String, Value> {
        let service = json!({
            "enabled": true,
            "endpoint": format!("http://{}/", self.address),
            "secret": SECRET,
        });
        Map::from_iter([
            ("matrix_authentication_service".to_owned(), service),
            ("enable_registration".to_owned(), json!(false)),
            ("password_config".to_owned(), json!({"enabled": false})),
        ])
    }

    /// From now on it closes every connection without an answer; or answers again.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Makes a user with a device, as a first login does.
    pub async fn account(&self, lab: &Lab, localpart: &str, device: &str) -> Result<Account> {
        self.call(lab, "provision_user", json!({ "localpart": localpart })).await?;
        let body = json!({"localpart": localpart, "device_id": device});
        self.call(lab, "upsert_device", body).await?;
        Ok(self.session(lab, localpart, device))
    }

    /// A new token of a device: Synapse does not know it and has to ask about it.
    pub fn session(&self, lab: &Lab, localpart: &str, device: &str) -> Account {
        Account {
            user_id: format!("@{localpart}:{}", lab.server_name()),
            password: String::new(),
            access_token: self.token(lab, localpart, device, SCOPE),
            device_id: device.to_owned(),
        }
    }

    /// The same, of an admin of the homeserver.
    pub fn admin(&self, lab: &Lab, localpart: &str, device: &str) -> Account {
        let scope = format!("{SCOPE} {ADMIN}");
        let access_token = self.token(lab, localpart, device, &scope);
        Account { access_token, ..self.session(lab, localpart, device) }
    }

    /// Tells Synapse which devices the user has, as MAS does after each change.
    pub async fn sync_devices(&self, lab: &Lab, localpart: &str, devices: &[&str]) -> Result<()> {
        let body = json!({"localpart": localpart, "devices": devices});
        self.call(lab, "sync_devices", body).await
    }

    async fn call(&self, lab: &Lab, what: &str, body: Value) -> Result<()> {
        let path = format!("/_synapse/mas/{what}");
        let called = lab.wire().post(&path, Some(SECRET), body).await;
        called.map(drop).with_context(|| format!("the stub of MAS called {what}"))
    }

    fn token(&self, lab: &Lab, localpart: &str, device: &str, scope: &str) -> String {
        let token = lab.fresh_name("mat");
        let known = json!({
            "active": true,
            "scope": format!("{scope} urn:matrix:client:device:{device}"),
            "username": localpart,
            "sub": localpart,
        });
        self.state().tokens.insert(token.clone(), known);
        token
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mas {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One question about a token: `token=…&token_type_hint=access_token`. The connection ends with it.
async fn answer(mut synapse: TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut request = Vec::new();
    let body = loop {
        let mut piece = [0; 4096];
        let read = synapse.read(&mut piece).await?;
        anyhow::ensure!(read > 0 && request.len() < LONGEST, "no request");
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break body.to_owned();
        }
    };
    let told = {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let token = body.split('&').find_map(|part| part.strip_prefix("token="));
        let known = token.and_then(|token| state.tokens.get(token));
        let told = known.cloned().unwrap_or_else(|| json!({"active": false}));
        (!state.down).then(|| told.to_string())
    };
    // A service that is down closes the connection.
    let Some(told) = told else { return Ok(()) };
    let length = told.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    synapse.write_all(format!("{head}{told}").as_bytes()).await?;
    Ok(synapse.shutdown().await?)
}
