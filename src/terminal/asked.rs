//! What was typed behind `kestrel triage` → the command and the client's files. A slip is told and never
//! guessed away.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel_core::command::{self, Command, Ke1, Ke2, Ke4, Slip};
use kestrel_core::evidence::Gathered;

use super::client_files::{file_limits, taken};
use super::slip::slip;
use super::triage_flags::{Symptom, Triage};

impl Triage {
    /// The command that the flags spell, and the reference time.
    pub(super) fn command(&self, config: &Config) -> Result<(Command, Timestamp)> {
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
        let command = match self.symptom {
            Symptom::Ke1 => Command::Ke1(Ke1 { user: user()?, device, span }),
            Symptom::Ke2 => {
                let sender = self.sender.as_deref().map(|text| command::user(text, &context));
                let live = self.live.as_deref().map(command::live).transpose()?;
                let sender = sender.transpose()?;
                Command::Ke2(Ke2 { user: user()?, device, sender, span, live })
            }
            Symptom::Ke3 => Command::Ke3(command::event(self.named("an event")?, said)?),
            Symptom::Ke4 => Command::Ke4(Ke4 { user: user()?, span }),
            Symptom::All => {
                let event = self.event.as_deref().map(|text| command::event(text, said));
                let event = event.transpose()?;
                Command::Triage(command::Triage { user: user()?, device, event, span })
            }
            Symptom::Fleet => Command::Fleet(span),
        };
        Ok((command, now))
    }

    fn window(&self) -> command::Flags<'_> {
        command::Flags {
            last: self.last.as_deref(),
            since: self.since.as_deref(),
            until: self.until.as_deref(),
        }
    }

    /// The first word after the symptom.
    fn named(&self, what: &str) -> Result<&str, Slip> {
        let missing =
            || slip(format!("Name {what} after the symptom; `kestrel triage --help` says more."));
        self.subject.as_deref().ok_or_else(missing)
    }

    /// What the symptom has no use for: taken in silence it would be believed.
    fn fits(&self) -> Result<(), Slip> {
        use Symptom::{All, Fleet, Ke2, Ke3, Ke4};
        let is = |one| self.symptom == one;
        let about_event = is(Ke3) || is(All) && self.event.is_some();
        let table = [
            (self.subject.is_some(), !is(Fleet), "A user", "every symptom but fleet"),
            (self.device.is_some(), !(is(Ke3) || is(Ke4)), "A device", "ke1, ke2 and all"),
            (self.sender.is_some(), is(Ke2), "--sender", "ke2"),
            (self.live.is_some(), is(Ke2), "--live", "ke2"),
            (self.event.is_some(), is(All), "--event", "all"),
            (
                self.client_says.is_some(),
                about_event,
                "--client-says",
                "ke3, and for all with --event",
            ),
        ];
        match table.iter().find(|(given, fits, ..)| *given && !fits) {
            Some((.., what, whose)) => {
                Err(slip(format!("{what} is for {whose}: leave it out here.")))
            }
            None => Ok(()),
        }
    }

    /// What the client's files say. Either flag takes any kind: the content tells.
    pub(super) fn client(&self) -> Result<Vec<Gathered>, Slip> {
        let mut told = Vec::new();
        for file in self.report.iter().chain(&self.har) {
            told.extend(client_file(file)?);
        }
        Ok(told)
    }
}

fn client_file(file: &Path) -> Result<Vec<Gathered>, Slip> {
    let parcel = taken(file, &file_limits())?;
    let shown = file.display();
    for note in &parcel.notes {
        eprintln!("kestrel: {shown}: {note}");
    }
    let name = file.file_name().map_or("report".into(), |name| name.to_string_lossy());
    let single = parcel.artefacts.len() == 1;
    let told = parcel.artefacts.into_iter().map(|artefact| {
        if single {
            return Gathered::client(&name, artefact.facts);
        }
        Gathered::client(&format!("{name}:{}", artefact.name), artefact.facts)
    });
    Ok(told.collect())
}
