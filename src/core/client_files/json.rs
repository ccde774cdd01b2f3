//! A JSON file as it comes → a HAR file or a client's report, whichever it is, one entry of a list at a time.
//! Of a truncated file, everything before its end is read.

pub(crate) mod bounded;
pub(crate) mod text;

use serde_json::Value;

use crate::client_files::console::reading;
use crate::client_files::draft::Draft;
use crate::client_files::har::redaction::Har;
use crate::client_files::json::text::{Broken, JsonText};
use crate::client_files::report::redaction::Report;
use crate::client_files::text::Decoded;
use crate::evidence::client_file::Limits;
use crate::evidence::counted;
use crate::evidence::redaction::cut::CUT;

/// Reads a file that begins as JSON does. The error is a sentence for a person.
pub(crate) fn read(
    text: &mut Decoded<'_>,
    budget: usize,
    limits: &Limits,
) -> Result<Draft, String> {
    let mut file = File {
        json: JsonText::new(text),
        value: Vec::new(),
        har: Har::new(budget, limits),
        report: Report::new(budget, limits),
    };
    let ended = file.whole();
    let File { json, mut har, mut report, .. } = file;
    if har.is_one(ended.is_ok()) {
        har.torn = ended.err().map(|broken| {
            let requests = counted(har.requests, "request");
            format!("the HAR file is damaged ({}): only {requests} could be read", broken.words())
        });
        return Ok(Draft::Har(har));
    }
    let why = match ended {
        Ok(()) => match report.is_one() {
            Ok(()) => return Ok(Draft::Report(report)),
            Err(why) => why,
        },
        Err(broken @ Broken::Early(_)) if report.is_torn_one() => {
            let lines = counted(report.known(), "known line");
            report.torn = Some(format!(
                "the report is damaged ({}): only {lines} could be read",
                broken.words()
            ));
            return Ok(Draft::Report(report));
        }
        Err(broken) => broken.words(),
    };
    drop((har, report));
    // A line of a log may also begin with a bracket.
    let Some(mut again) = json.again() else { return Err(why) };
    reading::read(&mut again, budget, limits).map_err(|_| why)
}

/// The file, which is one of the two kinds.
struct File<'t, 'r> {
    json: JsonText<&'t mut Decoded<'r>>,
    /// The value that is read.
    value: Vec<u8>,
    har: Har,
    report: Report,
}

impl File<'_, '_> {
    fn whole(&mut self) -> Result<(), Broken> {
        if self.json.peek()? != b'{' {
            return Err(Broken::Other);
        }
        self.fields(None)?;
        match self.json.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(self.json.wrong()),
        }
    }

    /// The fields of an object: the file's, or those of an object in it.
    fn fields(&mut self, parent: Option<&str>) -> Result<(), Broken> {
        self.json.take()?;
        if self.json.peek()? == b'}' {
            return self.json.take().map(drop);
        }
        loop {
            let name: String = self.text()?;
            if self.json.take()? != b':' {
                return Err(self.json.wrong());
            }
            self.field(parent, &name)?;
            match self.json.take()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(self.json.wrong()),
            }
        }
    }

    fn field(&mut self, parent: Option<&str>, name: &str) -> Result<(), Broken> {
        match self.json.peek()? {
            b'[' => self.list(parent, name),
            b'{' => {
                let is_log = parent.is_none() && name == "log";
                if self.report.object(parent, name) || is_log {
                    self.fields(Some(name))
                } else {
                    self.json.skip()
                }
            }
            first => {
                let value = match self.text() {
                    // A client cut it within a character.
                    Err(Broken::Wrong(_)) if first == b'"' => Value::String(CUT.to_owned()),
                    value => value?,
                };
                self.report.scalar(parent, name, value);
                Ok(())
            }
        }
    }

    fn list(&mut self, parent: Option<&str>, name: &str) -> Result<(), Broken> {
        let requests = parent == Some("log") && name == "entries";
        let lines = self.report.list(parent, name);
        self.har.has_log |= requests;
        if !requests && lines.is_none() {
            return self.json.skip();
        }
        self.json.take()?;
        if self.json.peek()? == b']' {
            return self.json.take().map(drop);
        }
        loop {
            let fits = self.json.value(&mut self.value)?;
            match bounded::entry(&self.value).filter(|_| fits) {
                Some(entry) => self.entry(requests, lines, entry),
                None => self.unread(requests, lines),
            }
            match self.json.take()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(self.json.wrong()),
            }
        }
    }

    fn entry(&mut self, requests: bool, lines: Option<usize>, (entry, whole): (Value, bool)) {
        if requests && entry.get("request").is_some_and(Value::is_object) {
            // So it is not a report.
            self.report.forget();
            self.har.entry(&entry, whole);
            return;
        }
        self.har.others += u64::from(requests);
        if let Some(lines) = lines.filter(|_| self.har.requests == 0) {
            self.report.entry(lines, &entry);
        }
    }

    /// An entry that is too long, or not JSON: half of a character, if a client cut a line.
    fn unread(&mut self, requests: bool, lines: Option<usize>) {
        if requests {
            self.har.unread();
        }
        if let Some(lines) = lines {
            self.report.entry(lines, &Value::Null);
        }
    }

    /// The next value, which is neither a list nor an object.
    fn text<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Broken> {
        let fits = self.json.value(&mut self.value)?;
        let read = serde_json::from_slice(&self.value).ok();
        read.filter(|_| fits).ok_or_else(|| self.json.wrong())
    }
}
