//! The private directory of the notify sockets, and what an endless that was killed has left of its own.
//!
//! It is locked (flock(2)) for as long as its endless lives. A pid would not tell: another program may have it by now, and
//! where containers share a directory for temporary files it means nothing in the others.

use super::notify::{NotifySocket, without_umask};
use super::pid_file::Locked;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Entered by everybody, because a copy may run as somebody else, and listed by nobody.
const MODE: u32 = 0o711;
/// A longer path leaves no room, in the 107 bytes of a socket's path, for the names below it.
const LONGEST: usize = 70;
/// So many names are tried in one place: somebody else may have the first.
const NAMES: u32 = 20;

/// The directory; removed with everything in it at the end.
#[derive(Debug, Serialize, Deserialize)]
pub struct NotifyDir {
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    /// None where a directory cannot be locked.
    #[serde(default)]
    _lock: Option<Locked>,
    #[serde(skip)]
    swept: bool,
}

impl NotifyDir {
    /// Makes it in XDG_RUNTIME_DIR, /run or the directory for temporary files, the first that can be written and is short
    /// enough. Copies that run as somebody else (`strangers`) could not enter XDG_RUNTIME_DIR, which is its owner's alone.
    ///
    /// # Errors
    /// The last reason, when none of them can be written.
    pub fn make(strangers: bool) -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !strangers).map(PathBuf::from);
        let runtime = runtime.filter(|path| path.is_absolute());
        let places = runtime.into_iter().chain([PathBuf::from("/run"), std::env::temp_dir()]);
        let mut last = ErrorKind::NotFound.into();
        for place in places {
            match Self::make_in(&place) {
                Ok(dir) => return Ok(dir),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn make_in(place: &Path) -> io::Result<Self> {
        if place.as_os_str().len() > LONGEST {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let pid = std::process::id();
        for number in 1..=NAMES {
            let name = if number == 1 { format!("endless-{pid}") } else { format!("endless-{pid}-{number}") };
            let path = place.join(name);
            let make = || without_umask(|| DirBuilder::new().mode(MODE).create(&path));
            match make() {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if !remove_left(&path) || make().is_err() {
                        continue;
                    }
                }
                made => made?,
            }
            let lock = match lock(&path) {
                Ok(lock) => Some(lock),
                // Somebody has swept it away before it was locked, or is about to.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotFound) => continue,
                Err(_) => None,
            };
            return Ok(Self { path, _lock: lock, swept: false });
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Where things of this directory are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket for one generation.
    ///
    /// # Errors
    /// Whatever socket(2) or bind(2) answer.
    pub fn socket(&self, generation: GenerationId) -> nix::Result<NotifySocket> {
        NotifySocket::bind(self.path.join(generation.to_string()))
    }

    /// Removes, once, what others of this user that were killed have left beside it. A directory whose pid is in use stays even
    /// if nobody has locked it: an endless from before there was a lock may have it.
    pub fn sweep(&mut self) {
        if std::mem::replace(&mut self.swept, true) {
            return;
        }
        let beside = self.path.parent().and_then(|place| fs::read_dir(place).ok());
        for entry in beside.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(numbers) = name.to_str().and_then(|name| name.strip_prefix("endless-")) else { continue };
            let mut numbers = numbers.split('-').map(str::parse::<i32>);
            let Some(Ok(pid)) = numbers.next() else { continue };
            let gone = kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH);
            if gone && numbers.all(|number| number.is_ok()) {
                remove_left(&entry.path());
            }
        }
    }
}

impl Drop for NotifyDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Locks a directory, and makes sure that it is still there then: whoever removes one has locked it before.
fn lock(path: &Path) -> io::Result<Locked> {
    let file = OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path)?;
    let inode = file.metadata()?.ino();
    let lock = Locked::of(file)?;
    if fs::symlink_metadata(path)?.ino() == inode { Ok(lock) } else { Err(ErrorKind::NotFound.into()) }
}

/// Removes a directory as endless makes them, if nobody has it. True when it is gone.
fn remove_left(path: &Path) -> bool {
    let ours = fs::symlink_metadata(path)
        .is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw() && it.mode() & 0o7777 == MODE);
    let Some(_lock) = ours.then(|| lock(path).ok()).flatten() else { return false };
    let Ok(entries) = fs::read_dir(path) else { return false };
    let entries: Vec<_> = entries.flatten().collect();
    if entries.iter().any(|entry| !entry.file_type().is_ok_and(|kind| kind.is_socket())) {
        return false;
    }
    entries.iter().for_each(|entry| drop(fs::remove_file(entry.path())));
    fs::remove_dir(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::net::UnixDatagram;

    /// As an endless that was killed leaves it.
    fn left(path: &Path) {
        without_umask(|| DirBuilder::new().mode(MODE).create(path)).unwrap();
        UnixDatagram::bind(path.join("1")).unwrap();
    }

    #[test]
    fn what_a_killed_one_has_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        // Pids that no process can have (proc_sys_kernel(5): pid_max), but for the first one.
        let [living, gone, second, full, private, held] =
            ["1", "1000000007", "1000000007-2", "1000000008", "1000000009", "1000000010"]
                .map(|numbers| format!("endless-{numbers}"));
        let names = [&*living, &gone, &second, &full, &private, &held, "endless-other", "endless-1000000007-x"];
        names.iter().for_each(|name| left(&at(name)));
        fs::write(at(&full).join("file"), "precious").unwrap();
        fs::set_permissions(at(&private), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let lock = lock(&at(&held)).unwrap();
        let mut own = NotifyDir::make_in(place.path()).unwrap();
        own.sweep();
        let mut found: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        let name = own.path().file_name().unwrap().to_owned();
        let mut expected =
            [&*living, &full, &private, &held, "endless-other", "endless-1000000007-x"].map(OsString::from).to_vec();
        expected.push(name);
        expected.sort();
        assert_eq!(found, expected);
        assert!(at(&full).join("1").exists() && at(&full).join("file").exists());
        drop((lock, own));
    }

    #[test]
    fn another_one_of_the_same_pid_keeps_its_directory_while_it_lives() {
        let place = tempfile::tempdir().unwrap();
        let first = NotifyDir::make_in(place.path()).unwrap();
        let second = NotifyDir::make_in(place.path()).unwrap();
        assert!(first.path() != second.path() && first.path().exists());
        let path = first.path().to_owned();
        std::mem::forget(second);
        drop(first);
        left(&path);
        let third = NotifyDir::make_in(place.path()).unwrap();
        assert_eq!(third.path(), path);
        assert!(!path.join("1").exists());
    }

    #[test]
    fn one_that_was_swept_away_before_it_was_locked_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("endless-7");
        left(&path);
        assert!(remove_left(&path));
        assert_eq!(lock(&path).unwrap_err().kind(), ErrorKind::NotFound);
        left(&path);
        let held = lock(&path).unwrap();
        assert_eq!(lock(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(held);
        lock(&path).unwrap();
    }
}
