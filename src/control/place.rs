//! Where control sockets lie: `$XDG_RUNTIME_DIR/endless/NAME.sock`, and `/run/endless/NAME.sock` for root.

use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The directories of this user, the one for a new socket first. `runtime` is the value of XDG_RUNTIME_DIR; it counts only
/// when the directory is this user's own: su(1) leaves that of another in the environment.
#[must_use]
pub fn directories(runtime: Option<&OsStr>) -> Vec<PathBuf> {
    let own = |path: &&Path| path.is_absolute() && path.metadata().is_ok_and(|there| there.uid() == geteuid().as_raw());
    let runtime = runtime.map(Path::new).filter(own).map(|path| path.join("endless"));
    let root = geteuid().is_root().then(|| PathBuf::from("/run/endless"));
    runtime.into_iter().chain(root).collect()
}

/// The socket of this name.
#[must_use]
pub fn in_directory(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.sock"))
}

/// The name a socket belongs to.
#[must_use]
pub fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".sock")
}
