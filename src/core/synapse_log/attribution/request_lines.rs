//! Lines of a request → the request that they belong to, if it may concern the subject.

use crate::evidence::Subject;
use crate::synapse_log::forgery::{EPOCH, ForgeryWatch, LinePlace, number};
use crate::synapse_log::key_tally::Tally;
use crate::synapse_log::message::{Access, Message, Refusal, Upload};
use crate::synapse_log::process::{Loose, Process};
use crate::synapse_log::record::Stamp;
use crate::synapse_log::request::{Seen, is_of, keep};
use crate::synapse_log::zone::Clock;

/// Whether a line is under the ID of another request: Synapse's IDs begin with the request's method, and an access line is
/// of a request. With the context filter on the handler behind a buffer, a line gets the ID of the request that
/// emptied the buffer, or none.
pub(super) fn is_moved(message: &Message, id: &str) -> bool {
    let method = match message {
        Message::Access(access) => access.method.as_str(),
        Message::Refused(_) | Message::TooLarge => "POST",
        _ => return false,
    };
    let of = id.split_once('-').filter(|_| number(id.as_bytes()).is_some()).map(|(of, _)| of);
    id == "sentinel" || of.is_some_and(|of| of != method)
}

/// An upload's line has its moment twice: as text, and in milliseconds since 1970.
pub(super) fn date(
    upload: &Upload,
    stamp: Stamp,
    (clock, tally, watch): (&mut Clock, &mut Tally, &mut ForgeryWatch),
    place: LinePlace,
    reach: bool,
) {
    if is_of(upload, &tally.subject) {
        tally.log.dates(upload.at);
    }
    if !clock.epoch(stamp, upload.at, !reach) {
        watch.mark(place.line, place.line, EPOCH);
    }
}

/// Puts what a line says to its request, under this ID, which may be another request's; false where no ID ties a rejection
/// to an upload.
pub(super) fn put(
    process: &mut Process,
    tally: &mut Tally,
    message: Message,
    (id, moved): (&str, bool),
    seen: Seen<()>,
) -> bool {
    match message {
        Message::Adding(upload) => adding(process, id, seen.with(upload)),
        Message::DeviceKeys(upload) => device_keys(process, id, seen.with(upload)),
        Message::Refused(refusal) if moved => refused_somewhere(tally, *refusal, seen.at),
        Message::Refused(refusal) => return refused(process, tally, *refusal, id, seen),
        Message::TooLarge => {
            if let Some(request) = process.known(id) {
                keep(&mut request.too_large, seen);
            }
        }
        Message::Access(access) => ended(process, &tally.subject, access, id, seen),
        Message::Claimed(ids) if !ids.is_empty() => {
            process.loose(seen.with(Loose::Claims(ids)), id);
        }
        Message::SharedSync => process.loose(seen.with(Loose::SharedSync), id),
        Message::Removed(removed) if removed.concerns(&tally.subject) => {
            process.loose(seen.with(Loose::Removed(removed.by)), id);
        }
        _ => {}
    }
    true
}

/// An upload begins.
fn adding(process: &mut Process, id: &str, line: Seen<Upload>) {
    if let Some(request) = process.request(id, line.place, line.at) {
        keep(&mut request.adding, line);
    }
}

/// Device keys come with it.
fn device_keys(process: &mut Process, id: &str, line: Seen<Upload>) {
    if let Some(request) = process.request(id, line.place, line.at) {
        keep(&mut request.device_keys, line);
    }
}

/// A rejected upload; false where no request ID ties the line to an upload.
fn refused(
    process: &mut Process,
    tally: &mut Tally,
    refusal: Refusal,
    id: &str,
    seen: Seen<()>,
) -> bool {
    let names = refusal.names(&tally.subject);
    let subject = &tally.subject;
    let own = process
        .known(id)
        .is_some_and(|request| request.adding.iter().any(|line| is_of(&line.what, subject)));
    if !names && !own {
        return true;
    }
    let Some(conflict) = tally.conflict(refusal, names, own) else {
        return true;
    };
    if id.is_empty() {
        // Google's JSON format writes no request id: nothing ties the line to an upload.
        tally.untied(conflict, seen.at);
        return false;
    }
    if let Some(request) = process.request(id, seen.place, seen.at) {
        keep(&mut request.refused, seen.with(conflict));
    }
    true
}

/// A rejected upload under the ID of another request: only the database can say whose it was.
fn refused_somewhere(tally: &mut Tally, refusal: Refusal, at: i64) {
    if refusal.names(&tally.subject)
        && let Some(conflict) = tally.conflict(refusal, true, false)
    {
        tally.untied(conflict, at);
    }
}

/// The end of a request.
fn ended(process: &mut Process, subject: &Subject, access: Access, id: &str, seen: Seen<()>) {
    let own = access.user.as_deref() == Some(subject.user.as_str());
    if access.is_client_start() && own {
        process.loose(seen.with(Loose::ClientStart), id);
    }
    let Some(request) = process.known(id) else { return };
    keep(&mut request.access, seen.with(access));
    if !request.concerns(subject) {
        process.forget(id);
    }
}
