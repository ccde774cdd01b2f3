//! The line that Synapse writes at a request's end → who asked what, how it was answered, and where the
//! time went. The address in front, the URI and the user agent are client text.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::synapse_log::record::{cut, cut_last};

/// The line at a request's end.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// As logged; with a proxy it may be the client's own text.
    pub address: String,
    /// The account the request acted as; `None` where it was not authenticated.
    pub user: Option<String>,
    /// Seconds until the answer, then seconds until it was sent; the second may be negative.
    pub took: (f64, f64),
    /// What of it went to the database; `None` where the line has it in no form that is known.
    pub database: Option<DatabaseTime>,
    pub status: u16,
    /// The peer closed the connection first.
    pub aborted: bool,
    pub method: String,
    pub uri: String,
    /// Client text.
    pub agent: String,
}

/// A request's share of the database, in seconds: waiting for a connection of the pool, then inside
/// transactions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DatabaseTime {
    pub waiting: f64,
    pub inside: f64,
    pub transactions: u64,
}

impl Access {
    /// Whether this is an upload of keys: `/keys/upload` of any version, or the replication request
    /// that an older worker makes of it.
    pub fn is_key_upload(&self) -> bool {
        let path = self.path();
        self.method == "POST"
            && (path.starts_with("/_matrix/client/") && path.contains("/keys/upload")
                || self.is_replicated())
    }

    /// Made by a worker on behalf of the user; such a request has no requester of its own.
    pub fn is_replicated(&self) -> bool {
        self.path().starts_with("/_synapse/replication/upload_keys_for_user")
    }

    /// Whether a client begins here: a /sync that continues none.
    pub fn is_client_start(&self) -> bool {
        let query = self.uri.split_once('?').map_or("", |(_, query)| query);
        let lacks = |name: &str| !query.split('&').any(|part| part.starts_with(name));
        let path = self.path();
        self.status == 200
            && path.starts_with("/_matrix/client/")
            && (self.method == "GET" && path.ends_with("/sync") && lacks("since=")
                || self.method == "POST"
                    && path.ends_with("simplified_msc3575/sync")
                    && lacks("pos="))
    }

    /// The URI up to its query.
    pub fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or("")
    }
}

/// Longest text of a client that is kept.
const SHOWN: usize = 200;
/// Longest URI that is read: a member event's path repeats the room, the user and the device.
const URI: usize = 1024;

const PROCESSED: &str = "} Processed request: ";

/// Reads an access line. The address in front and the user agent at the end are client text. An
/// address ends at its first comma (Synapse takes the first element of X-Forwarded-For), and the middle
/// holds commas, so the first place where the whole middle fits is the true one.
pub fn access(message: &str) -> Option<Access> {
    static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(PROCESSED));
    FINDER.find_iter(message.as_bytes()).take(8).find_map(|at| {
        let (before, _) = cut_last(&message[..at], " - {")?;
        let (address, _site) = cut_last(before, " - ")?;
        let requester = &message[before.len() + 4..at];
        let mut access = middle(&message[at + PROCESSED.len()..])?;
        access.address = clip(address);
        access.user = match requester.rsplit('|').next()? {
            "None" => None,
            user => Some(user.to_owned()),
        };
        Some(access)
    })
}

/// `A/Bsec … NNNB STATUS "METHOD URI HTTP/1.1" "AGENT" [N dbevts]`
fn middle(text: &str) -> Option<Access> {
    let (first, rest) = cut(text, "sec/")?;
    let (second, rest) = cut(rest, "sec ")?;
    let (numbers, rest) = cut(rest, " \"")?;
    let mut words = numbers.rsplit(' ');
    let status = words.next()?;
    words.next()?.strip_suffix('B')?.parse::<u64>().ok()?;
    // What is left are the processor and database times, two groups in brackets, in any version.
    if !numbers.contains('(') || cut(numbers, ", ").is_none() || numbers.contains('{') {
        return None;
    }
    let (method, rest) = rest.split_once(' ')?;
    let (uri, rest) = rest.split_once(' ')?;
    let (_protocol, rest) = cut(rest, "\" \"")?;
    let (agent, events) = cut_last(rest, "\" [")?;
    events.strip_suffix(" dbevts]")?.parse::<u64>().ok()?;
    Some(Access {
        address: String::new(),
        user: None,
        took: (first.parse().ok()?, second.parse().ok()?),
        database: database(numbers),
        status: status.trim_end_matches('!').parse().ok()?,
        aborted: status.ends_with('!'),
        method: clip(method),
        uri: clipped(uri, URI),
        agent: clip(agent),
    })
}

/// `db=(0.000sec/0.006sec/1)`, or `(0.000sec/0.006sec/1)` before Synapse 1.150: the second group in
/// brackets.
fn database(numbers: &str) -> Option<DatabaseTime> {
    let (_, group) = numbers.rsplit_once('(')?;
    let (group, _) = group.split_once(')')?;
    let mut parts = group.split('/');
    let mut seconds = || parts.next()?.strip_suffix("sec")?.parse::<f64>().ok();
    let waiting = seconds()?;
    let inside = seconds()?;
    Some(DatabaseTime { waiting, inside, transactions: parts.next()?.parse().ok()? })
}

/// The first characters of a client's text, without control characters.
fn clip(text: &str) -> String {
    clipped(text, SHOWN)
}

fn clipped(text: &str, most: usize) -> String {
    // Nearly every one is short and plain: a copy will do.
    if text.len() <= most && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    text.chars().take(most).filter(|c| !c.is_control()).collect()
}
