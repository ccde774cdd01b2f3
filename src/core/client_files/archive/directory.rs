//! A received archive → the list of its files, without loading them: the headers of a zip, and the files of a tar.
//! A tar has no list of its files, so it is read once to make one.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use zip::result::ZipError;

use crate::client_files::archive::marks::{Source, head, is_gzip, is_tar};
use crate::client_files::archive::series::Member;

/// The most files of a tar that are listed.
const MEMBERS: usize = 4096;
/// Bytes that are read at a time.
const PIECE: usize = 8 << 10;

/// How many central headers a zip may have, and their bytes: their mark may be anywhere.
pub(crate) fn headers(source: &mut dyn Source) -> io::Result<(usize, usize)> {
    const MARK: &[u8] = b"PK\x01\x02";
    const FIXED: usize = 46;
    source.rewind()?;
    let mut headers = 0;
    let mut bytes = 0;
    let mut piece = vec![0; 64 << 10];
    let mut held = 0;
    loop {
        let read = source.read(&mut piece[held..])?;
        let text = &piece[..held + read];
        // The last ones may continue in the next piece.
        let end = if read == 0 { text.len() } else { text.len().saturating_sub(FIXED - 1) };
        for at in memchr::memmem::find_iter(text, MARK).take_while(|at| *at < end) {
            let length = |from: usize| {
                let pair = text.get(at + from..at + from + 2);
                pair.map_or(0, |pair| usize::from(u16::from_le_bytes([pair[0], pair[1]])))
            };
            headers += 1;
            bytes += FIXED + length(28) + length(30) + length(32);
        }
        if read == 0 {
            source.rewind()?;
            return Ok((headers, bytes));
        }
        held = text.len() - end;
        piece.copy_within(end..end + held, 0);
    }
}

/// The files of a tar, compressed or not, as far as they are in its first bytes; none if it is not a tar.
pub(crate) fn tar_members(source: &mut dyn Source, bytes: usize) -> Option<Vec<Member>> {
    let packed = is_gzip(&head(source).ok()?);
    source.rewind().ok()?;
    let mut unpacked: Box<dyn Read + '_> =
        if packed { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) };
    let start = head(&mut unpacked).ok()?;
    if !is_tar(&start) {
        return None;
    }
    // Unpacking takes time; a tar that is not compressed is not longer than what was received.
    let most = if packed { bytes as u64 } else { u64::MAX };
    let mut archive = tar::Archive::new(io::Cursor::new(start).chain(unpacked).take(most));
    let mut members = Vec::new();
    // In the order in which it is read afterwards: links and long names count as files.
    for (place, entry) in archive.entries().ok()?.raw(true).enumerate() {
        let Ok(mut entry) = entry else { break };
        if members.len() >= MEMBERS {
            break;
        }
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = unpacked_size(&mut entry).max(entry.size());
            members.push(Member::new(place, &name, size));
        }
    }
    Some(members)
}

/// The unpacked size that a gzip file states in its last four bytes; 0 for any other file.
fn unpacked_size(file: &mut dyn Read) -> u64 {
    let mut piece = vec![0; PIECE];
    let mut tail = [0; 4];
    let mut begun = false;
    loop {
        let read = match file.read(&mut piece) {
            Ok(read @ 1..) => read,
            Ok(0) | Err(_) => return if begun { u32::from_le_bytes(tail).into() } else { 0 },
        };
        if !begun && !is_gzip(&piece[..read]) {
            return 0;
        }
        begun = true;
        let end: Vec<u8> = tail.iter().chain(&piece[..read]).copied().collect();
        tail = [0, 1, 2, 3].map(|at| end[end.len() - 4 + at]);
    }
}

/// Why a file of a zip was not read, for people.
pub(crate) fn zip_words(why: &ZipError) -> &'static str {
    match why {
        ZipError::InvalidPassword => "a file in the zip is protected by a password",
        ZipError::UnsupportedArchive(what) if *what == ZipError::PASSWORD_REQUIRED => {
            "a file in the zip is protected by a password"
        }
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            "a file in the zip uses an unsupported compression method"
        }
        _ => "a file in the zip is truncated or damaged",
    }
}
