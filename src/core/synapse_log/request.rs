//! The lines of one request, put together → what came of an upload, and whether Synapse wrote it.
//!
//! A forged line never adds to a request, and never takes a true one away: where two lines contradict
//! each other, the one that no client can have written is kept.

use crate::evidence::Subject;
use crate::synapse_log::forgery::{ForgeryWatch, LinePlace, Numbers};
use crate::synapse_log::message::{Access, Upload};

/// How many lines of one kind are kept for one request; a true request has one.
const EACH: usize = 6;

/// A line of a request.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    pub place: LinePlace,
    /// Milliseconds UTC.
    pub at: i64,
    /// A client's text may reach here.
    pub reach: bool,
    pub what: T,
}

impl Seen<()> {
    /// The same line with what it says.
    pub fn with<T>(&self, what: T) -> Seen<T> {
        Seen { place: self.place, at: self.at, reach: self.reach, what }
    }
}

/// Everything that one request id was seen with.
#[derive(Debug, Default)]
pub struct Request {
    pub adding: Vec<Seen<Upload>>,
    pub device_keys: Vec<Seen<Upload>>,
    /// Which of the known conflicts.
    pub refused: Vec<Seen<usize>>,
    pub too_large: Vec<Seen<()>>,
    pub access: Vec<Seen<Access>>,
    /// The request number was far from those of its time.
    pub odd_number: bool,
}

/// What a request turned out to be.
#[derive(Debug, Default)]
pub struct Judged {
    pub outcome: Outcome,
    /// Every line is where a client's text may reach.
    pub in_reach: bool,
    /// When, where that is known.
    pub at: Option<i64>,
    /// Why lines were left out, one entry a line.
    pub distrusted: Vec<&'static str>,
}

/// How an upload ended.
#[derive(Debug, Default)]
pub enum Outcome {
    /// Not an upload, not about the subject, or nothing that can be believed.
    #[default]
    Nothing,
    Refused(usize, UploadFacts),
    TooLarge(UploadFacts),
    Accepted(UploadFacts),
    /// A refusal without the line that tells whose upload it was.
    Unattributed(usize, i64),
    /// A refusal that may not be Synapse's: only the database can say.
    Doubtful(usize, i64),
}

/// The facts of one upload.
#[derive(Debug, Clone)]
pub struct UploadFacts {
    pub at: i64,
    pub upload: Upload,
    pub with_device_keys: bool,
    pub address: Option<String>,
    pub agent: Option<String>,
}

const SECOND: &str = "a duplicate line for the same request";
const STATUS: &str = "its request ended with a different status";
const UNENDED: &str = "its request has no end in the log";
const REQUESTER: &str = "its request belongs to another account";
const NUMBER: &str = "its request number belongs to another request";
const ODD: &str = "its request number is out of sequence for its time";
/// The reason for lines that only a client's reach speaks against.
pub const BEHIND: &str = "it follows text that a client can write";

/// Keeps a line, up to a bound.
pub fn keep<T>(lines: &mut Vec<Seen<T>>, line: Seen<T>) {
    if lines.len() < EACH {
        lines.push(line);
    }
}

impl Request {
    /// Whether it may concern the subject.
    pub fn concerns(&self, subject: &Subject) -> bool {
        !self.refused.is_empty() || self.adding.iter().any(|line| is_of(&line.what, subject))
    }

    /// Judges the request once no more of its lines are to come. `open` where its end may be missing
    /// because the log ends there.
    pub fn judge(
        mut self,
        id: &[u8],
        text: bool,
        process: (&ForgeryWatch, &Numbers),
        open: bool,
    ) -> Judged {
        let mut judged = Judged { at: self.first(), ..Judged::default() };
        let (watch, numbers) = process;
        if text {
            let out = &mut judged.distrusted;
            sift(&mut self.adding, watch, out);
            sift(&mut self.device_keys, watch, out);
            sift(&mut self.refused, watch, out);
            sift(&mut self.too_large, watch, out);
            sift(&mut self.access, watch, out);
        }
        let Some(adding) = best(&self.adding, 0) else {
            self.unattributed(&mut judged);
            return judged;
        };
        let start = adding.place.line;
        let access = self.end_of(adding);
        let claim = self.claim(start);
        judged.in_reach =
            adding.reach && claim.in_reach() && access.is_none_or(|access| access.reach);
        let lies = [
            (text && numbers.taken(id), NUMBER),
            (text && self.odd_number, ODD),
            (self.contradicted(adding, access), REQUESTER),
        ];
        if let Some((_, why)) = lies.into_iter().find(|(lie, _)| *lie) {
            judged.distrusted.push(why);
            return judged;
        }
        let facts = self.facts(adding, access);
        judged.outcome = match (claim, access.map(|access| access.what.status)) {
            (Claim::Refused(conflict, ..), Some(400)) => Outcome::Refused(conflict, facts),
            (Claim::Refused(conflict, ..), None) if open => Outcome::Refused(conflict, facts),
            (Claim::TooLarge(..), Some(400..=499)) => Outcome::TooLarge(facts),
            (Claim::TooLarge(..), None) if open => Outcome::TooLarge(facts),
            (Claim::Refused(..) | Claim::TooLarge(..), None) => {
                judged.distrusted.push(UNENDED);
                Outcome::Nothing
            }
            (claim, Some(200)) => {
                if !matches!(claim, Claim::None) {
                    judged.distrusted.push(STATUS);
                }
                Outcome::Accepted(facts)
            }
            (Claim::None, _) => Outcome::Nothing,
            _ => {
                judged.distrusted.push(STATUS);
                Outcome::Nothing
            }
        };
        judged
    }

    fn first(&self) -> Option<i64> {
        let adding = self.adding.first().map(|line| line.at);
        adding.or(self.refused.first().map(|line| line.at))
    }

    fn unattributed(&self, judged: &mut Judged) {
        let Some(refused) = best(&self.refused, 0) else {
            return;
        };
        if refused.reach {
            judged.outcome = Outcome::Doubtful(refused.what, refused.at)
        } else {
            judged.outcome = Outcome::Unattributed(refused.what, refused.at)
        }
    }

    fn claim(&self, start: u64) -> Claim {
        match (best(&self.refused, start), best(&self.too_large, start)) {
            (Some(line), _) => Claim::Refused(line.what, line.reach),
            (None, Some(line)) => Claim::TooLarge(line.reach),
            (None, None) => Claim::None,
        }
    }

    /// The access line that fits the upload.
    fn end_of(&self, adding: &Seen<Upload>) -> Option<&Seen<Access>> {
        let fits = |line: &&Seen<Access>| {
            let access = &line.what;
            access.is_key_upload()
                && line.place.line > adding.place.line
                && (access.is_replicated()
                    || access.user.as_deref() == Some(adding.what.user.as_str()))
        };
        let lines = self.access.iter().filter(fits);
        lines.min_by_key(|line| (line.reach, line.place.line))
    }

    /// Whether an access line that no client can have written says something else of this id.
    fn contradicted(&self, adding: &Seen<Upload>, access: Option<&Seen<Access>>) -> bool {
        if access.is_some_and(|access| !access.reach) {
            return false;
        }
        let mut sure = self.access.iter().filter(|line| !line.reach);
        sure.any(|line| {
            !line.what.is_replicated()
                && line.what.user.as_deref() != Some(adding.what.user.as_str())
                || !line.what.is_key_upload()
        }) || access.is_none() && !self.access.is_empty()
    }

    fn facts(&self, adding: &Seen<Upload>, access: Option<&Seen<Access>>) -> UploadFacts {
        let upload = &adding.what;
        let with_device_keys = self
            .device_keys
            .iter()
            .any(|line| line.what.user == upload.user && line.what.device == upload.device);
        UploadFacts {
            at: access.map_or(adding.at, |access| access.at),
            upload: upload.clone(),
            with_device_keys,
            address: access.map(|access| access.what.address.clone()),
            agent: access.map(|access| access.what.agent.clone()),
        }
    }
}

/// What a request's error line says, and whether that line is in a client's reach.
enum Claim {
    Refused(usize, bool),
    TooLarge(bool),
    None,
}

impl Claim {
    fn in_reach(&self) -> bool {
        match *self {
            Self::Refused(_, reach) | Self::TooLarge(reach) => reach,
            Self::None => true,
        }
    }
}

/// Whether an upload is the subject's.
pub fn is_of(upload: &Upload, subject: &Subject) -> bool {
    upload.user == subject.user.as_str() && upload.device == subject.device.as_str()
}

/// Leaves out what is surely not Synapse's, and notes what turned out to be in a client's reach.
fn sift<T>(lines: &mut Vec<Seen<T>>, watch: &ForgeryWatch, distrusted: &mut Vec<&'static str>) {
    lines.retain_mut(|line| {
        line.reach |= watch.doubted(line.place.line);
        match watch.bad(line.place.line) {
            Some(why) => {
                distrusted.push(why);
                false
            }
            None => true,
        }
    });
    distrusted.extend(lines.iter().skip(1).map(|_| SECOND));
}

/// The line to believe, behind `start`: out of a client's reach first, then the earliest.
fn best<T>(lines: &[Seen<T>], start: u64) -> Option<&Seen<T>> {
    let lines = lines.iter().filter(|line| line.place.line >= start);
    lines.min_by_key(|line| (line.reach, line.place.line))
}
