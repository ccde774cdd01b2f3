//! A file that holds one secret → its text. Refuses a file that everyone on the machine can read, and
//! never repeats what is in it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::section::Section;

/// More than any password or URL: whoever names a log file here by mistake is told so at once.
const LARGEST: u64 = 16 * 1024;

/// The one line of the file, without its line break. A problem comes as a sentence's second half.
///
/// Only the "others" bits are refused: a group that can read is how a service account and systemd's
/// credentials (mode 0440) are meant to work, and it is then the admin's choice of group.
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

/// The secret in the file that a key names.
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
