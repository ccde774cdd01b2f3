//! Packs the files of a capture into a zip and reads it again. They are in one folder with a manifest of
//! their hashes. Reading has limits, because someone may have forged the file.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use anyhow::{Context, Result};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use kestrel_core::capture::{MANIFEST, Manifest};

/// The largest packed size of a bundle.
pub const LARGEST: usize = 24 << 20;
/// The limits when reading one: more than is ever packed.
const PACKED: usize = 64 << 20;
const UNPACKED: u64 = 256 << 20;
const FILES: usize = 1000;
const NAME: usize = 200;

/// A bundle that matches its manifest.
#[derive(Debug)]
pub struct Bundle {
    pub manifest: Manifest,
    /// By name inside the folder, without the manifest.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Packs files into a folder of a zip. The same files always give the same bytes.
pub fn pack(folder: &str, files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o600);
    for (name, content) in files {
        zip.start_file(format!("{folder}/{name}"), options)
            .and_then(|()| zip.write_all(content).map_err(ZipError::Io))
            .with_context(|| format!("{name} cannot be packed"))?;
    }
    Ok(zip.finish().context("the bundle cannot be packed")?.into_inner())
}

/// Whether these bytes are a zip at all.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Reads a bundle and checks every file against the manifest. The error is a sentence.
pub fn unpack(bytes: &[u8]) -> Result<Bundle, String> {
    if bytes.len() > PACKED {
        return Err(format!("it is larger than {} MiB", PACKED >> 20));
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
        "it is not a complete zip file: it was truncated, or is another kind of file".to_owned()
    })?;
    if zip.len() > FILES {
        return Err(format!("it has more than {FILES} files"));
    }
    let mut files = BTreeMap::new();
    let mut folder = None;
    let mut left = UNPACKED;
    for at in 0..zip.len() {
        let broken =
            |_: ZipError| "a file in it cannot be read: it was changed or truncated".to_owned();
        let mut file = zip.by_index(at).map_err(broken)?;
        let (own, name) = named(&file.name().map_err(broken)?)?;
        if *folder.get_or_insert_with(|| own.clone()) != own {
            return Err("it has more than one folder".into());
        }
        let mut content = Vec::new();
        let read = file.by_ref().take(left + 1).read_to_end(&mut content);
        read.map_err(|_| format!("{name} in it cannot be read: it was changed or truncated"))?;
        left = left
            .checked_sub(content.len() as u64)
            .ok_or_else(|| format!("it unpacks to more than {} MiB", UNPACKED >> 20))?;
        if files.insert(name.clone(), content).is_some() {
            return Err(format!("it has {name} twice"));
        }
    }
    let manifest = files.remove(MANIFEST).ok_or(format!("it has no {MANIFEST}"))?;
    let manifest = String::from_utf8(manifest).map_err(|_| format!("{MANIFEST} is not text"))?;
    let manifest = Manifest::read(&manifest)?;
    files.iter().try_for_each(|(name, content)| manifest.check(name, content))?;
    match manifest.files.iter().find(|listed| !files.contains_key(&listed.name)) {
        Some(gone) => Err(format!("{} is listed in {MANIFEST} but missing", shown(&gone.name))),
        None => Ok(Bundle { manifest, files }),
    }
}

/// The folder and the name of a file; only plain names are accepted.
fn named(path: &str) -> Result<(String, String), String> {
    let plain = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(fits)
    };
    let (folder, name) = path.split_once('/').unwrap_or(("", path));
    if path.len() > NAME || !plain(folder) || !name.split('/').all(plain) {
        return Err(format!("it has a file name that bundles never use: {}", shown(path)));
    }
    Ok((folder.to_owned(), name.to_owned()))
}

fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};
    use kestrel_core::capture::{BundledFile, CaptureRequest, Input, Session, folder_name};
    use ruma::user_id;

    fn files() -> Vec<(String, Vec<u8>)> {
        let now = Timestamp::from_second(1_763_820_000).unwrap();
        let user = user_id!("@a:example.org").to_owned();
        let length = SignedDuration::from_mins(30);
        let asked = CaptureRequest { user: user.clone(), device: None, by: user.clone(), length };
        let (mut session, _) = Session::begin(asked, now);
        session.take(Input::Stopped { by: user }, now);
        let mut files = vec![
            ("evidence.json".to_owned(), b"{}".to_vec()),
            ("log/main.log".to_owned(), b"a line\n".repeat(1000)),
        ];
        let listed =
            files.iter().map(|(name, content)| BundledFile::from_content(name, content)).collect();
        let manifest = Manifest::for_session(&session, "0.1.0", listed).unwrap();
        files.push((MANIFEST.to_owned(), serde_json::to_vec(&manifest).unwrap()));
        files
    }

    fn folder() -> String {
        folder_name(Timestamp::from_second(1_763_820_000).unwrap())
    }

    #[test]
    fn what_was_packed_comes_out_and_the_same_files_are_the_same_bytes() {
        let bytes = pack(&folder(), &files()).unwrap();
        assert_eq!(bytes, pack(&folder(), &files()).unwrap());
        assert!(is_zip(&bytes));
        let bundle = unpack(&bytes).unwrap();
        assert_eq!(bundle.files["evidence.json"], b"{}");
        assert_eq!(bundle.files["log/main.log"].len(), 7000);
        assert_eq!(bundle.manifest.user, "@a:example.org");
    }

    #[test]
    fn a_bundle_that_was_changed_is_told() {
        let with = |change: fn(&mut Vec<(String, Vec<u8>)>)| {
            let mut files = files();
            change(&mut files);
            unpack(&pack(&folder(), &files).unwrap()).unwrap_err()
        };
        assert!(with(|files| files[0].1.push(b' ')).contains("changed or truncated"));
        assert!(with(|files| drop(files.remove(0))).contains("but missing"));
        assert!(with(|files| drop(files.pop())).contains("has no manifest.json"));
        assert!(with(|files| files.push(("x".into(), Vec::new()))).contains("not listed"));
        assert!(with(|files| files[2].1 = b"{".to_vec()).contains("not a bundle's manifest"));
        let bytes = pack(&folder(), &files()).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            assert!(unpack(&bytes[..at]).is_err(), "cut at {at}");
            let mut bent = bytes.clone();
            bent[at] ^= 0x55;
            // A bent byte that means nothing is no harm; what is read is what was packed.
            if let Ok(bundle) = unpack(&bent) {
                assert_eq!(bundle.files["evidence.json"], b"{}");
            }
        }
    }

    #[test]
    fn hostile_zips_get_one_sentence() {
        for name in ["../x", "a/../x", "/etc/passwd", "a", "a//b", "a/.b", "a\\b/c", "a/b\u{202e}"]
        {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            let bytes = zip.finish().unwrap().into_inner();
            assert!(
                unpack(&bytes).unwrap_err().contains("a file name that bundles never use"),
                "{name}"
            );
        }
        let bomb = pack("a", &[("zeros".into(), vec![0; (UNPACKED + 1) as usize])]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(unpack(&bomb).unwrap_err().contains("unpacks to more than 256 MiB"));
        let many: Vec<_> = (0..=FILES).map(|at| (format!("f{at}"), Vec::new())).collect();
        assert!(unpack(&pack("a", &many).unwrap()).unwrap_err().contains("more than 1000 files"));
        for bytes in [&b""[..], b"PK\x03\x04", b"not a zip at all", &[0; 4096]] {
            assert!(unpack(bytes).is_err());
        }
        let two = pack("a", &[("b".into(), Vec::new())]).unwrap();
        assert!(unpack(&two).unwrap_err().contains("has no manifest.json"));
    }
}
