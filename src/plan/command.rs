//! Where the command is.

use super::Plan;
use super::environment::path_of;
use crate::words::{CODE_NOT_EXECUTABLE, CODE_NOT_FOUND};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What execvp(3) searches when there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why a command cannot be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// There is no such file; for a name without a slash, in none of these directories.
    NotFound {
        /// The command as typed.
        command: OsString,
        /// Where it was looked for: the PATH, or the file itself.
        looked: OsString,
    },
    /// There is such a file and it cannot be executed.
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Why, in words.
        why: &'static str,
    },
}

impl CommandError {
    /// 127 for not found, 126 for not executable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            CommandError::NotFound { .. } => CODE_NOT_FOUND,
            CommandError::NotExecutable { .. } => CODE_NOT_EXECUTABLE,
        }
    }

    /// The error number execve(2) would give.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            CommandError::NotFound { .. } => Errno::ENOENT as i32,
            CommandError::NotExecutable { .. } => Errno::EACCES as i32,
        }
    }

    /// The way out.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            CommandError::NotFound { command, .. } if command.as_bytes().contains(&b'/') => {
                "check the path; a relative one is looked up in --chdir".to_owned()
            }
            CommandError::NotFound { command, .. } => {
                format!("for a file in the current directory: ./{}; else its full path", command.display())
            }
            CommandError::NotExecutable { path, why } if *why == DENIED => {
                format!("chmod +x {}, or name its interpreter first", path.display())
            }
            CommandError::NotExecutable { .. } => "the path of a program that this user can get to".to_owned(),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::NotFound { command, looked } if command.as_bytes().contains(&b'/') => {
                write!(f, "there is no file {}", looked.display())
            }
            CommandError::NotFound { looked, .. } => write!(f, "it is in no directory of PATH ({})", looked.display()),
            CommandError::NotExecutable { path, why } => write!(f, "{} cannot be executed: {why}", path.display()),
        }
    }
}

impl std::error::Error for CommandError {}

impl Plan {
    /// The file of the command, as a target with this environment of endless finds it in `chdir`.
    ///
    /// # Errors
    /// [`CommandError`], when there is no such file or it cannot be executed.
    pub fn file(&self, environment: &[(OsString, OsString)]) -> Result<PathBuf, CommandError> {
        let path = path_of(&self.process, environment).unwrap_or_default();
        let command = self.command.first().map(OsString::as_os_str).unwrap_or_default();
        resolve(command, self.process.chdir.as_deref(), path.as_deref())
    }
}

/// Finds the file that the target's execve(2) gets. To be asked again at every start: symbolic links move.
///
/// A command with a slash is a path, relative to `chdir`; any other is searched for in `path`, the target's PATH, whose
/// relative and empty entries are relative to `chdir` too.
///
/// # Errors
/// [`CommandError`], when there is no such file or it cannot be executed.
pub fn resolve(command: &OsStr, chdir: Option<&Path>, path: Option<&OsStr>) -> Result<PathBuf, CommandError> {
    let seen = |file: &Path| chdir.map_or_else(|| file.to_path_buf(), |dir| dir.join(file));
    if command.as_bytes().contains(&b'/') {
        let file = PathBuf::from(command);
        return match judge(&seen(&file)) {
            Verdict::Good => Ok(file),
            Verdict::Absent => Err(CommandError::NotFound { command: command.to_owned(), looked: seen(&file).into() }),
            Verdict::Bad(why) => Err(CommandError::NotExecutable { path: seen(&file), why }),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    if !command.is_empty() {
        for entry in path.as_bytes().split(|byte| *byte == b':') {
            let directory = if entry.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(entry) };
            let file = in_directory(directory, command);
            match judge(&seen(&file)) {
                Verdict::Good => return Ok(file),
                Verdict::Bad(why) => refused = refused.or(Some((file, why))),
                Verdict::Absent => {}
            }
        }
    }
    Err(match refused {
        Some((path, why)) => CommandError::NotExecutable { path, why },
        None => CommandError::NotFound { command: command.to_owned(), looked: path.to_owned() },
    })
}

fn in_directory(directory: &OsStr, command: &OsStr) -> PathBuf {
    let parts = [directory.as_bytes(), command.as_bytes()];
    PathBuf::from(OsString::from_vec(parts.join(&b'/')))
}

/// The file is there, and nobody may execute it, or not we.
const DENIED: &str = "permission denied";

enum Verdict {
    Good,
    Absent,
    Bad(&'static str),
}

fn judge(file: &Path) -> Verdict {
    match file.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Verdict::Bad("a directory on the way is closed")
        }
        Err(_) => Verdict::Absent,
        Ok(found) if found.is_dir() => Verdict::Bad("it is a directory"),
        Ok(found) if !found.is_file() => Verdict::Bad("it is no regular file"),
        // As who we act, capabilities included: access(2) asks for the real user and without them.
        Ok(_) if faccessat(AT_FDCWD, file, AccessFlags::X_OK, AtFlags::AT_EACCESS).is_err() => Verdict::Bad(DENIED),
        Ok(_) => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn resolve_in(command: &str, chdir: &Path, path: &str) -> Result<PathBuf, CommandError> {
        resolve(OsStr::new(command), Some(chdir), Some(OsStr::new(path)))
    }

    #[test]
    fn the_path_is_searched_as_the_target_would() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in [("bin/run", 0o755), ("plain/run", 0o644), ("plain/only", 0o644)] {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(resolve_in("run", dir.path(), "/nowhere:plain:bin"), Ok("bin/run".into()));
        assert_eq!(resolve_in("./bin/run", dir.path(), "/bin"), Ok("./bin/run".into()));
        assert_eq!(resolve_in("only", dir.path(), "plain:bin").unwrap_err().exit_code(), 126);
        assert_eq!(resolve_in("plain/run", dir.path(), "").unwrap_err().exit_code(), 126);
        assert_eq!(resolve_in("bin/", dir.path(), "").unwrap_err().exit_code(), 126);
        assert_eq!(resolve_in("none", dir.path(), "plain:bin").unwrap_err().exit_code(), 127);
        assert_eq!(resolve_in("./none", dir.path(), "plain:bin").unwrap_err().exit_code(), 127);
        assert_eq!(resolve_in("", dir.path(), "bin").unwrap_err().exit_code(), 127);
        assert!(resolve(OsStr::new("sh"), None, None).is_ok());
    }
}
