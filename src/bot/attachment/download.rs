//! A file on the homeserver → its bytes, decrypted piece by piece as they arrive, and never more than the limit.
//!
//! The Matrix client's own download has a file three times in memory (as it came, copied, decrypted) and has no
//! limit: a message may declare a small size for a large file.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use matrix_sdk::Client;
use matrix_sdk::ruma::api::auth_scheme::SendAccessToken;
use matrix_sdk::ruma::api::client::{authenticated_media, media};
use matrix_sdk::ruma::api::{Metadata, OutgoingRequest};
use matrix_sdk::ruma::events::room::MediaSource;
use matrix_sdk_crypto::AttachmentDecryptor;
use tokio::time::sleep;

/// How long one try may take; the caller's patience ends all of them.
const TRYING: Duration = Duration::from_secs(60);
/// The pause before the second try, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The memory that is reserved for a file. glibc returns blocks of more than 32 MiB to the system when they are
/// freed, and may keep smaller ones; unused pages cost nothing.
const ROOM: usize = 33 << 20;

/// Why a file was not fetched.
#[derive(Debug)]
pub(super) enum DownloadError {
    TooLarge,
    /// The homeserver may serve it later.
    Busy(anyhow::Error),
    Failed(anyhow::Error),
}

/// Fetches a file; tries again while the homeserver is busy, for as long as the caller waits.
pub(super) async fn fetch(
    client: &Client,
    source: &MediaSource,
    most: usize,
) -> Result<Vec<u8>, DownloadError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match once(client, source, most).await {
            Err(DownloadError::Busy(error)) => {
                tracing::warn!(
                    "a file could not be downloaded, trying again in {pause:?}: {error:#}"
                );
            }
            ended => return ended,
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn once(
    client: &Client,
    source: &MediaSource,
    most: usize,
) -> Result<Vec<u8>, DownloadError> {
    let mut pipe = Pipe::default();
    let feed = pipe.clone();
    let (uri, mut opened): (_, Box<dyn Read + Send>) = match source {
        MediaSource::Plain(uri) => (uri, Box::new(&mut pipe)),
        MediaSource::Encrypted(file) => {
            let opened = AttachmentDecryptor::new(&mut pipe, file.as_ref().clone().into());
            (&file.url, Box::new(opened.map_err(failed)?))
        }
    };
    let versions = client.supported_versions().await.map_err(failed)?;
    let token = client.access_token();
    let token = token.as_deref().map_or(SendAccessToken::None, SendAccessToken::IfRequired);
    let server = client.homeserver();
    let versions = Cow::Borrowed(&versions);
    let request =
        if authenticated_media::get_content::v1::Request::PATH_BUILDER.is_supported(&versions) {
            let request = authenticated_media::get_content::v1::Request::from_uri(uri);
            let request = request.map_err(failed)?;
            request.try_into_http_request::<Vec<u8>>(server.as_str(), token, versions)
        } else {
            #[allow(deprecated)]
            let request = media::get_content::v3::Request::from_url(uri).map_err(failed)?;
            request.try_into_http_request::<Vec<u8>>(server.as_str(), token, versions)
        };
    let request = request.map_err(failed)?;
    let headers = request.headers().clone();
    let asked = client.http_client().get(request.uri().to_string()).headers(headers);
    let mut answer = asked.timeout(TRYING).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        let error = anyhow!("the homeserver answered {status}");
        let busy = status.as_u16() == 429 || status.is_server_error();
        return Err(if busy { DownloadError::Busy(error) } else { DownloadError::Failed(error) });
    }
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(DownloadError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(ROOM.max(most));
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        feed.put(&chunk);
        read(&mut opened, &mut bytes, most)?;
    }
    feed.end();
    read(&mut opened, &mut bytes, most)?;
    Ok(bytes)
}

/// Reads what has arrived.
fn read(opened: &mut dyn Read, bytes: &mut Vec<u8>, most: usize) -> Result<(), DownloadError> {
    let room = (most + 1).saturating_sub(bytes.len());
    match opened.take(room as u64).read_to_end(bytes) {
        _ if bytes.len() > most => Err(DownloadError::TooLarge),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(failed(error)),
        _ => Ok(()),
    }
}

fn failed(error: impl Into<anyhow::Error>) -> DownloadError {
    DownloadError::Failed(error.into())
}

/// What has arrived and was not read yet.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Arrived>>);

#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    read: usize,
    ended: bool,
}

impl Pipe {
    fn put(&self, bytes: &[u8]) {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = std::mem::take(&mut arrived.read);
        arrived.bytes.drain(..read);
        arrived.bytes.extend_from_slice(bytes);
    }

    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    }
}

impl Read for Pipe {
    /// `WouldBlock` if no bytes are there yet.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Arrived { bytes, read, ended } = &mut *arrived;
        let length = (&bytes[*read..]).read(into)?;
        *read += length;
        if length == 0 && !*ended && !into.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk::ruma::OwnedMxcUri;
    use matrix_sdk::ruma::events::room::EncryptedFile;
    use matrix_sdk_crypto::AttachmentEncryptor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A homeserver with one file, which it sends in chunks and so does not tell the length of. Every first
    /// request for it is answered with an error.
    async fn server(file: Vec<u8>, first: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    request.push(byte);
                }
                let head = |status: &str| {
                    format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
                    )
                };
                if request.starts_with(b"GET /_matrix/client/versions") {
                    let body = r#"{"versions":["v1.1"]}"#;
                    let length = body.len();
                    let answer =
                        format!("{}content-length: {length}\r\n\r\n{body}", head("200 OK"));
                    let _ = stream.write_all(answer.as_bytes()).await;
                    continue;
                }
                turn += 1;
                if turn == 1 && first != "200" {
                    let answer = format!("{}content-length: 0\r\n\r\n", head(first));
                    let _ = stream.write_all(answer.as_bytes()).await;
                    continue;
                }
                let start = format!("{}transfer-encoding: chunked\r\n\r\n", head("200 OK"));
                let _ = stream.write_all(start.as_bytes()).await;
                for chunk in file.chunks(10_007) {
                    let _ = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
                    let _ = stream.write_all(chunk).await;
                    let _ = stream.write_all(b"\r\n").await;
                }
                let _ = stream.write_all(b"0\r\n\r\n").await;
            }
        });
        Client::builder().homeserver_url(format!("http://{address}")).build().await.unwrap()
    }

    fn uri() -> OwnedMxcUri {
        "mxc://example.org/file".into()
    }

    fn encrypted(plain: &[u8]) -> (Vec<u8>, MediaSource) {
        let mut plain = plain;
        let mut encryptor = AttachmentEncryptor::new(&mut plain);
        let mut bytes = Vec::new();
        encryptor.read_to_end(&mut bytes).unwrap();
        let keys = encryptor.finish();
        let file = EncryptedFile::new(uri(), keys.encryption_info, keys.hashes);
        (bytes, MediaSource::Encrypted(Box::new(file)))
    }

    #[tokio::test]
    async fn a_file_is_opened_as_it_arrives() {
        let plain: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        let client = server(plain.clone(), "200").await;
        let source = MediaSource::Plain(uri());
        assert_eq!(fetch(&client, &source, plain.len()).await.unwrap(), plain);
        let (bytes, source) = encrypted(&plain);
        let client = server(bytes, "429 Too Many Requests").await;
        assert_eq!(fetch(&client, &source, plain.len()).await.unwrap(), plain);
        let (bytes, source) = encrypted(b"");
        let client = server(bytes, "200").await;
        assert!(fetch(&client, &source, 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_held_whatever_was_said() {
        let plain = vec![7; 300_000];
        for most in [0, 1, 10_007, 299_999] {
            let client = server(plain.clone(), "200").await;
            let fetched = fetch(&client, &MediaSource::Plain(uri()), most).await;
            assert!(matches!(fetched, Err(DownloadError::TooLarge)), "{most}: {fetched:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_what_was_encrypted_is_not_taken() {
        let (mut bytes, source) = encrypted(&[7; 50_000]);
        bytes[40_000] ^= 1;
        let client = server(bytes, "200").await;
        let fetched = fetch(&client, &source, 1 << 20).await;
        assert!(matches!(fetched, Err(DownloadError::Failed(_))), "{fetched:?}");
        let client = server(Vec::new(), "404 Not Found").await;
        let fetched = fetch(&client, &MediaSource::Plain(uri()), 1 << 20).await;
        assert!(matches!(fetched, Err(DownloadError::Failed(_))), "{fetched:?}");
    }
}
