//! The lines of one file, in order → the lines as the program wrote them.

use super::peeled::Peeled;
use super::pieces::Pieces;
use super::wrapping::Wrappings;

/// One line as the program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried<'a> {
    pub text: &'a [u8],
    /// Which process wrote it; empty where the carrier does not say.
    pub name: &'a [u8],
    /// When the carrier took it, in milliseconds UTC.
    pub at: Option<i64>,
    /// Syslog's severity, 0 to 7.
    pub severity: Option<u8>,
    /// The program gave it to the carrier as one record: no newline in it begins another.
    pub record: bool,
    /// The carrier did not show the line's text.
    pub lost: bool,
}

impl<'a> Carried<'a> {
    /// A line that nothing is around.
    pub fn plain(text: &'a [u8]) -> Self {
        Self { text, name: b"", at: None, severity: None, record: false, lost: false }
    }

    fn of(peeled: &'a Peeled<'_>) -> Self {
        Self {
            text: &peeled.text,
            name: &peeled.name,
            at: peeled.at,
            severity: peeled.severity,
            record: peeled.record,
            lost: peeled.lost,
        }
    }
}

/// Takes the wrapping off the lines of a file.
#[derive(Debug, Clone, Default)]
pub struct Unwrapper {
    wrappings: Wrappings,
    pieces: Pieces,
}

impl Unwrapper {
    /// For a file that is wrapped so.
    pub fn new(wrappings: Wrappings) -> Self {
        Self { wrappings, pieces: Pieces::default() }
    }

    /// No line is wrapped.
    pub fn is_plain(&self) -> bool {
        self.wrappings.is_plain()
    }

    /// One physical line → the lines in it: none where its end has not come, several where an entry has newlines
    /// and is no single record. A
    /// line in no known wrapping stays as it is.
    pub fn line(&mut self, line: &[u8], mut each: impl FnMut(Carried<'_>)) {
        let Some(peeled) = self.wrappings.peel(line) else { return each(Carried::plain(line)) };
        let Some(whole) = self.pieces.join(peeled) else { return };
        let carried = Carried::of(&whole);
        if carried.record {
            return each(carried);
        }
        whole.text.split(|byte| *byte == b'\n').for_each(|text| each(Carried { text, ..carried }));
    }

    /// The line alone, without what was before it: the first of the lines in it.
    pub fn first<T>(wrappings: &Wrappings, line: &[u8], read: impl FnOnce(Carried<'_>) -> T) -> T {
        match wrappings.peel(line) {
            None => read(Carried::plain(line)),
            Some(peeled) => {
                let carried = Carried::of(&peeled);
                let end = memchr::memchr(b'\n', carried.text).filter(|_| !carried.record);
                let text = &carried.text[..end.unwrap_or(carried.text.len())];
                read(Carried { text, ..carried })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these tests take for a record.
    fn is_record(line: &[u8]) -> bool {
        line.starts_with(b"REC ")
    }

    fn known(lines: &[&str]) -> Wrappings {
        let mut wrappings = Wrappings::default();
        for line in lines {
            assert!(wrappings.learn(line.as_bytes(), &is_record), "{line}");
        }
        wrappings
    }

    /// Name, moment and text of each line.
    fn unwrapped(lines: &[&str]) -> Vec<(String, Option<i64>, String)> {
        let mut unwrapper = Unwrapper::new(known(&lines[..1]));
        let mut all = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for line in lines {
            unwrapper
                .line(line.as_bytes(), |one| all.push((text(one.name), one.at, text(one.text))));
        }
        all
    }

    #[test]
    fn each_wrapping_comes_off() {
        let at = Some(1_795_347_429_246);
        for (line, name, at) in [
            ("REC a", "", None),
            ("> REC a", "", None),
            ("\u{1b}[1;32mREC a\u{1b}[0m", "", None),
            ("synapse-1   | REC a", "synapse-1", None),
            ("synapse-1 | synapse_main | REC a", "synapse-1/synapse_main", None),
            ("[pod/ess-main-0/synapse] REC a", "ess-main-0/synapse", None),
            ("2026-11-22T11:37:09.246000417Z REC a", "", at),
            ("2026-11-22T11:37:09.246000417+00:00 stderr F REC a", "", at),
            ("2026-11-22T11:37:09.246Z\tstderr\tREC a", "", at),
            ("Nov 22 11:37:09 host matrix-synapse[812]: REC a", "matrix-synapse[812]", None),
            ("Nov  2 11:37:09 host synapse: REC a", "synapse", None),
            ("<30>Nov 22 11:37:09 host synapse[1]: REC a", "synapse[1]", None),
            ("2026-11-22T11:37:09.246000+0000 host synapse[1]: REC a", "synapse[1]", at),
            ("Sun 2026-11-22 11:37:09 UTC host synapse[1]: REC a", "synapse[1]", None),
            ("1795347429.246700 host synapse[1]: REC a", "synapse[1]", None),
            ("<30>1 2026-11-22T11:37:09.246Z host synapse 812 - - REC a", "synapse[812]", at),
            (
                "1 2026-11-22T11:37:09.246Z host synapse 812 ID [a@1 b=\"\\\"] \"][c] REC a",
                "synapse[812]",
                at,
            ),
            (
                r#"{"log":"REC a\n","stream":"stderr","time":"2026-11-22T11:37:09.246000417Z"}"#,
                "",
                at,
            ),
            (
                r#"{"MESSAGE":"REC a","__REALTIME_TIMESTAMP":"1795347429246700","_PID":"8","_SYSTEMD_UNIT":"m.service"}"#,
                "m.service[8]",
                at,
            ),
            (
                r#"{"labels":{"job":"synapse","level":"info"},"line":"REC a","timestamp":"2026-11-22T11:37:09.246Z"}"#,
                "job=synapse",
                at,
            ),
            ("> synapse-1  | 2026-11-22T11:37:09.246Z REC a", "synapse-1", at),
        ] {
            assert_eq!(unwrapped(&[line]), [(name.into(), at, "REC a".into())], "{line}");
        }
    }

    #[test]
    fn what_is_no_wrapping_stays() {
        for line in ["> a", "synapse-1 | a", "{\"log\":\"REC a\"}", "Nov 22 REC a", "REC", ""] {
            let mut wrappings = Wrappings::default();
            assert!(!wrappings.learn(line.as_bytes(), &is_record), "{line}");
            assert!(wrappings.is_plain());
        }
        // In a wrapped file, a line that is not wrapped is passed on whole.
        let all = unwrapped(&["synapse-1 | REC a", "Attaching to synapse-1"]);
        assert_eq!(all[1].2, "Attaching to synapse-1");
    }

    #[test]
    fn pieces_are_joined_by_stream() {
        let time = "2026-11-22T11:37:09.246Z";
        let lines = [
            format!("{time} stdout F REC a"),
            format!("{time} stdout P REC b"),
            format!("{time} stderr F other"),
            format!("{time} stdout P cd"),
            format!("{time} stdout F ef"),
        ];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let texts: Vec<_> = unwrapped(&lines).into_iter().map(|one| one.2).collect();
        assert_eq!(texts, ["REC a", "other", "REC bcdef"]);
    }

    #[test]
    fn what_the_journal_does_not_show_is_lost() {
        let at = r#""__REALTIME_TIMESTAMP":"1795347429246700""#;
        let first = format!(r#"{{"MESSAGE":"REC a","_TRANSPORT":"journal",{at}}}"#);
        let mut unwrapper = Unwrapper::new(known(&[&first]));
        let mut seen = Vec::new();
        for line in [
            format!(r#"{{"MESSAGE":null,{at}}}"#),
            format!(r#"{{"MESSAGE":[82,69,67,32,27],{at}}}"#),
            format!(r#"{{"MESSAGE":"REC b\nREC c","_TRANSPORT":"journal",{at}}}"#),
            format!(r#"{{"MESSAGE":"REC b\nREC c","_TRANSPORT":"stdout",{at}}}"#),
        ] {
            unwrapper.line(line.as_bytes(), |one| seen.push((one.text.to_vec(), one.lost)));
        }
        let expected: [(&[u8], bool); 5] = [
            (b"", true),
            (b"REC \x1b", false),
            (b"REC b\nREC c", false),
            (b"REC b", false),
            (b"REC c", false),
        ];
        let expected = expected.map(|(text, lost)| (text.to_vec(), lost));
        assert_eq!(seen, expected);
        let short = known(&["Nov 22 11:37:09 host synapse[1]: REC a"]);
        let mut unwrapper = Unwrapper::new(short);
        unwrapper
            .line(b"Nov 22 11:37:09 host synapse[1]: [17B blob data]", |one| assert!(one.lost));
        unwrapper.line(b"Nov 22 11:37:09 host synapse[1]: [B blob data]", |one| assert!(!one.lost));
    }

    #[test]
    fn hostile_lines_never_panic() {
        let seeds = [
            "> synapse-1  | 2026-11-22T11:37:09.246Z stderr P REC a",
            "<30>1 2026-11-22T11:37:09.246Z h a 8 I [a@1 b=\"\\\"] \"] REC a",
            "Sun 2026-11-22 11:37:09 UTC host synapse[1]: [17B blob data]",
            "@400000006a0b8d55ffffffff REC a\u{1b}[31",
            r#"{"log":"REC \u0000a\n","stream":"stderr","time":"2026-11-22T11:37:09.246000417Z"}"#,
            r#"{"MESSAGE":[1,300,null],"__REALTIME_TIMESTAMP":"99999999999999999999"}"#,
        ];
        let mut state = 5_u64;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % most
        };
        for _ in 0..20_000 {
            let mut line = seeds[below(seeds.len())].as_bytes().to_vec();
            for _ in 0..below(4) {
                let at = below(line.len());
                line[at] = b" :|[]{}<>\"\\\x1b\xff09TZ"[below(17)];
            }
            line.truncate(below(line.len() + 1) + line.len() / 2);
            let mut wrappings = Wrappings::default();
            wrappings.learn(&line, &|text| text.contains(&b'R'));
            let mut unwrapper = Unwrapper::new(wrappings);
            unwrapper.line(&line, |_| {});
            for layer in crate::carriers::layer::Layer::ALL {
                drop(layer.peel(&line));
            }
        }
    }
}
