//! Reads a secret from a file. It rejects a file that everyone on the machine can read, and never repeats the
//! content.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::section::Section;

/// More than any password or URL, so that naming a log file by mistake is noticed at once.
const LARGEST: u64 = 16 * 1024;

/// The single line of the file, without its line break. A problem is the second half of a sentence.
///
/// Only the permission bits for others are checked: group access is how service accounts and systemd's
/// credentials (mode 0440) work, and the choice of the group is the admin's.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if !about.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if about.permissions().mode() & 0o007 != 0 {
        return Err(format!(
            "{shown} can be read by everyone on this machine; run: chmod o= {shown}"
        ));
    }
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(cannot)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    if secret.contains(['\r', '\n']) || text.len() as u64 > LARGEST {
        return Err(format!("{shown} has more than one line"));
    }
    Ok(secret.to_owned())
}

/// The secret from the file in this key.
pub(super) fn from_file(key: &str, base: &Path, section: &mut Section<'_, '_>) -> Option<String> {
    let path: PathBuf = base.join(section.text(key)?);
    match read(&path) {
        Ok(secret) => Some(secret),
        Err(says) => {
            section.problem(key, says);
            None
        }
    }
}
