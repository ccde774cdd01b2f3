//! The session itself: its state, and what each input changes in it.

use jiff::{SignedDuration, Timestamp};
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::checklist::{Doer, Item, Step};
use super::inputs::{CaptureRequest, Effect, End, Input, Mark, Note, Reminder, Said};
use crate::evidence::Window;

/// The version of the serialised form.
pub const SCHEMA: u32 = 1;
/// The default length of a session; one call is rarely longer.
pub const UNSAID: SignedDuration = SignedDuration::from_mins(30);
pub const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
/// DEBUG logs of a longer session can fill a disk.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(4);
/// How often the inbox is polled: a device that syncs empties it at once, a stuck one does not.
pub const POLL_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How often latency is sampled: Prometheus itself commonly scrapes no faster.
pub const SAMPLE_EVERY: SignedDuration = SignedDuration::from_secs(15);
/// A session longer than twice this announces its end this long before.
const ENDS_SOON: SignedDuration = SignedDuration::from_mins(5);
/// Limits on what one session stores, in case a room does not stop.
pub const MOST_MARKS: usize = 200;
const MOST_NOTES: usize = 400;
/// The most characters of a mark's text.
pub(super) const MARK_TEXT: usize = 500;

/// A session, from its first moment to its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub schema: u32,
    pub asked: CaptureRequest,
    pub started: Timestamp,
    /// When it ends automatically.
    pub until: Timestamp,
    pub items: Vec<Item>,
    pub marks: Vec<Mark>,
    pub notes: Vec<Note>,
    /// Names (ours) of files that arrived.
    pub received: Vec<String>,
    pub ended: Option<(Timestamp, End)>,
    bundled: bool,
    /// A person did something.
    touched: bool,
    told_soon: bool,
    polled: Option<Timestamp>,
    sampled: Option<Timestamp>,
    /// The newest time that it knows: a clock that is set back does not turn it around.
    seen: Timestamp,
}

impl Session {
    /// Begins a session.
    pub fn begin(mut asked: CaptureRequest, now: Timestamp) -> (Self, Vec<Effect>) {
        asked.length = asked.length.clamp(SHORTEST, LONGEST);
        let until = now.checked_add(asked.length).unwrap_or(Timestamp::MAX);
        let mut session = Self {
            schema: SCHEMA,
            asked,
            started: now,
            until,
            items: Step::ALL.into_iter().map(Item::open).collect(),
            marks: Vec::new(),
            notes: Vec::new(),
            received: Vec::new(),
            ended: None,
            bundled: false,
            touched: false,
            told_soon: false,
            polled: None,
            sampled: None,
            seen: now,
        };
        let mut effects = vec![Effect::Say(Said::Began), Effect::Remind(Reminder::RaiseLoggers)];
        session.pass(&mut effects, now);
        (session, effects)
    }

    /// Processes an input, and returns what to do.
    pub fn take(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let now = now.max(self.seen);
        let away = now.duration_since(self.seen);
        self.seen = now;
        let mut effects = Vec::new();
        if let Some((_, end)) = self.ended {
            self.afterwards(input, end, &mut effects);
            return effects;
        }
        // A late input counts after the end, not before it.
        if now >= self.until {
            if matches!(input, Input::Restarted) {
                effects.push(Effect::Say(Said::WentOn(away)));
            }
            self.end(self.until, self.end_by_length(), &mut effects);
            return effects;
        }
        match input {
            Input::Clock => {}
            Input::Restarted => effects.push(Effect::Say(Said::WentOn(away))),
            Input::Ticked { step, by } if step.doer() == Doer::Person => {
                self.touched = true;
                self.tick(step, Some(by), now, &mut effects);
            }
            // A person cannot tick the bot's own steps.
            Input::Ticked { .. } => {}
            Input::Unticked(step) => self.untick(step, &mut effects),
            Input::Marked { text, by } => self.mark(&text, by, now, &mut effects),
            Input::Place { source, position } => {
                self.note(Note::Place { at: now, source, position });
                self.tick(Step::LogPlaces, None, now, &mut effects);
            }
            Input::Clocks { source, millis } => {
                self.note(Note::Clocks { at: now, source, millis });
                self.tick(Step::Clocks, None, now, &mut effects);
            }
            Input::Received { name, step } => {
                self.touched = true;
                if self.received.len() < MOST_NOTES {
                    self.received.push(name);
                }
                self.tick(step, None, now, &mut effects);
            }
            Input::Polled => self.tick(Step::Inbox, None, now, &mut effects),
            Input::Sampled => self.tick(Step::Latency, None, now, &mut effects),
            Input::Stopped { .. } => self.end(now, End::Stopped, &mut effects),
            // There is nothing to bundle yet.
            Input::Bundled => {}
        }
        if self.ended.is_none() {
            self.pass(&mut effects, now);
        }
        effects
    }

    /// When it needs the time again; `None` once it has ended.
    pub fn due(&self) -> Option<Timestamp> {
        let next = |last: Option<Timestamp>, every| {
            last.map_or(self.seen, |last| last.checked_add(every).unwrap_or(Timestamp::MAX))
        };
        let soon = next(self.polled, POLL_EVERY).min(next(self.sampled, SAMPLE_EVERY));
        self.ended.is_none().then(|| soon.min(self.until))
    }

    /// Whether it ended; its bundle may still be made.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether its bundle is finished too: nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.bundled
    }

    /// Its window: up to its end, or up to now.
    pub fn window(&self) -> Window {
        let to = self.ended.map_or(self.seen, |(at, _)| at);
        Window { from: self.started, to }
    }

    /// The remaining time.
    pub fn left(&self, now: Timestamp) -> SignedDuration {
        match self.ended {
            Some(_) => SignedDuration::ZERO,
            None => self.until.duration_since(now).max(SignedDuration::ZERO),
        }
    }

    /// After the end only the bundle is left, and a reply to late commands.
    fn afterwards(&mut self, input: Input, end: End, effects: &mut Vec<Effect>) {
        match input {
            // A crash happened between the end and the bundle.
            Input::Restarted if !self.bundled => effects.push(Effect::Finish(end)),
            Input::Bundled if !self.bundled => {
                self.bundled = true;
                self.tick(Step::Bundle, None, self.seen, effects);
            }
            // Steps that restore the normal state can still be ticked.
            Input::Ticked { step: Step::RevertLoggers, by } => {
                self.tick(Step::RevertLoggers, Some(by), self.seen, effects);
            }
            Input::Marked { .. } | Input::Stopped { .. } => {
                effects.push(Effect::Say(Said::IsOver));
            }
            _ => {}
        }
    }

    /// What is due because of the time.
    fn pass(&mut self, effects: &mut Vec<Effect>, now: Timestamp) {
        let due = |last: Option<Timestamp>, every| {
            last.is_none_or(|last| now.duration_since(last) >= every)
        };
        if due(self.polled, POLL_EVERY) {
            self.polled = Some(now);
            effects.push(Effect::Poll);
        }
        if due(self.sampled, SAMPLE_EVERY) {
            self.sampled = Some(now);
            effects.push(Effect::Sample);
        }
        let left = self.left(now);
        if !self.told_soon && left <= ENDS_SOON && self.asked.length > ENDS_SOON * 2 {
            self.told_soon = true;
            effects.push(Effect::Remind(Reminder::EndsSoon));
        }
    }

    fn mark(&mut self, text: &str, by: OwnedUserId, at: Timestamp, effects: &mut Vec<Effect>) {
        self.touched = true;
        if self.marks.len() >= MOST_MARKS {
            effects.push(Effect::Say(Said::MarksFull));
            return;
        }
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text: String = text.chars().map(plain).take(MARK_TEXT).collect();
        self.marks.push(Mark { at, by, text: text.trim().to_owned() });
        effects.push(Effect::Say(Said::Marked(self.marks.len())));
        self.tick(Step::Mark, None, at, effects);
    }

    fn note(&mut self, note: Note) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }

    fn tick(
        &mut self,
        step: Step,
        by: Option<OwnedUserId>,
        at: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let open = self.items.iter_mut().find(|item| item.step == step && item.ticked.is_none());
        if let Some(item) = open {
            item.ticked = Some(at);
            item.by = by;
            effects.push(Effect::Tick(step));
        }
    }

    fn untick(&mut self, step: Step, effects: &mut Vec<Effect>) {
        // What the bot noticed itself stays ticked.
        let by_person = |item: &&mut Item| item.step == step && item.by.is_some();
        if let Some(item) = self.items.iter_mut().find(by_person) {
            (item.ticked, item.by) = (None, None);
            effects.push(Effect::Tick(step));
        }
    }

    fn end_by_length(&self) -> End {
        if self.touched { End::Length } else { End::Abandoned }
    }

    fn end(&mut self, at: Timestamp, end: End, effects: &mut Vec<Effect>) {
        self.ended = Some((at, end));
        effects.push(Effect::Say(Said::Ended(end)));
        effects.push(Effect::Remind(Reminder::RevertLoggers));
        effects.push(Effect::Finish(end));
    }
}
