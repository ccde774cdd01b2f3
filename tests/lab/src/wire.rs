//! Turns one Matrix request into one JSON answer, for the few things no client does on demand.
//!
//! It never retries and never hides a refusal: an error carries the status and the server's words.

use anyhow::{Context, Result, bail};
use matrix_sdk::reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

const USER_AGENT: &str = "kestrel-lab";

/// A homeserver's address and a connection to it.
#[derive(Clone, Debug)]
pub struct Wire {
    homeserver: String,
    client: Client,
    /// Said to be the client's address, as a proxy says it.
    address: Option<String>,
}

impl Wire {
    pub fn new(homeserver: &str) -> Result<Self> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { homeserver: homeserver.to_owned(), client, address: None })
    }

    /// The same, for a client at this address.
    pub fn behind(&self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self.clone() }
    }

    /// The status of a request, whatever it is.
    pub async fn status(&self, path: &str, token: Option<&str>, body: Value) -> Result<u16> {
        let request = self.request(&Method::POST, path, token, Some(body));
        let answer = request.send().await.with_context(|| format!("{path} got no answer"))?;
        Ok(answer.status().as_u16())
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
        let request = self.request(&method, path, token, body);
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

    fn request(
        &self,
        method: &Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> RequestBuilder {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.homeserver));
        if let Some(address) = &self.address {
            request = request.header("x-forwarded-for", address);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request
    }
}
