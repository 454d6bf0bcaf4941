//! Which endless is meant.

use super::Error;
use super::connection::Connection;
use crate::control;
use crate::plan::Asking;
use nix::errno::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// A control socket somebody answers.
#[derive(Debug)]
pub(super) struct Found {
    /// The name in the socket's path.
    pub(super) name: String,
    /// Its connection.
    pub(super) connection: Connection,
}

/// The one endless that is meant: by path, by name, or the only one there is.
pub(super) fn one(asking: &Asking) -> Result<Found, Error> {
    if let Some(path) = &asking.control {
        let typed = path.display();
        let name = control::name_of(path).map_or_else(|| typed.to_string(), str::to_owned);
        return match Connection::open(path) {
            Ok(connection) => Ok(Found { name, connection }),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => {
                Err(Error::not_running(format!("--control {typed}: no endless listens there\n{HINT}")))
            }
            Err(errno) => Err(Error::not_running(format!("--control {typed}: {}", errno.desc()))),
        };
    }
    let mut found = match &asking.name {
        Some(name) => named(name),
        None => all(),
    };
    match (found.len(), &asking.name) {
        (1, _) | (2.., Some(_)) => Ok(found.swap_remove(0)),
        (0, Some(name)) => Err(Error::not_running(format!("no endless called {name} is running\n{HINT}"))),
        (0, None) => Err(Error::not_running(format!("no endless of this user is running\n{HINT}"))),
        (_, None) => {
            let names: Vec<String> = found.into_iter().map(|one| one.name).collect();
            Err(Error::not_done(format!("several are running: {}\nhint: say which, by its name", names.join(", "))))
        }
    }
}

const HINT: &str =
    "hint: endless status lists those with a control socket; with files alone: --pid-file and --status-file";

fn named(name: &str) -> Vec<Found> {
    let paths = directories().into_iter().map(|directory| control::in_directory(&directory, name));
    paths.filter_map(|path| connect(&path)).collect()
}

/// Everybody who answers, sorted by name.
pub(super) fn all() -> Vec<Found> {
    let mut paths: Vec<PathBuf> = directories()
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| connect(path)).collect()
}

fn connect(path: &Path) -> Option<Found> {
    let name = control::name_of(path)?.to_owned();
    Some(Found { name, connection: Connection::open(path).ok()? })
}

fn directories() -> Vec<PathBuf> {
    control::directories(std::env::var_os("XDG_RUNTIME_DIR").as_deref())
}
