//! The only HTTP client of `collect`: one GET with a bounded answer. It follows no redirect and uses no
//! proxy.

use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use crate::config::Access;

/// A client for one source.
pub(super) struct HttpClient {
    client: Client,
}

/// The answer of a server.
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl HttpClient {
    /// The error is a sentence for people.
    pub(super) fn new() -> Result<Self, String> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("kestrel")
            .build()
            .map_err(|error| words(&error))?;
        Ok(Self { client })
    }

    /// Sends one request. An answer larger than `most` bytes is an error. The error is a sentence for people.
    pub(super) async fn get(
        &self,
        url: Url,
        access: &Access,
        most: usize,
    ) -> Result<HttpAnswer, String> {
        let request = login(self.client.get(url), access);
        let mut answer = request.send().await.map_err(|error| words(&error))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| words(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Err(format!("its answer is longer than {} KiB", most >> 10));
            }
        }
        Ok(HttpAnswer { status, body })
    }
}

fn login(request: RequestBuilder, access: &Access) -> RequestBuilder {
    match access {
        Access::Open => request,
        Access::Password { user, password } => request.basic_auth(user, Some(password)),
        Access::Token(token) => request.bearer_auth(token),
    }
}

/// An error with its causes, without the URL, which may contain a secret.
fn words(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_connect() => "it cannot be reached",
        error if error.is_timeout() => "it did not answer in time",
        _ => "the request failed",
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut last = None;
    while let Some(next) = cause {
        last = Some(next.to_string());
        cause = next.source();
    }
    last.map_or_else(|| what.to_owned(), |last| format!("{what}: {last}"))
}
