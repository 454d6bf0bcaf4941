//! The other end of the control socket: `endless status`, `restart`, `stop`, `hammer`, `signal`, `upgrade`.

mod connection;
mod find;
mod order;
mod starter;
mod status;
mod table;
mod watch;

use crate::plan::{Asking, Task};
use std::fmt;
use std::io::{self, Write};

/// It was not done.
pub const CODE_NOT_DONE: u8 = 1;
/// Nothing of this name runs.
pub const CODE_NOT_RUNNING: u8 = 3;

/// Why a client ends with another status than 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What to say.
    pub message: String,
    /// The exit status.
    pub code: u8,
}

impl Error {
    fn not_done(message: impl Into<String>) -> Error {
        Error { message: message.into(), code: CODE_NOT_DONE }
    }

    fn not_running(message: impl Into<String>) -> Error {
        Error { message: message.into(), code: CODE_NOT_RUNNING }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Asks, waits for the answer and prints it. Returns the exit status.
///
/// # Errors
/// What was not done, or that nothing of this name runs.
pub fn ask(asking: &Asking) -> Result<u8, Error> {
    match &asking.task {
        Task::Status { watch: true, .. } => watch::run(asking),
        Task::Status { json, .. } => status::show(asking, *json),
        Task::Starter(starter) => starter::run(starter, asking.timeout).map(|()| 0),
        // Whoever orders something wants it done; that there is nobody to do it is not another kind of failure.
        _ => order::give(asking).map(|()| 0).map_err(|error| Error { code: CODE_NOT_DONE, ..error }),
    }
}

/// Prints an answer. That nobody reads it to the end (`| head -1`) is no reason to fail.
///
/// # Errors
/// It cannot be written: there is no room, for example.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::other(format!("the answer cannot be written to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints what need not be read: the exit status says it, too.
fn tell(text: &str) {
    let _ = print(text);
}
