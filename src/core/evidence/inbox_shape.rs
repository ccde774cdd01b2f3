//! A stored message → its shape, where the role has no `kestrel.inbox_shape` and reads the table itself.
//! The body is let go of here. Says what the function says: what one of them gives, the other gives too.

use serde_json::Value;

use crate::evidence::to_device::InboxRow;

/// Characters that are kept of an algorithm and of a key; both are 27 to 44 long.
const SHORT: usize = 64;
/// Characters that are kept of an id or a type, which Matrix bounds to 255 bytes.
const ID: usize = 255;
/// Recipient keys that are kept: Olm has one.
const KEYS: usize = 8;

impl InboxRow {
    /// The shape of a row; what is no JSON, or no string, is left out.
    pub fn from_json(stream: i64, message: &str) -> Self {
        let json: Value = serde_json::from_str(message).unwrap_or_default();
        let text = |value: &Value, most: usize| {
            value.as_str().map(|text| text.replace('\0', " ").chars().take(most).collect())
        };
        let content = &json["content"];
        let keys = content["ciphertext"].as_object().into_iter().flatten();
        let clip = |key: &String| key.replace('\0', " ").chars().take(SHORT).collect();
        Self {
            stream,
            sender: text(&json["sender"], ID),
            kind: text(&json["type"], ID),
            algorithm: text(&content["algorithm"], SHORT),
            recipients: keys.take(KEYS).map(|(key, _)| clip(key)).collect(),
            bytes: message.len() as u64,
            seen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_holds_no_body() {
        let key = "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng";
        let message = format!(
            r#"{{"content":{{"algorithm":"m.olm.v1.curve25519-aes-sha2","ciphertext":{{"{key}":{{"body":"SECRET","type":1}}}},"org.matrix.msgid":"ID"}},"type":"m.room.encrypted","sender":"@a:lab.local"}}"#
        );
        let row = InboxRow::from_json(243, &message);
        assert_eq!(row.recipients, [key]);
        assert_eq!(row.kind.as_deref(), Some("m.room.encrypted"));
        assert_eq!(row.sender.as_deref(), Some("@a:lab.local"));
        assert_eq!((row.stream, row.bytes), (243, message.len() as u64));
        let kept = format!("{row:?}");
        assert!(!kept.contains("SECRET") && !kept.contains("ID\""), "{kept}");
    }

    #[test]
    fn a_hostile_body_is_bounded() {
        let keys: Vec<_> = (0..50).map(|at| format!("\"{at}{}\":0", "k".repeat(500))).collect();
        let message = format!(
            r#"{{"content":{{"algorithm":5,"ciphertext":{{{}}}}},"type":"a\u0000b","sender":{{}}}}"#,
            keys.join(",")
        );
        let row = InboxRow::from_json(1, &message);
        assert_eq!((row.recipients.len(), row.recipients[0].len()), (KEYS, SHORT));
        assert_eq!((row.kind.as_deref(), row.sender, row.algorithm), (Some("a b"), None, None));
        for broken in ["", "{", "[]", "null", r#"{"content":"x"}"#, r#"{"type":"\ud800"}"#] {
            let row = InboxRow::from_json(1, broken);
            assert_eq!((row.kind, row.recipients.len()), (None, 0), "{broken}");
        }
    }
}
