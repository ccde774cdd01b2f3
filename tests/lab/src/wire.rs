//! Turns one Matrix request into one JSON answer, for the few things no client does on demand.
//!
//! It never retries and never hides a refusal: an error carries the status and the server's words.

use anyhow::{Context, Result, bail};
use matrix_sdk::reqwest::{Client, Method};
use serde_json::Value;

const USER_AGENT: &str = "kestrel-lab";

/// A homeserver's address and a connection to it.
#[derive(Clone, Debug)]
pub struct Wire {
    homeserver: String,
    client: Client,
}

impl Wire {
    pub fn new(homeserver: &str) -> Result<Self> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { homeserver: homeserver.to_owned(), client })
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Value> {
        self.send(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Result<Value> {
        self.send(Method::POST, path, token, Some(body)).await
    }

    pub async fn put(&self, path: &str, token: Option<&str>, body: Value) -> Result<Value> {
        self.send(Method::PUT, path, token, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.homeserver));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{method} {path} got no answer from the lab's Synapse"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path}: not JSON: {text}"))
    }
}
