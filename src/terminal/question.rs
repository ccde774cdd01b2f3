//! The flags of `kestrel triage` → the question and the client's files. A flag without a meaning is an error, never a
//! guess.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel_core::command::{self, UsageError, WindowFlags};
use kestrel_core::evidence::{self, Gathered};
use kestrel_core::question::{Question, Span, Topic};

use super::client_files::{file_limits, taken};
use super::slip::slip;
use super::triage_flags::{Symptom, Triage};

impl Triage {
    /// The question that the flags spell, and the reference time.
    pub(super) fn question(&self, config: &Config) -> Result<(Question, Timestamp)> {
        let context = command::Context {
            server_name: config.server.name.as_deref(),
            zone: &config.limits.timezone,
            now: Timestamp::now(),
        };
        let (span, now) = command::window(&self.window(), &context)?;
        self.fits()?;
        let said = self.client_says.as_deref().unwrap_or_default();
        let device = self.device.as_deref().map(Into::into);
        let user = || Ok::<_, anyhow::Error>(command::user(self.named("a user")?, &context)?);
        let topic = match self.symptom {
            Symptom::Ke1 => Topic::Ke1 { user: user()?, device },
            Symptom::Ke2 => {
                let sender = self.sender.as_deref().map(|text| command::user(text, &context));
                let sender = sender.transpose()?;
                let live = self.live.as_deref().map(command::live).transpose()?;
                Topic::Ke2 { user: user()?, device, sender, live }
            }
            Symptom::Ke3 => Topic::Ke3(command::event(self.named("an event")?, said)?),
            Symptom::Ke4 => Topic::Ke4 { user: user()? },
            Symptom::All => {
                let event = self.event.as_deref().map(|text| command::event(text, said));
                Topic::All { event: event.transpose()?, user: user()?, device }
            }
            Symptom::Fleet => Topic::Fleet,
        };
        let span = if self.symptom == Symptom::Ke3 { Span::Unsaid } else { span };
        Ok((Question { topic, span }, now))
    }

    fn window(&self) -> WindowFlags<'_> {
        WindowFlags {
            last: self.last.as_deref(),
            since: self.since.as_deref(),
            until: self.until.as_deref(),
        }
    }

    /// The first word after the symptom.
    fn named(&self, what: &str) -> Result<&str, UsageError> {
        let missing =
            || slip(format!("Name {what} after the symptom; see `kestrel triage --help`."));
        self.subject.as_deref().ok_or_else(missing)
    }

    /// A flag that the symptom does not use is an error: if it were ignored, it would look used.
    fn fits(&self) -> Result<(), UsageError> {
        use Symptom::{All, Fleet, Ke2, Ke3, Ke4};
        let is = |one| self.symptom == one;
        let about_event = is(Ke3) || is(All) && self.event.is_some();
        let table = [
            (self.subject.is_some(), !is(Fleet), "A user", "every symptom except fleet"),
            (self.device.is_some(), !(is(Ke3) || is(Ke4)), "A device", "ke1, ke2 and all"),
            (self.sender.is_some(), is(Ke2), "--sender", "ke2"),
            (self.live.is_some(), is(Ke2), "--live", "ke2"),
            (self.event.is_some(), is(All), "--event", "all"),
            (
                self.client_says.is_some(),
                about_event,
                "--client-says",
                "ke3, and with all if --event is given",
            ),
        ];
        match table.iter().find(|(given, fits, ..)| *given && !fits) {
            Some((.., what, whose)) => {
                let symptom = evidence::Symptom::from(self.symptom).name();
                Err(slip(format!("{what} does not apply to {symptom}. It applies to {whose}.")))
            }
            None => Ok(()),
        }
    }

    /// What the client's files say. Either flag takes any kind: the content decides.
    pub(super) fn client(&self) -> Result<Vec<Gathered>, UsageError> {
        let mut said = Vec::new();
        for file in self.report.iter().chain(&self.har) {
            said.extend(client_file(file)?);
        }
        Ok(said)
    }
}

fn client_file(file: &Path) -> Result<Vec<Gathered>, UsageError> {
    let parcel = taken(file, &file_limits())?;
    let shown = file.display();
    for note in &parcel.notes {
        eprintln!("kestrel: {shown}: {note}");
    }
    let name = file.file_name().map_or("report".into(), |name| name.to_string_lossy());
    let single = parcel.artefacts.len() == 1;
    let said = parcel.artefacts.into_iter().map(|artefact| {
        if single {
            return Gathered::client(&name, artefact.facts);
        }
        Gathered::client(&format!("{name}:{}", artefact.name), artefact.facts)
    });
    Ok(said.collect())
}
