//! The files endless appends to: its log, its events, the target's output.

use super::build::file;
use super::error::{Error, Fault};
use super::{Address, Control, Plan, UnixName, value};
use crate::cli::OutputArgs;
use nix::unistd::{AccessFlags, eaccess};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `--log-file`, `--output`, `--events` and `--detach`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The log goes there and not to stderr.
    pub log: Option<PathBuf>,
    /// The target's stdout and stderr go there.
    pub output: Option<PathBuf>,
    /// A line for each event.
    pub events: Option<EventsTo>,
    /// endless returns when the first generation serves, and goes on in a session of its own.
    pub detach: bool,
}

/// `--events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsTo {
    /// A file.
    File(PathBuf),
    /// An open descriptor; 1 for `-`.
    Descriptor(RawFd),
}

pub(super) fn read(args: &OutputArgs) -> Result<Files, Error> {
    let log = file("--log-file", args.log_file.as_deref())?;
    let output = file("--output", args.output.as_deref())?;
    let events = match args.events.as_deref() {
        None => None,
        Some(path) if path == Path::new("-") => Some(EventsTo::Descriptor(1)),
        Some(path) => match path.to_str().and_then(|text| text.strip_prefix("fd:")) {
            Some(number) => {
                let typed = path.to_string_lossy();
                let number = value::number(number, 0, 1_000_000).map_err(|fault| fault.at("--events", &*typed))?;
                if !Path::new(&format!("/proc/self/fd/{number}")).exists() {
                    let fault = Fault::new(format!("descriptor {number} is not open"), "check the redirection");
                    return Err(fault.at("--events", &*typed));
                }
                Some(EventsTo::Descriptor(number))
            }
            None => file("--events", Some(path))?.map(EventsTo::File),
        },
    };
    if args.detach && log.is_none() {
        let fault = Fault::new("nobody would see the log", "--log-file FILE with it");
        return Err(fault.at_switch("--detach"));
    }
    Ok(Files { output: output.or_else(|| log.clone().filter(|_| args.detach)), log, events, detach: args.detach })
}

/// The files endless writes: their directories must be there, and lines must be such that they can be appended.
pub(super) fn check_own(plan: &Plan) -> Result<(), Error> {
    for (flag, path) in own_paths(plan) {
        has_place(flag, path)?;
        if is_for_lines(flag) {
            writable(flag, path)?;
        }
    }
    Ok(())
}

fn has_place(flag: &str, path: &Path) -> Result<(), Error> {
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let fault = match parent {
        _ if path.is_dir() => Fault::new("this is a directory", "the file to write in it"),
        // It would be replaced by one, and removed at the end.
        _ if matches!(flag, "--pid-file" | "--status-file") && path.exists() && !path.is_file() => {
            Fault::new("this is no regular file", "the path of a file, or take it away")
        }
        Some(parent) if !parent.is_dir() => {
            Fault::new(format!("there is no directory {}", parent.display()), "make it, or another path")
        }
        _ => return Ok(()),
    };
    Err(fault.at(flag, path.to_string_lossy()))
}

/// What a file for lines is to be.
const APPEND: &str = "a file this user can append to";

/// A file that lines can be appended to. It is made only once something is to run.
fn writable(flag: &str, path: &Path) -> Result<(), Error> {
    let kind = fs::metadata(path).map(|file| file.file_type());
    if kind.is_ok_and(|kind| kind.is_fifo()) {
        // Whoever reads it would see its end when it is closed again.
        return eaccess(path, AccessFlags::W_OK).map_err(|errno| {
            let reason = format!("it cannot be written: {}", errno.desc());
            Fault::new(reason, APPEND).at(flag, path.to_string_lossy())
        });
    }
    let reason = match OpenOptions::new().append(true).custom_flags(nix::libc::O_NONBLOCK).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match eaccess(parent, AccessFlags::W_OK) {
                Ok(()) => return Ok(()),
                Err(errno) => format!("it cannot be made in {}: {}", parent.display(), errno.desc()),
            }
        }
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
            "it is a socket, or no terminal is there".to_owned()
        }
        Err(error) => format!("it cannot be written: {error}"),
    };
    Err(Fault::new(reason, APPEND).at(flag, path.to_string_lossy()))
}

fn is_for_lines(flag: &str) -> bool {
    matches!(flag, "--log-file" | "--output" | "--events")
}

/// What endless makes itself, and the flags.
fn own_paths(plan: &Plan) -> impl Iterator<Item = (&'static str, &Path)> {
    let control = if let Control::At(path) = &plan.control { Some(path) } else { None };
    let events = if let Some(EventsTo::File(path)) = &plan.files.events { Some(path) } else { None };
    let own = [
        ("--pid-file", plan.pid_file.as_ref()),
        ("--status-file", plan.status_file.as_ref()),
        ("--control", control),
        ("--log-file", plan.files.log.as_ref()),
        ("--output", plan.files.output.as_ref()),
        ("--events", events),
    ];
    own.into_iter().filter_map(|(flag, path)| Some((flag, path?.as_path())))
}

/// Nothing that endless makes at a path may lie where something else of it does. Lines may go where other lines go.
pub(super) fn check_paths(plan: &Plan) -> Result<(), Error> {
    let listeners = plan.listeners.iter().filter_map(|spec| match &spec.address {
        Address::Unix { name: UnixName::Path(path), .. } => Some(("--listen", path.as_path())),
        _ => None,
    });
    let mut seen: Vec<(&str, &Path)> = listeners.collect();
    let lines = is_for_lines;
    for (flag, path) in own_paths(plan) {
        if let Some((other, _)) = seen.iter().find(|(other, known)| *known == path && !(lines(flag) && lines(other))) {
            let fault = Fault::new(format!("this is the path of {other} as well"), "another path for one of them");
            return Err(fault.at(flag, path.to_string_lossy()));
        }
        seen.push((flag, path));
    }
    Ok(())
}
