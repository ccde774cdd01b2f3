//! Carriers that put each line into a JSON object → the line.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::peeled::{Peeled, Piece};

/// docker's json-file: `{"log":"…\n","stream":"stderr","time":"…"}`. A piece of 16 KiB that is not the end of its line
/// has no newline.
pub(super) fn docker(line: &[u8]) -> Option<Peeled<'_>> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        #[serde(borrow)]
        stream: Cow<'a, str>,
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    let entry: Entry = object(line, b"\"stream\"")?;
    let at = entry.time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let mut text = bytes(entry.log);
    let ends = text.ends_with(b"\n");
    if ends {
        match &mut text {
            Cow::Borrowed(text) => *text = &text[..text.len() - 1],
            Cow::Owned(text) => text.truncate(text.len() - 1),
        }
    }
    let piece = if ends { Piece::Last } else { Piece::Part };
    Some(Peeled { at, piece, text, stream: bytes(entry.stream), ..Peeled::default() })
}

/// `journalctl -o json`. A message of 4088 bytes and more is null without `--all`; one with control characters is an
/// array of bytes; a line over 48 KiB is cut into entries that say `_LINE_BREAK=line-max`.
pub(super) fn journal(line: &[u8]) -> Option<Peeled<'_>> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(rename = "MESSAGE")]
        message: Option<Value>,
        #[serde(rename = "__REALTIME_TIMESTAMP", borrow)]
        at: Cow<'a, str>,
        #[serde(rename = "_SYSTEMD_UNIT")]
        unit: Option<Value>,
        #[serde(rename = "CONTAINER_NAME")]
        container: Option<Value>,
        #[serde(rename = "SYSLOG_IDENTIFIER")]
        identifier: Option<Value>,
        #[serde(rename = "_PID")]
        pid: Option<Value>,
        #[serde(rename = "PRIORITY")]
        priority: Option<Value>,
        #[serde(rename = "_TRANSPORT")]
        transport: Option<Value>,
        #[serde(rename = "_STREAM_ID")]
        stream: Option<Value>,
        #[serde(rename = "_LINE_BREAK")]
        broken: Option<Value>,
        #[serde(rename = "CONTAINER_PARTIAL_MESSAGE")]
        partial: Option<Value>,
    }
    let entry: Entry = object(line, b"\"__REALTIME_TIMESTAMP\"")?;
    let word = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let of = word(&entry.container).or_else(|| word(&entry.unit));
    let of = of.or_else(|| word(&entry.identifier)).unwrap_or_default();
    let name = word(&entry.pid).map_or_else(|| of.clone(), |pid| format!("{of}[{pid}]"));
    let is_cut =
        word(&entry.broken).is_some_and(|how| how == "line-max") || word(&entry.partial).is_some();
    let text = entry.message.as_ref().and_then(message);
    Some(Peeled {
        lost: text.is_none(),
        text: Cow::Owned(text.unwrap_or_default()),
        name: Cow::Owned(name.into_bytes()),
        stream: Cow::Owned(word(&entry.stream).unwrap_or_default().into_bytes()),
        at: entry.at.parse::<i64>().ok().map(|micros| micros / 1000),
        severity: word(&entry.priority).and_then(|priority| priority.parse().ok()),
        piece: if is_cut { Piece::Part } else { Piece::Last },
        record: word(&entry.transport).is_some_and(|how| how == "journal"),
    })
}

/// A message as text or as an array of bytes; of a field that is there several times, the first. `None` where the
/// journal left it out.
fn message(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect()
        }
        Value::Array(items) => message(items.first()?),
        _ => None,
    }
}

/// `logcli -o jsonl`: `{"labels":{…},"line":"…","timestamp":"…"}`. The labels are the stream.
pub(super) fn logcli(line: &[u8]) -> Option<Peeled<'_>> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        labels: serde_json::Map<String, Value>,
        #[serde(borrow)]
        line: Cow<'a, str>,
        #[serde(borrow)]
        timestamp: Cow<'a, str>,
    }
    let entry: Entry = object(line, b"\"timestamp\"")?;
    let at = entry.timestamp.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    // The level is a label of each line, not of its process.
    let mut name = String::new();
    for (label, value) in &entry.labels {
        let value = value.as_str().unwrap_or_default();
        if !matches!(label.as_str(), "level" | "detected_level" | "filename" | "stream")
            && !value.is_empty()
        {
            let between = if name.is_empty() { "" } else { "," };
            name.push_str(&format!("{between}{label}={value}"));
        }
    }
    let text = bytes(entry.line);
    Some(Peeled { at, text, name: Cow::Owned(name.into_bytes()), ..Peeled::default() })
}

/// The object of a line that has this key; most lines are let go after a search.
fn object<'a, T: Deserialize<'a>>(line: &'a [u8], key: &[u8]) -> Option<T> {
    let line = line.trim_ascii();
    let fits = line.starts_with(b"{") && memmem::find(line, key).is_some();
    fits.then(|| serde_json::from_slice(line).ok())?
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
