//! What a redaction removed, counted by kind and never stored.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evidence::counted;

/// A kind of thing that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    AccessToken,
    RefreshToken,
    Cookie,
    Password,
    /// The bodies of logins, refreshes and registrations.
    Login,
    RecoveryKey,
    /// Key backups and secret storage.
    KeyBackup,
    RoomKey,
    MediaKey,
    MessageBody,
    DelayId,
    /// Tokens of other services: OpenID, LiveKit.
    Jwt,
    Address,
    /// E-mail addresses and phone numbers.
    Contact,
    /// A long run of letters and digits that is neither a public key nor an ID.
    Unknown,
    /// Text between quotes or braces, and values whose name is not known.
    Value,
    /// Words that no SDK is known to write.
    Text,
    Query,
    Header,
    /// The body of a request or an answer that is not read here.
    Body,
    /// A field of a report that is not known.
    Field,
    /// A request that is not to the Matrix API.
    Request,
    Line,
}

impl Secret {
    fn noun(self) -> &'static str {
        match self {
            Self::AccessToken => "access token",
            Self::RefreshToken => "refresh token",
            Self::Cookie => "cookie",
            Self::Password => "password",
            Self::Login => "login or refresh body",
            Self::RecoveryKey => "recovery key",
            Self::KeyBackup => "piece of key backup or secret storage",
            Self::RoomKey => "room key",
            Self::MediaKey => "media key",
            Self::MessageBody => "message body",
            Self::DelayId => "delay ID",
            Self::Jwt => "token of another service",
            Self::Address => "IP address",
            Self::Contact => "email address or phone number",
            Self::Unknown => "unrecognised long value",
            Self::Value => "value",
            Self::Text => "piece of free text",
            Self::Query => "query value",
            Self::Header => "header",
            Self::Body => "other request or response body",
            Self::Field => "unrecognised field",
            Self::Request => "request outside Matrix",
            Self::Line => "unrecognised line",
        }
    }

    fn words(self, count: u64) -> String {
        if count == 1 {
            return counted(1, self.noun());
        }
        match self {
            Self::Login => format!("{count} login or refresh bodies"),
            Self::KeyBackup => format!("{count} pieces of key backup or secret storage"),
            Self::MessageBody => format!("{count} message bodies"),
            Self::Text => format!("{count} pieces of free text"),
            Self::Jwt => format!("{count} tokens of other services"),
            Self::Address => format!("{count} IP addresses"),
            Self::Contact => format!("{count} email addresses or phone numbers"),
            Self::Body => format!("{count} other request or response bodies"),
            Self::Request => format!("{count} requests outside Matrix"),
            other => counted(count, other.noun()),
        }
    }
}

/// How many of each kind were removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Removed(BTreeMap<Secret, u64>);

impl Removed {
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The kinds with their counts, the most serious first.
    pub fn iter(&self) -> impl Iterator<Item = (Secret, u64)> {
        self.0.iter().map(|(secret, count)| (*secret, *count))
    }

    /// For a person: `3 access tokens, 1 cookie, 214 unrecognised lines`.
    pub fn summary(&self) -> String {
        let said: Vec<_> = self.iter().map(|(secret, count)| secret.words(count)).collect();
        if said.is_empty() { "nothing".into() } else { said.join(", ") }
    }

    pub fn add(&mut self, other: &Self) {
        other.iter().for_each(|(secret, count)| self.count(secret, count));
    }

    pub(crate) fn one(&mut self, secret: Secret) {
        self.count(secret, 1);
    }

    pub(crate) fn count(&mut self, secret: Secret, count: u64) {
        if count > 0 {
            let known = self.0.entry(secret).or_default();
            *known = known.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_told_by_kind() {
        let mut removed = Removed::default();
        assert_eq!(removed.summary(), "nothing");
        removed.count(Secret::Line, 214);
        removed.one(Secret::Cookie);
        let mut more = Removed::default();
        more.count(Secret::AccessToken, 3);
        removed.add(&more);
        let told = "3 access tokens, 1 cookie, 214 unrecognised lines";
        assert_eq!((removed.summary().as_str(), removed.total()), (told, 218));
        let json = serde_json::to_string(&removed).unwrap();
        assert_eq!(json, r#"{"access-token":3,"cookie":1,"line":214}"#);
    }
}
