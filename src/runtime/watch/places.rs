//! The directories that are watched (inotify(7)), and what of the things that happen in them is a change.
//!
//! A file is watched by its name in its directory, never itself: it may be replaced by renaming another one over it. So are
//! the directories and symbolic links on the way to it, for they may be replaced too.

use super::rules::Rules;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// What is asked of the kernel for every directory.
const MASK: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_ONLYDIR);

/// As many symbolic links as the kernel follows (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// Everything that is watched.
#[derive(Debug)]
pub(super) struct Places {
    inotify: Inotify,
    directories: BTreeMap<WatchDescriptor, Directory>,
    rules: Rules,
    /// What endless writes itself.
    own: Vec<PathBuf>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// All that is in it counts, if no rule ignores it.
    whole: bool,
    /// These count in any case: they are on the way to what is watched.
    names: BTreeSet<OsString>,
}

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// To what; None when the kernel has lost count.
    pub(super) path: Option<PathBuf>,
    /// What is watched has to be looked for again.
    pub(super) anew: bool,
}

/// What could not be watched, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) path: PathBuf,
    pub(super) errno: Errno,
}

impl Places {
    /// Watches these absolute paths: files, and directories with all that is in them. What is not there is waited for.
    ///
    /// # Errors
    /// That of inotify_init1(2) or inotify_add_watch(2).
    pub(super) fn watch(paths: &[PathBuf], own: Vec<PathBuf>) -> Result<Places, Refused> {
        let first = || paths.first().cloned().unwrap_or_default();
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| Refused { path: first(), errno })?;
        let mut places = Places { inotify, directories: BTreeMap::new(), rules: Rules::everywhere(), own };
        for path in paths {
            places.follow(path)?;
        }
        Ok(places)
    }

    /// Goes along a path as the kernel would, watching each step, and to the end of what is there.
    fn follow(&mut self, path: &Path) -> Result<(), Refused> {
        let mut rest: VecDeque<OsString> = names(path).collect();
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            match self.add(&at) {
                Ok(directory) => drop(directory.names.insert(name.clone())),
                // One can go through a directory that one may not read.
                Err(Errno::EACCES) if !rest.is_empty() => {}
                Err(errno) => return Err(Refused { path: at, errno }),
            }
            let next = at.join(name);
            match fs::symlink_metadata(&next) {
                Ok(found) if found.is_dir() => at = next,
                Ok(found) if found.is_symlink() && links < MOST_LINKS => {
                    let target = fs::read_link(&next).unwrap_or_default();
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    names(&target).rev().for_each(|name| rest.push_front(name));
                }
                _ => return Ok(()),
            }
        }
        self.rules.read_above(&at);
        self.walk(at)
    }

    fn add(&mut self, path: &Path) -> Result<&mut Directory, Errno> {
        let number = self.inotify.add_watch(path, MASK)?;
        let new = || Directory { path: path.to_owned(), whole: false, names: BTreeSet::new() };
        Ok(self.directories.entry(number).or_insert_with(new))
    }

    /// Watches a directory and those in it. Each is watched before it is looked into, so that nothing is missed.
    fn walk(&mut self, top: PathBuf) -> Result<(), Refused> {
        let mut rest = vec![top.clone()];
        while let Some(path) = rest.pop() {
            match self.add(&path) {
                Ok(directory) => directory.whole = true,
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                Err(Errno::EACCES) if path != top => continue,
                Err(errno) => return Err(Refused { path, errno }),
            }
            self.rules.read(&path);
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            rest.extend(inner.map(|entry| entry.path()).filter(|path| !self.rules.ignore(path, true)));
        }
        Ok(())
    }

    /// Takes what has happened: the last change, if any of it was one, and the last new directory that cannot be watched.
    pub(super) fn take(&mut self) -> (Option<Change>, Option<Refused>) {
        let (mut last, mut refused): (Option<Change>, _) = (None, None);
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                let Some(change) = self.judge(&event, &mut refused) else { continue };
                let anew = change.anew || last.is_some_and(|last| last.anew);
                last = Some(Change { anew, ..change });
            }
        }
        (last, refused)
    }

    fn judge(&mut self, event: &InotifyEvent, refused: &mut Option<Refused>) -> Option<Change> {
        let has = |flags: AddWatchFlags| event.mask.intersects(flags);
        if has(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Change { path: None, anew: true });
        }
        if has(AddWatchFlags::IN_IGNORED) {
            self.directories.remove(&event.wd);
        }
        let (Some(directory), Some(name)) = (self.directories.get(&event.wd), &event.name) else { return None };
        let path = directory.path.join(name);
        let is_directory = has(AddWatchFlags::IN_ISDIR);
        let on_the_way = directory.names.contains(name);
        let counts = on_the_way || directory.whole && !self.rules.ignore(&path, is_directory);
        if !counts || self.own.contains(&path) {
            return None;
        }
        // A socket that is moved is one that a new copy has taken the path with.
        let empty =
            has(AddWatchFlags::IN_CREATE) && unfinished(&path) || has(AddWatchFlags::IN_MOVED_TO) && is_socket(&path);
        if is_directory && has(AddWatchFlags::IN_ATTRIB) || empty {
            return None;
        }
        let anew = on_the_way || name == OsStr::new(".gitignore");
        if is_directory && !anew {
            self.forget(&path);
            if has(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO) {
                *refused = self.walk(path.clone()).err().or(refused.take());
            }
        }
        Some(Change { path: Some(path), anew })
    }

    /// A directory is not there any more. One that was moved is still watched, under a path that is wrong now.
    fn forget(&mut self, path: &Path) {
        self.directories.retain(|number, directory| {
            let goes = directory.path.starts_with(path);
            if goes {
                // It may be gone already.
                let _ = self.inotify.rm_watch(*number);
            }
            !goes
        });
    }
}

impl AsFd for Places {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// A file that was made is not done before it is closed, unless it is another name of one that is. Sockets and pipes have
/// nothing in them.
fn unfinished(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => found.nlink() == 1,
        Ok(found) => !found.is_dir() && !found.is_symlink(),
        Err(_) => true,
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_kernel_has_lost_count_something_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
        let mut places = Places::watch(&[dir.path().to_owned()], Vec::new()).unwrap();
        assert_eq!(places.take().0, None);
        // Two files in turn, for an event like the one before it is none.
        let files = [0, 1].map(|number| dir.path().join(number.to_string()));
        files.iter().for_each(|file| fs::write(file, "").unwrap());
        let mode = fs::metadata(&files[0]).unwrap().permissions();
        files.iter().cycle().take(most).for_each(|file| fs::set_permissions(file, mode.clone()).unwrap());
        assert_eq!(places.take().0, Some(Change { path: None, anew: true }));
        assert_eq!(places.take().0, None);
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for_where_it_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("one/two"));
        let mut places = Places::watch(&[two.join("file")], Vec::new()).unwrap();
        fs::create_dir_all(&two).unwrap();
        assert_eq!(places.take().0, Some(Change { path: Some(one), anew: true }));
    }
}
