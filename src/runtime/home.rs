//! The directory endless was started in, by its path: a deploy may let that lead elsewhere since.
//!
//! A working directory is a file, not a name: whoever starts endless in `current`, a symbolic link, and sets that to the next
//! release would get the old one again at each restart.

use super::Runtime;
use crate::notice::{Level, Notice};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where endless was started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Home {
    /// None where there is no path to it.
    #[serde(with = "crate::words::path::optional")]
    path: Option<PathBuf>,
    /// The directory that was told about: its device and inode.
    told: Option<(u64, u64)>,
}

impl Home {
    /// The path in PWD, as a shell keeps it (pwd(1)), links and all, where that is the working directory; else getcwd(3).
    #[must_use]
    pub fn read() -> Home {
        let said = std::env::var_os("PWD").map(PathBuf::from);
        let said = said.filter(|path| path.is_absolute() && directory(path).is_some_and(|one| Some(one) == here()));
        Home { path: said.or_else(|| std::env::current_dir().ok()), told: None }
    }

    /// A path as it was meant there.
    pub(super) fn absolute(&self, path: &Path) -> Option<PathBuf> {
        self.path.as_ref().map(|home| home.join(path)).map_or_else(|| std::path::absolute(path).ok(), Some)
    }

    /// What is looked up at every start is looked up where the path leads now: the command, its files, and what they are
    /// relative to. None where that is the working directory, or it cannot be entered.
    pub(super) fn enter(&self) -> Option<Entered> {
        let path = self.moved()?;
        let back = open(".", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        chdir(path).ok()?;
        Some(Entered { back })
    }

    /// The path, where it leads to another directory than the working directory.
    fn moved(&self) -> Option<&Path> {
        self.path.as_deref().filter(|path| directory(path).is_some_and(|one| Some(one) != here()))
    }
}

/// Which directory the path leads to.
fn directory(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().filter(std::fs::Metadata::is_dir).map(|found| (found.dev(), found.ino()))
}

fn here() -> Option<(u64, u64)> {
    directory(Path::new("."))
}

/// In the directory the path leads to now, until it is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    back: OwnedFd,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // It was the working directory, so it can be.
        let _ = fchdir(&self.back);
    }
}

impl Runtime {
    /// Says it once, where a restart changes the directory.
    pub(super) fn tell_of_home(&mut self) {
        let led = self.home.moved().map(|path| (path.to_owned(), directory(path)));
        let Some((path, now)) = led.filter(|(_, now)| *now != self.home.told) else { return };
        self.home.told = now;
        if self.plan.process.chdir.as_deref().is_none_or(Path::is_relative) {
            let text = format!("{} leads to another directory now: copies are started there", path.display());
            self.tell(&Notice::Note { level: Level::Normal, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn it_is_carried_over_whatever_it_is_called() {
        for path in [None, Some("/srv/app".into()), Some(OsString::from_vec(b"/srv/\xff".to_vec()).into())] {
            let text = serde_json::to_string(&Home { path: path.clone(), told: Some((1, 2)) }).unwrap();
            let read: Home = serde_json::from_str(&text).unwrap();
            assert_eq!((read.path, read.told), (path, Some((1, 2))));
        }
        assert!(Home::default().moved().is_none() && Home::read().moved().is_none());
    }
}
