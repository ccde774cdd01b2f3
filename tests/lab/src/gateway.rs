//! A stub of a reverse proxy between a client and Synapse: it lets requests through, or answers them with 502
//! as a proxy does whose homeserver is away. It stands in for nginx, whose failures cannot be switched by
//! the request. It can also set the homeserver's clock wrong, as its clients see it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clock::set_clock;

const LONGEST_HEAD: usize = 64 << 10;
const REFUSED: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The proxy, stopped when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    shut: Arc<Mutex<Shut>>,
    accepting: JoinHandle<()>,
}

/// Which requests are refused, and how many were.
#[derive(Debug, Default)]
struct Shut {
    words: Vec<String>,
    refused: usize,
    /// How far the homeserver's clock seems to be ahead.
    ahead: i64,
}

impl Gateway {
    /// Opens a gateway before a homeserver: `http://127.0.0.1:8008`.
    pub async fn open(homeserver: &str) -> Result<Self> {
        let upstream = homeserver.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shut = Arc::new(Mutex::new(Shut::default()));
        let seen = shut.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, seen) = (upstream.clone(), seen.clone());
                tokio::spawn(async move {
                    let _ = pass(client, &upstream, &seen).await;
                });
            }
        });
        Ok(Self { address, shut, accepting })
    }

    /// Its address, as a client's config names it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests are refused whose first line holds one of these words.
    pub fn shut(&self, words: &[&str]) {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        shut.words = words.iter().map(|word| (*word).to_owned()).collect();
        shut.refused = 0;
    }

    /// From now on the homeserver's clock seems to be ahead by so many seconds, or behind: in the times of events and in
    /// each answer's `Date`.
    pub fn set_clock(&self, ahead: i64) {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).ahead = ahead;
    }

    /// Lets everything through again; returns how many requests were refused.
    pub fn reopen(&self) -> usize {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        shut.words.clear();
        std::mem::take(&mut shut.refused)
    }

    /// How many requests were refused since it was shut.
    pub fn refused(&self) -> usize {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).refused
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request; its connection ends with it, so that the next one is looked at as well.
async fn pass(mut client: TcpStream, upstream: &str, shut: &Mutex<Shut>) -> Result<()> {
    let mut head = Vec::new();
    let end = loop {
        let mut piece = [0; 4096];
        let read = client.read(&mut piece).await?;
        anyhow::ensure!(read > 0 && head.len() < LONGEST_HEAD, "no request");
        head.extend_from_slice(&piece[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let first = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    let (refuse, ahead) = {
        let mut shut = shut.lock().unwrap_or_else(PoisonError::into_inner);
        let refuse = shut.words.iter().any(|word| first.contains(word.as_str()));
        shut.refused += usize::from(refuse);
        (refuse, shut.ahead)
    };
    if refuse {
        client.write_all(REFUSED).await?;
        return Ok(client.shutdown().await?);
    }
    let mut server = TcpStream::connect(upstream).await.context("the homeserver is away")?;
    let mut lines: Vec<&[u8]> = head[..end].split(|byte| *byte == b'\n').collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with(b"connection:"));
    let mut sent = lines.join(&b'\n');
    sent.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    sent.extend_from_slice(&head[end + 4..]);
    server.write_all(&sent).await?;
    if ahead == 0 {
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let (mut asks, mut hears) = client.split();
    let (mut answers, mut takes) = server.split();
    let answer = async {
        let mut answer = Vec::new();
        answers.read_to_end(&mut answer).await?;
        hears.write_all(&set_clock(&answer, ahead)?).await?;
        anyhow::Ok(hears.shutdown().await?)
    };
    // The answer ends the connection: the rest of the request is not waited for.
    tokio::select! {
        answered = answer => answered,
        Err(error) = tokio::io::copy(&mut asks, &mut takes) => Err(error.into()),
    }
}
