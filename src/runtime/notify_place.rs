//! Where the notify sockets are made, and what an endless that was killed has left there.
//!
//! A socket that nobody has any more refuses connections. A pid would not tell: another program may have it by now, and where
//! containers share a directory for temporary files it means nothing in the others.

use super::ack::AckSocket;
use super::notify::NotifySocket;
use super::pid_file::Locked;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{AccessFlags, eaccess, geteuid};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a name begins with; a pid, a generation and perhaps more follow.
const PREFIX: &str = "endless-";
/// What names of einhorn's sockets end with.
const ACK: &str = ".ack";
/// A longer path leaves no room, in the 107 bytes of a socket's path, for the names in it.
const LONGEST: usize = 70;
/// So many names are tried: an endless in another container may have the first.
const NAMES: u32 = 20;
/// A younger one may be on its way: bind(2) makes the file a moment before somebody can be reached there.
const YOUNG: Duration = Duration::from_secs(1);

/// Directories that others use, too, the first of which will do.
#[derive(Debug, Serialize, Deserialize)]
pub struct NotifyPlace {
    /// As they are: a path need not be text.
    paths: Vec<OsString>,
    #[serde(skip)]
    swept: bool,
}

impl NotifyPlace {
    /// XDG_RUNTIME_DIR, /run and the directory for temporary files, those that can be written and are short enough. Copies
    /// that run as somebody else (`strangers`) could not enter XDG_RUNTIME_DIR, which is its owner's alone.
    ///
    /// # Errors
    /// The last reason, when none of them can be written.
    pub fn find(strangers: bool) -> nix::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !strangers).map(PathBuf::from);
        let runtime = runtime.filter(|path| path.is_absolute());
        let (mut paths, mut last) = (Vec::new(), Errno::ENOENT);
        for path in runtime.into_iter().chain([PathBuf::from("/run"), std::env::temp_dir()]) {
            match usable(&path) {
                Ok(()) => paths.push(path.into_os_string()),
                Err(errno) => last = errno,
            }
        }
        if paths.is_empty() { Err(last) } else { Ok(Self { paths, swept: false }) }
    }

    /// The notify socket for one generation.
    ///
    /// # Errors
    /// Whatever socket(2) or bind(2) answer.
    pub fn notify_socket(&self, generation: GenerationId) -> nix::Result<NotifySocket> {
        self.bind(generation, "", NotifySocket::bind)
    }

    /// einhorn's socket for one generation.
    ///
    /// # Errors
    /// Whatever socket(2), bind(2) or chmod(2) answer.
    pub fn ack_socket(&self, generation: GenerationId) -> nix::Result<AckSocket> {
        self.bind(generation, ACK, |path| {
            AckSocket::bind(path).map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
        })
    }

    /// Binds in the first place that takes it: one may be full, or closed to this program by a profile.
    fn bind<T>(&self, generation: GenerationId, end: &str, bind: impl Fn(PathBuf) -> nix::Result<T>) -> nix::Result<T> {
        let mut bound = Err(Errno::ENOENT);
        for place in &self.paths {
            bound = bind_in(Path::new(place), &format!("{generation}{end}"), &bind);
            if bound.is_ok() {
                break;
            }
        }
        bound
    }

    /// Removes, once, what others of this user that were killed have left in the usual place.
    pub fn sweep(&mut self) {
        if std::mem::replace(&mut self.swept, true) {
            return;
        }
        let Some(place) = self.paths.first().map(Path::new) else { return };
        let (Ok(lock), Ok(entries)) = (lock(place), fs::read_dir(place)) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_ours)) {
            remove_left(&lock, &entry.path());
        }
    }
}

/// Binds under the first name that is free, or that nobody has any more.
fn bind_in<T>(place: &Path, end: &str, bind: impl Fn(PathBuf) -> nix::Result<T>) -> nix::Result<T> {
    let pid = std::process::id();
    for number in 1..=NAMES {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let path = place.join(format!("{PREFIX}{pid}{more}.{end}"));
        let mut bound = bind(path.clone());
        if matches!(bound, Err(Errno::EADDRINUSE)) && lock(place).is_ok_and(|lock| remove_left(&lock, &path)) {
            bound = bind(path);
        }
        if !matches!(bound, Err(Errno::EADDRINUSE)) {
            return bound;
        }
    }
    Err(Errno::EADDRINUSE)
}

/// Whoever removes something from a place holds this for as long (flock(2)): between the look and the removal nobody else can
/// have removed the same, and made it anew.
fn lock(place: &Path) -> io::Result<Locked> {
    Locked::of(File::open(place)?)
}

/// Whether sockets can be made there.
fn usable(path: &Path) -> nix::Result<()> {
    if path.as_os_str().len() > LONGEST {
        return Err(Errno::ENAMETOOLONG);
    }
    // With a slash at its end it must be a directory.
    eaccess(&path.join(""), AccessFlags::W_OK | AccessFlags::X_OK)
}

/// Whether a name is one that [`NotifyPlace`] gives: `endless-PID.GENERATION` and so on.
fn is_ours(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).map(|rest| rest.strip_suffix(ACK).unwrap_or(rest));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = numbers.and_then(|numbers| numbers.split_once('.'));
    parts.is_some_and(|(process, generation)| process.split('-').all(is_number) && is_number(generation))
}

/// Removes a socket of this user that nobody has any more. True when it is gone.
fn remove_left(_lock: &Locked, path: &Path) -> bool {
    let old = fs::symlink_metadata(path).is_ok_and(|it| {
        let age = it.modified().ok().and_then(|at| at.elapsed().ok());
        it.file_type().is_socket() && it.uid() == geteuid().as_raw() && age.is_some_and(|age| age >= YOUNG)
    });
    old && is_left(path) && fs::remove_file(path).is_ok()
}

/// Whether a socket's path leads to no socket (connect(2): ECONNREFUSED; EPROTOTYPE says that there is one of another kind).
fn is_left(path: &Path) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(socket) = socket(AddressFamily::Unix, SockType::Datagram, flags, None) else { return false };
    UnixAddr::new(path).is_ok_and(|address| connect(socket.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::time::SystemTime;

    fn place() -> (tempfile::TempDir, NotifyPlace) {
        let dir = tempfile::tempdir().unwrap();
        let place = NotifyPlace { paths: vec![dir.path().into()], swept: false };
        (dir, place)
    }

    /// Makes a file a day old.
    fn age(path: &Path) {
        let long_ago = SystemTime::now() - Duration::from_secs(86_400);
        let since = long_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let time = nix::sys::time::TimeSpec::from_duration(since);
        nix::sys::stat::utimensat(
            nix::fcntl::AT_FDCWD,
            path,
            &time,
            &time,
            nix::sys::stat::UtimensatFlags::NoFollowSymlink,
        )
        .unwrap();
    }

    /// As an endless that was killed leaves it, a day ago.
    fn left(path: &Path) {
        UnixDatagram::bind(path).unwrap();
        age(path);
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_one_has_left_goes_and_nothing_else() {
        let (dir, mut place) = place();
        let at = |name: &str| dir.path().join(name);
        ["endless-7.1", "endless-7.12", "endless-7-2.1", "endless-7.1.ack"].iter().for_each(|name| left(&at(name)));
        let others =
            ["endless-other", "endless-7", "endless-7.x", "endless-7-.1", "endless-.1", "less-7.1", "endless-7.1.log"];
        others.iter().for_each(|name| left(&at(name)));
        UnixDatagram::bind(at("endless-8.1")).unwrap();
        fs::write(at("endless-8.2"), "precious").unwrap();
        age(&at("endless-8.2"));
        let datagrams = UnixDatagram::bind(at("endless-9.1")).unwrap();
        let stream = UnixListener::bind(at("endless-9.1.ack")).unwrap();
        ["endless-9.1", "endless-9.1.ack"].iter().for_each(|name| age(&at(name)));
        place.sweep();
        let stay = ["endless-8.1", "endless-8.2", "endless-9.1", "endless-9.1.ack"];
        let mut expected: Vec<_> = others.into_iter().chain(stay).collect();
        expected.sort_unstable();
        assert_eq!(names(&dir), expected);
        drop((datagrams, stream));
    }

    #[test]
    fn another_one_of_the_same_pid_keeps_its_sockets_while_it_lives() {
        let (dir, place) = place();
        let first = place.notify_socket(GenerationId(1)).unwrap();
        age(first.path());
        let second = place.notify_socket(GenerationId(1)).unwrap();
        let ack = place.ack_socket(GenerationId(1)).unwrap();
        let pid = std::process::id();
        let own = [format!("endless-{pid}-2.1"), format!("endless-{pid}.1"), format!("endless-{pid}.1.ack")];
        assert_eq!(names(&dir), own);
        assert!(names(&dir).iter().all(|name| is_ours(name)));
        let path = first.path().to_owned();
        drop((first, second, ack));
        assert!(names(&dir).is_empty());
        left(&path);
        assert_eq!(place.notify_socket(GenerationId(1)).unwrap().path(), path);
    }

    #[test]
    fn nothing_is_removed_while_another_one_does_that() {
        let (dir, mut place) = place();
        left(&dir.path().join("endless-7.1"));
        let lock = lock(dir.path()).unwrap();
        place.sweep();
        assert_eq!(names(&dir), ["endless-7.1"]);
        drop(lock);
        place.swept = false;
        place.sweep();
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn the_next_place_is_taken_where_one_refuses() {
        let (dir, mut place) = place();
        place.paths.insert(0, "/proc".into());
        assert!(place.notify_socket(GenerationId(1)).unwrap().path().starts_with(dir.path()));
        place.paths.truncate(1);
        assert!(place.notify_socket(GenerationId(1)).is_err());
    }

    #[test]
    fn a_file_a_long_path_and_what_nobody_may_write_are_no_places() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(usable(dir.path()), Ok(()));
        assert_eq!(usable(&file), Err(Errno::ENOTDIR));
        assert_eq!(usable(&dir.path().join("missing")), Err(Errno::ENOENT));
        assert_eq!(usable(&dir.path().join("x".repeat(LONGEST))), Err(Errno::ENAMETOOLONG));
    }
}
