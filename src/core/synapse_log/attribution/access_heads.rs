//! The head of an access line → its request's ID and its level, quickly: nearly every line of a log is one, and they
//! differ behind the level only.

use crate::synapse_log::forgery::number;
use crate::synapse_log::record::{STAMP, access_request};
use crate::synapse_log::visibility::head::Head;

/// A longer head is not remembered.
const LONGEST: usize = 96;

/// The head of the newest access line.
#[derive(Debug, Default)]
pub(super) struct AccessHeads {
    /// ` - synapse.access.http.8008 - 643 - INFO - `
    newest: Vec<u8>,
    head: Option<Head>,
}

/// What the head of an access line says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) request: &'a [u8],
    pub(super) head: Option<Head>,
}

impl AccessHeads {
    /// Of a text record behind a prefix of so many bytes; none where it is no access line.
    pub(super) fn read<'a>(&mut self, line: &'a [u8], prefix: usize) -> Option<Ended<'a>> {
        let rest = &line[prefix + STAMP..];
        if let Some(behind) =
            rest.strip_prefix(&self.newest[..]).filter(|_| !self.newest.is_empty())
            && let Some(request) = plain_request(behind)
        {
            return Some(Ended { request, head: self.head });
        }
        let request = access_request(line, prefix)?;
        let head = Head::text(line, prefix);
        let length = request.as_ptr() as usize - rest.as_ptr() as usize;
        if length <= LONGEST && plain_request(&rest[length..]) == Some(request) {
            self.newest.clear();
            self.newest.extend_from_slice(&rest[..length]);
            self.head = head;
        }
        Some(Ended { request, head })
    }
}

/// `METHOD-n` in front of ` - ` or `- `. Where a `request_id_header` is set, it may be any text.
fn plain_request(behind: &[u8]) -> Option<&[u8]> {
    let space = behind.iter().take(40).position(|byte| *byte == b' ')?;
    let word = &behind[..space];
    if let Some(request) = word.strip_suffix(b"-") {
        return number(request).map(|_| request);
    }
    let is_behind = behind[space + 1..].starts_with(b"- ");
    number(word).filter(|_| is_behind).map(|_| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_without_memory() {
        let lines = [
            "2026-11-22 11:54:43,282 - synapse.access.http.8128 - 643 - INFO - POST-122 - 127.0.0.1 - 8128 - {None}",
            "2026-11-22 11:54:43,282 - synapse.access.http.8128 - 643 - INFO - POST-122- 127.0.0.1 - 8128 - {None}",
            "2026-11-22 11:54:43,282 - synapse.access.http.8128 - INFO - GET-1 - 127.0.0.1 - 8128 - {None} x",
        ];
        let mut state = 9_u64;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % most
        };
        let mut heads = AccessHeads::default();
        for _ in 0..100_000 {
            let mut line = lines[below(lines.len())].as_bytes().to_vec();
            for _ in 0..below(3) {
                let at = STAMP + below(line.len() - STAMP);
                match below(3) {
                    0 => line.truncate(at.max(STAMP + 2)),
                    1 => line.insert(at, b"- x"[below(3)]),
                    _ => line[at] = b"- \xff1"[below(4)],
                }
            }
            let ended = heads.read(&line, 0);
            let shown = String::from_utf8_lossy(&line).into_owned();
            assert_eq!(ended.map(|ended| ended.request), access_request(&line, 0), "{shown}");
            if let Some(ended) = ended {
                assert_eq!(ended.head, Head::text(&line, 0), "{shown}");
            }
        }
    }
}
