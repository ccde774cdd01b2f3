//! Lines of a request → the request that they belong to, if it may concern the subject.

use crate::evidence::Subject;
use crate::synapse_log::forgery::{EPOCH, ForgeryWatch, LinePlace};
use crate::synapse_log::key_tally::Tally;
use crate::synapse_log::message::{Access, Refusal, Upload};
use crate::synapse_log::process::{Loose, Process};
use crate::synapse_log::record::Stamp;
use crate::synapse_log::request::{Seen, is_of, keep};
use crate::synapse_log::zone::Clock;

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

/// An upload begins.
pub(super) fn adding(process: &mut Process, id: &str, line: Seen<Upload>) {
    if let Some(request) = process.request(id, line.place, line.at) {
        keep(&mut request.adding, line);
    }
}

/// Device keys come with it.
pub(super) fn device_keys(process: &mut Process, id: &str, line: Seen<Upload>) {
    if let Some(request) = process.request(id, line.place, line.at) {
        keep(&mut request.device_keys, line);
    }
}

/// A rejected upload; false where no request ID ties the line to an upload.
pub(super) fn refused(
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

/// The end of a request.
pub(super) fn access(
    process: &mut Process,
    subject: &Subject,
    access: Access,
    id: &str,
    seen: Seen<()>,
) {
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
