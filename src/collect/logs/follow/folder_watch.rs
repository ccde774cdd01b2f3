//! Waits until a log may have changed. It never says what happened: the reader checks for itself, because
//! inotify misses writes from other machines, and a folder may be mounted again.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

/// The log is checked at least this often.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// The shortest pause after a check: a busy log is read in large pieces.
const REST: Duration = Duration::from_millis(200);

/// Wakes the reader of one log.
#[derive(Debug)]
pub struct FolderWatch {
    folder: PathBuf,
    /// `None` if the system has no inotify; then frequent checks have to do.
    inotify: Option<OwnedFd>,
}

impl FolderWatch {
    /// For a log.
    pub fn new(log: &Path) -> Self {
        let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        Self { folder, inotify: init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok() }
    }

    /// Returns when something may have changed, after half a second at most.
    pub fn wait(&self) {
        std::thread::sleep(REST);
        let Some(inotify) = &self.inotify else {
            return std::thread::sleep(REST);
        };
        let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE;
        // Added again each time: the folder may have been replaced, and adding the same watch twice is harmless.
        if add_watch(inotify, &self.folder, what).is_err() {
            return std::thread::sleep(REST);
        }
        let mut events = [0u8; 4096];
        let _ = poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&POLL));
        while rustix::io::read(inotify, &mut events).is_ok_and(|read| read == events.len()) {}
    }
}
