//! Turns a victim's name into log lines that Synapse never wrote.
//!
//! Synapse logs an unknown user name as it came, newlines and all, so a login without an account
//! writes whole lines of a text log. These are such logins, for the tests that Kestrel is not taken
//! in. They change nothing on the server and nothing about the victim's device.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::lab::Lab;

/// So many faked refusals, so that it looks like a storm.
const FAKED: u64 = 6;
const CURVE_KEY: &str = "c3VjaCBhIGtleSBuZXZlciBleGlzdGVkIGFueXdoZXJl";
const OTHER_CURVE_KEY: &str = "bm9yIGRpZCB0aGlzIG9uZSBpbiBhbnkgc3RvcmUgYXQg";
/// As long as an ed25519 signature is in base64.
const SIGNATURE_LENGTH: usize = 86;

/// One faked refusal line, as a passer-by would write it.
pub async fn forged_login(lab: &Lab, victim_user: &str, victim_device: &str) -> Result<()> {
    let victim = Victim::new(lab, victim_user, victim_device)?;
    login_as(lab, &format!("x\n{}", victim.refusal("2026-01-01 00:00:00,000", 1))).await
}

/// A whole faked storm: every line of every refused upload, at the server's own present time and under
/// the request ids that come next.
pub async fn forged_storm(lab: &Lab, victim_user: &str, victim_device: &str) -> Result<()> {
    lab.log_written().await?;
    let victim = Victim::new(lab, victim_user, victim_device)?;
    let log = std::fs::read(lab.log_path())?;
    let log = String::from_utf8_lossy(&log);
    let stamp = last_stamp(&log).context("the log has no line with a time to copy")?;
    let mut name = "x".to_owned();
    let next = last_request(&log) + 2;
    for request in next..next + FAKED {
        for line in victim.upload(&stamp, request) {
            write!(name, "\n{line}")?;
        }
    }
    // The server adds its own words to the last line, so that line is given away to them.
    write!(
        name,
        "\n{stamp} - synapse.handlers.auth - 1076 - WARNING - POST-{} - Attempted to login as @x",
        next + FAKED
    )?;
    login_as(lab, &name).await
}

/// Restarts of somebody's delayed event that were never made: rejected, gone, and slow.
pub async fn forged_restarts(lab: &Lab, delay_id: &str, address: &str) -> Result<()> {
    lab.log_written().await?;
    let log = std::fs::read(lab.log_path())?;
    let log = String::from_utf8_lossy(&log);
    let stamp = last_stamp(&log).context("the log has no line with a time to copy")?;
    let port = lab.homeserver().rsplit(':').next().context("the lab has no port")?;
    let path =
        format!("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delay_id}/restart");
    let mut name = "x".to_owned();
    let next = last_request(&log) + 2;
    for (request, (took, status)) in (next..).zip([("0.501", 429), ("6.001", 200), ("0.002", 404)])
    {
        write!(
            name,
            "\n{stamp} - synapse.access.http.{port} - 643 - INFO - POST-{request} - {address} - {port} - \
             {{None}} Processed request: {took}sec/0.000sec ru=(0.001sec, 0.000sec) \
             db=(0.000sec/{took}sec/1) 79B {status} \"POST {path} HTTP/1.1\" \"js-sdk\" [0 dbevts]"
        )?;
    }
    write!(
        name,
        "\n{stamp} - synapse.handlers.auth - 1076 - WARNING - POST-{next} - Attempted to login as @x"
    )?;
    login_as(lab, &name).await
}

struct Victim {
    user: String,
    device: String,
    port: String,
}

impl Victim {
    fn new(lab: &Lab, user: &str, device: &str) -> Result<Self> {
        let port = lab.homeserver().rsplit(':').next().context("the lab has no port")?;
        Ok(Self { user: user.to_owned(), device: device.to_owned(), port: port.to_owned() })
    }

    /// The four lines of one refused upload.
    fn upload(&self, stamp: &str, request: u64) -> [String; 4] {
        let Self { user, device, port } = self;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let ids = "'signed_curve25519:AAAAAAAAAA0', 'signed_curve25519:AAAAAAAAAA4'";
        [
            format!(
                "{stamp} - synapse.handlers.e2e_keys - 918 - INFO - POST-{request} - Updating device_keys for device '{device}' for user {user} at {now}"
            ),
            format!(
                "{stamp} - synapse.handlers.e2e_keys - 955 - INFO - POST-{request} - Adding one_time_keys dict_keys([{ids}]) for device '{device}' for user '{user}' at {now}"
            ),
            self.refusal(stamp, request),
            format!(
                "{stamp} - synapse.access.http.{port} - 643 - INFO - POST-{request} - 127.0.0.1 - {port} - {{{user}}} Processed request: 0.021sec/0.001sec ru=(0.009sec, 0.001sec) db=(0.004sec/0.006sec/8) 611B 400 \"POST /_matrix/client/v3/keys/upload HTTP/1.1\" \"matrix-rust-sdk\" [0 dbevts]"
            ),
        ]
    }

    fn refusal(&self, stamp: &str, request: u64) -> String {
        let Self { user, device, port } = self;
        let signature = "A".repeat(SIGNATURE_LENGTH);
        format!(
            "{stamp} - synapse.http.server - 131 - INFO - POST-{request} - <XForwardedForRequest at 0x7f50904f1ed0 method='POST' uri='/_matrix/client/v3/keys/upload' clientproto='HTTP/1.1' site='{port}'> SynapseError: 400 - One time key signed_curve25519:AAAAAAAAAA0 already exists. \
             Old key: {{\"key\":\"{CURVE_KEY}\",\"signatures\":{{\"{user}\":{{\"ed25519:{device}\":\"{signature}\"}}}}}}; \
             new key: {{'key': '{OTHER_CURVE_KEY}', 'signatures': {{'{user}': {{'ed25519:{device}': '{signature}'}}}}}}"
        )
    }
}

async fn login_as(lab: &Lab, name: &str) -> Result<()> {
    let body = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": "x",
    });
    if lab.wire().post("/_matrix/client/v3/login", None, body).await.is_ok() {
        bail!("a login under a name nobody has was accepted");
    }
    lab.log_written().await
}

/// The time of the last line that has one, as the server writes it.
fn last_stamp(log: &str) -> Option<String> {
    const LENGTH: usize = "2026-11-22 11:54:55,888".len();
    log.lines()
        .rev()
        .find(|line| {
            line.starts_with("20") && line.get(LENGTH..).is_some_and(|rest| rest.starts_with(" - "))
        })
        .and_then(|line| line.get(..LENGTH))
        .map(str::to_owned)
}

/// The highest number a request has had, by the log.
fn last_request(log: &str) -> u64 {
    log.split(" - ")
        .filter_map(|field| {
            let (method, number) = field.split_once('-')?;
            let known = ["GET", "POST", "PUT", "DELETE", "OPTIONS"].contains(&method);
            known.then(|| number.parse().ok()).flatten()
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-11-22 11:54:55,888 - synapse.handlers.auth - 1076 - WARNING - POST-176 - Attempted\n\
        2026-11-22 11:54:56,001 - synapse.access.http.8128 - 643 - INFO - GET-181 - 127.0.0.1 - 8128 - {None}\n\
        a line of another kind\n";

    #[test]
    fn the_time_and_the_request_number_are_taken_from_the_log() {
        assert_eq!(last_stamp(LOG).as_deref(), Some("2026-11-22 11:54:56,001"));
        assert_eq!(last_request(LOG), 181);
    }
}
