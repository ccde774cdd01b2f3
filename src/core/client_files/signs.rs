//! A line of a client's log → what it is a sign of, and the few IDs in it that can be looked up. The words
//! are those of matrix-js-sdk and rust-crypto, as measured; a line may have anything around them.

use serde_json::Value;

use crate::evidence::client::{ClientEvent, ClientRefusal, Sign};
use crate::evidence::otk::{KeyId, KeyView};
use crate::evidence::python_repr;

/// Longest line that is read.
const LINE: usize = 64 * 1024;
/// Longest ID that is stored.
const ID: usize = 255;

/// What the line is a sign of; `None` if it is no known sign.
pub fn sign(line: &str) -> Option<Sign> {
    let line = head(line).to_lowercase();
    let has = |words: &str| line.contains(words);
    Some(if has("one time key") && has("already exists") {
        Sign::AlreadyExists
    } else if has("doesn't contain a ciphertext for our key") {
        Sign::NoCiphertextForUs
    } else if has("missingonetimekey") {
        Sign::MissingOneTimeKey
    } else if has("failed to decrypt a non-pre-key message with all available sessions") {
        Sign::Wedged
    } else if has("sender_device_keys") && has("incorrect") {
        Sign::SenderKeysRefused
    } else if has("no targets found for sending key") {
        Sign::NoTargets
    } else if has("unexpected encrypted to-device event") {
        // rust-crypto says so after it has decrypted a custom type: it is the sign of success.
        let media = has("call.encryption_keys") || has("rtc.encryption_key");
        return media.then_some(Sign::MediaKeyDecrypted);
    } else if has("missingkey") || has("missing key at index") || has("key set not found") {
        Sign::MissingMediaKey
    } else if has("restart delayed event timed out") || has("delayed event update timeout error") {
        // `update_delayed_event` alone is an ordinary restart.
        Sign::DelayTimedOut
    } else if has("[429]") && is_proxied(&line) {
        Sign::Unreachable
    } else if has("decryptionerror") || has("error decrypting event") {
        Sign::DecryptionError
    } else {
        return None;
    })
}

/// Whether an error of status 429 is a proxy's: Synapse's own has `M_LIMIT_EXCEEDED` or says "Too Many
/// Requests". Element Server Suite's proxy answers 429 while Synapse is down.
fn is_proxied(line: &str) -> bool {
    let proxied = line.contains("server is unavailable") || line.contains("m_unknown");
    proxied && !line.contains("m_limit_exceeded") && !line.contains("too many requests")
}

/// A delayed event request, as its client logs its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fetched {
    /// Milliseconds.
    pub took: f64,
    /// None if there was no answer.
    pub status: Option<i64>,
}

/// `FetchHttpApi: <-- POST …/delayed_events/… [82ms 404]`; instead of the status there may be an error.
pub fn fetched(line: &str) -> Option<Fetched> {
    let (_, rest) = head(line).split_once("FetchHttpApi: <-- POST ")?;
    let (url, end) = rest.rsplit_once(" [")?;
    if !url.contains("/delayed_events/") {
        return None;
    }
    let (took, status) = end.split_once("ms ")?;
    let took = took.parse::<u32>().ok()?;
    let status = status.split(']').next()?.trim().parse().ok();
    Some(Fetched { took: f64::from(took), status })
}

/// The curve25519 key that the line names.
pub fn curve_key(line: &str) -> Option<String> {
    let (_, rest) = head(line).split_once("curve25519:")?;
    let base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let key: String = rest.trim_start_matches('"').chars().take_while(base64).take(43).collect();
    (key.len() == 43).then_some(key)
}

/// The event that the line is about, with the column of its parser's message.
pub fn event(line: &str) -> Option<ClientEvent> {
    let line = head(line);
    let at = line.find('$')?;
    let of_id =
        |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '+' | '/');
    let id: String = line[at + 1..].chars().take_while(of_id).take(ID).collect();
    let id = id.trim_end_matches([':', '.']);
    if id.is_empty() {
        return None;
    }
    let words = line.to_lowercase();
    let missing = words.contains("missing field") && words.contains("algorithm");
    let other = words.contains("invalid type") || words.contains("unsupported algorithm");
    // For any other error the column is where the error is, not the content's length.
    let column = line.rsplit_once("column ").filter(|_| missing);
    let digits = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
    let column = column.and_then(|(_, rest)| digits(rest).parse().ok());
    Some(ClientEvent { event: format!("${id}"), column, no_algorithm: missing || other })
}

/// A rejection as Synapse words it, with both values: `One time key ALG:ID already exists. Old key: OLD; new
/// key: NEW`. OLD is JSON, NEW a Python literal or JSON; both hold client text, so each is read from its
/// start.
pub fn refusal(line: &str) -> Option<ClientRefusal> {
    let RefusalText { key, old, new, .. } = refused(line)?;
    Some(ClientRefusal::once(key, KeyView::from_raw(old), KeyView::from_raw(new)))
}

/// A rejection that names only the server's value; the new one is in the request that was rejected.
pub(crate) fn half_refusal(
    line: &str,
    new: impl FnOnce(&KeyId) -> Option<KeyView>,
) -> Option<ClientRefusal> {
    let (_, rest) = head(line).split_once(REFUSED)?;
    let (id, rest) = rest.split_once(OLD_KEY)?;
    let old = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()?;
    let key = (id.len() <= ID).then(|| KeyId(id.to_owned()))?;
    let new = new(&key)?;
    Some(ClientRefusal::once(key, KeyView::from_raw(old), new))
}

/// A rejection in a line: where it is, and the values as they are.
pub(crate) struct RefusalText {
    pub key: KeyId,
    pub old: Value,
    pub new: Value,
    /// Bytes of the line.
    pub from: usize,
    pub to: usize,
}

pub(crate) fn refused(line: &str) -> Option<RefusalText> {
    let line = head(line);
    let from = line.find(REFUSED)?;
    let (id, rest) = line[from + REFUSED.len()..].split_once(OLD_KEY)?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let old = values.next()?.ok()?;
    let rest = rest.get(values.byte_offset()..)?;
    let rest = rest.trim_start_matches([';', ' ']);
    let rest = rest.strip_prefix("new key: ")?;
    let (new, rest) = match python_repr::literal(rest) {
        Some(found) => found,
        None => {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let new = values.next()?.ok()?;
            (new, rest.get(values.byte_offset()..)?)
        }
    };
    let key = (id.len() <= ID).then(|| KeyId(id.to_owned()))?;
    Some(RefusalText { key, old, new, from, to: line.len() - rest.len() })
}

const REFUSED: &str = "One time key ";
const OLD_KEY: &str = " already exists. Old key: ";

fn head(line: &str) -> &str {
    let mut end = line.len().min(LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Words by which [`sign`] recognises the sign again.
pub(crate) fn words_of(sign: Sign) -> &'static str {
    match sign {
        Sign::AlreadyExists => "One time key … already exists.",
        Sign::NoCiphertextForUs => "Olm event doesn't contain a ciphertext for our key",
        Sign::MissingOneTimeKey => "MissingOneTimeKey",
        Sign::Wedged => "Failed to decrypt a non-pre-key message with all available sessions",
        Sign::MissingMediaKey => "MissingKey",
        Sign::MediaKeyDecrypted => {
            "Received an unexpected encrypted to-device event \
             event_type=\"io.element.call.encryption_keys\""
        }
        Sign::SenderKeysRefused => "sender_device_keys incorrect …",
        Sign::NoTargets => "No targets found for sending key",
        Sign::DecryptionError => "DecryptionError",
        Sign::DelayTimedOut => "Restart delayed event timed out",
        Sign::Unreachable => "M_UNKNOWN: MatrixError: [429] Server is unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_real_clients_are_told_apart() {
        for (line, expected) in [
            (
                "WARN matrix_sdk_crypto::machine: Received an unexpected encrypted to-device event \
                 event_type=\"io.element.call.encryption_keys\"",
                Some(Sign::MediaKeyDecrypted),
            ),
            ("Received an unexpected encrypted to-device event event_type=\"m.dummy\"", None),
            ("Olm event doesn't contain a ciphertext for our key", Some(Sign::NoCiphertextForUs)),
            (
                "Failed to create a new Olm session from a pre-key message: \
                 MissingOneTimeKey(\"curve25519:AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng\")",
                Some(Sign::MissingOneTimeKey),
            ),
            (
                "MissingKey: missing key at index 3 for participant @b:x",
                Some(Sign::MissingMediaKey),
            ),
            (
                "[MembershipManager] Network local timeout error while sending event, immediate retry: \
                 AbortError: Restart delayed event timed out before the HS responded",
                Some(Sign::DelayTimedOut),
            ),
            (
                "Received a to-device message with sender_device_keys with incorrect ed25519",
                Some(Sign::SenderKeysRefused),
            ),
            ("delayed event timeout is set to 8000 ms", None),
            ("Delayed event update timeout error, retrying", Some(Sign::DelayTimedOut)),
            // Ordinary restarts, as Element Web's widget driver and a message's text name them.
            (
                "[PostmessageTransport] Sending object to http://x {\"api\":\"fromWidget\",\
                 \"action\":\"org.matrix.msc4157.update_delayed_event\"}",
                None,
            ),
            ("please look at update_delayed_event, it is slow here", None),
            (
                "M_UNKNOWN: MatrixError: [429] Server is unavailable (https://x/keys/upload)",
                Some(Sign::Unreachable),
            ),
            ("M_LIMIT_EXCEEDED: MatrixError: [429] Too Many Requests (https://x/sync)", None),
            ("MatrixError: [429] Too Many Requests (https://x/sync)", None),
            ("a line of another kind", None),
        ] {
            assert_eq!(sign(line), expected, "{line}");
        }
        let line = "MissingOneTimeKey(\"curve25519:AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng\")";
        assert_eq!(curve_key(line).unwrap(), "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng");
        assert_eq!(curve_key("curve25519:short"), None);
    }

    #[test]
    fn the_end_of_a_request_tells_its_status_and_latency() {
        let base = "FetchHttpApi: <-- POST https://x/_matrix/client/unstable/org.matrix.msc4140";
        for (line, expected) in [
            (format!("{base}/delayed_events/~ab/restart [82ms 404]"), Some((82.0, Some(404)))),
            (format!("DEBUG {base}/delayed_events/… [5990ms 200]"), Some((5990.0, Some(200)))),
            (format!("{base}/delayed_events/x [2003ms AbortError: left]"), Some((2003.0, None))),
            (format!("{base}/keys/upload [82ms 200]"), None),
            (format!("{base}/delayed_events/x"), None),
            (format!("{base}/delayed_events/x [soon 200]"), None),
            ("FetchHttpApi: --> POST https://x/delayed_events/x [1ms 200]".to_owned(), None),
        ] {
            let found = fetched(&line).map(|fetched| (fetched.took, fetched.status));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn an_event_is_named_with_its_column() {
        let line = "Error decrypting event (id=$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ \
                    type=m.room.encrypted sender=@a:x): DecryptionError[msg: missing field `algorithm` at \
                    line 1 column 138]";
        let found = event(line).unwrap();
        assert_eq!(found.event, "$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ");
        assert_eq!(found.column, Some(138));
        assert_eq!(event("no event here"), None);
        assert_eq!(event("$"), None);
    }

    #[test]
    fn both_values_of_a_refusal_are_read() {
        let js = r#"MatrixError: [400] One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key: {"key":"old1234567; new key: {","signatures":{}}; new key: {'key': 'new1234567', 'signatures': {}} (https://x)"#;
        let found = refusal(js).unwrap();
        assert_eq!(found.key.0, "signed_curve25519:AAAAAAAAAA0");
        assert_eq!((&*found.old.head, &*found.new.head), ("old12345", "new12345"));
        let runbook =
            r#"One time key a:b already exists. Old key: {"key":"k"} new key: {"key":"l"}"#;
        assert_eq!(refusal(runbook).unwrap().new.head, "l");
        assert!(refusal("One time key a:b already exists. Old key: {").is_none());
    }
}
