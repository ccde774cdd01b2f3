//! A log's folder → when to look again. Never tells what happened: the reader looks for itself, because
//! a watch misses what another machine writes, and a folder may be mounted anew.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

/// Looked at this often even if nothing wakes.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// After a look nothing wakes for so long: a busy log is read in large pieces.
const REST: Duration = Duration::from_millis(200);

/// What wakes one log's reader.
#[derive(Debug)]
pub struct FolderWatch {
    folder: PathBuf,
    /// None where the system gives no watch: then looking often has to do.
    inotify: Option<OwnedFd>,
}

impl FolderWatch {
    /// For a log.
    pub fn new(log: &Path) -> Self {
        let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        Self { folder, inotify: init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok() }
    }

    /// Returns when something may have happened, and at most half a second later.
    pub fn wait(&self) {
        std::thread::sleep(REST);
        let Some(inotify) = &self.inotify else {
            return std::thread::sleep(REST);
        };
        let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE;
        // LogQuestion for each time: the folder of before may be gone, and a second watch of one is the same.
        if add_watch(inotify, &self.folder, what).is_err() {
            return std::thread::sleep(REST);
        }
        let mut events = [0u8; 4096];
        let _ = poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&POLL));
        while rustix::io::read(inotify, &mut events).is_ok_and(|read| read == events.len()) {}
    }
}
