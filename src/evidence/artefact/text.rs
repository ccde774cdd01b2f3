//! Bytes → text, whatever the editor that saved it; what is no text gets a sentence.

/// Reads UTF-8 and UTF-16, with or without a mark; lines end as they like.
pub(super) fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Ok(utf16(&bytes));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(format!(
            "it is {what}: send the report, the HAR file or the log itself, or a zip of them"
        ));
    }
    if bytes.contains(&0) {
        return Err(NO_TEXT.into());
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(torn) if is_noise(torn.as_bytes()) => return Err(NO_TEXT.into()),
        Err(torn) => String::from_utf8_lossy(torn.as_bytes()).into_owned(),
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    match text.trim().is_empty() {
        true => Err("it is empty".into()),
        false => Ok(text),
    }
}

const NO_TEXT: &str = "it is no text: I read reports, HAR files and logs";

/// Another encoding's letters are few among ASCII; each takes three bytes when it is replaced.
fn is_noise(bytes: &[u8]) -> bool {
    let foreign: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    foreign > bytes.len() / 4
}

fn utf16(bytes: &[u8]) -> String {
    let little = bytes.starts_with(b"\xff\xfe");
    let units = bytes[2..].chunks_exact(2).map(|pair| match little {
        true => u16::from_le_bytes([pair[0], pair[1]]),
        false => u16::from_be_bytes([pair[0], pair[1]]),
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// How files begin that people send in place of a log.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture or a sound"),
    (b"%PDF", "a PDF"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
];
