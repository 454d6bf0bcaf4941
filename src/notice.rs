//! What endless tells: one typed fact each, rendered in `report` and nowhere else.

use crate::words::{Exit, Failure, GenerationId, HookPoint, ReadySign, Sig, Waits};
use std::time::Duration;

/// How much a notice matters: what `-q` and `-v` go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something went wrong; shown even with `-q`.
    Problem,
    /// What an operator wants to read.
    Normal,
    /// Shown with `-v`.
    Detail,
}

/// What is probably wrong with a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Trouble {
    /// Its main process has ended with 0, and a process that holds its sockets goes on.
    Daemonized { name: String, pid: i32, flag: Option<String> },
    /// It has failed, and its arguments name an address that endless holds; `said`: it printed that the address is in use;
    /// `captured`: it would have got the socket there if its bind(2) had been seen.
    BindsItself { address: String, said: bool, captured: bool },
    /// It has failed, and the copy before it listens on a port with a socket that endless does not know.
    Unseen { port: u16, why: Unseen },
    /// The server is the child of a wrapper whose pid LISTEN_PID is.
    WrongPid { wrapper: String, main: i32, server: String, pid: i32 },
    /// A wrapper has closed the sockets.
    Closed { wrapper: String, server: Option<(String, i32)> },
    /// It has closed the sockets it was handed.
    Unused,
    /// It said that it serves, and takes nobody who waits at these of its sockets.
    Deaf { listeners: Vec<String>, after: Duration },
    /// The kernel cannot execute its file, which is there.
    NotExecutable { file: String, why: Format },
}

/// Why the kernel cannot execute a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// This interpreter of a script does not exist.
    Interpreter(String),
    /// This one does, but the first line ends as lines do in Windows, and that belongs to its name.
    CarriageReturn(String),
    /// It is no program, and as a script it names no interpreter.
    NoInterpreter,
    /// The loader that the program asks for does not exist.
    Loader(String),
    /// It is a program for this other processor.
    Machine(String),
    /// It is a program, but not a whole one.
    Damaged,
    /// There is nothing in it.
    Empty,
}

/// Why a socket of a copy is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// Nobody looks (`--capture never`).
    NotAsked,
    /// The filter could not be installed, or the copy does not show its sockets.
    Refused,
    /// It was made in a way that passes the filter.
    Passed,
}

/// One fact. Pids are not in it: `report` adds the main pid of the generation it names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Notice {
    /// A listener is open; of more than 32 only their number is told. `address` is the address really bound.
    Listening { name: String, address: String, shared: Option<String> },
    /// A generation was started: its main process exists.
    Starting { generation: GenerationId },
    /// A generation is ready and active.
    Ready { generation: GenerationId, sign: ReadySign, took: Duration },
    /// A start, restart or respawn failed. `kept` is the generation that goes on serving.
    Failed { generation: GenerationId, failure: Failure, kept: Option<GenerationId> },
    /// A restart was asked for while one is under way; it is remembered.
    Remembered,
    /// A restart was asked for while as many generations retire as may; it waits a little for one of them.
    Crowded,
    /// A request was not carried out, and why.
    Refused { what: &'static str, why: String },
    /// A signal to endless, or a request at its control socket, was received, and this is what it does.
    Asked { signal: Option<Sig>, sender: Option<i32>, what: &'static str },
    /// What is watched has changed (`--watch`), and this is done about it.
    Changed { path: String, what: &'static str },
    /// The older generation stands guard.
    Guarding { generation: GenerationId, length: Duration },
    /// New connections went back to the older generation.
    HandedBack { from: GenerationId, to: GenerationId, exit: Exit },
    /// A retirement began.
    Retiring { generation: GenerationId },
    /// Its drain is over: nothing is asked of it.
    Drained { generation: GenerationId, took: Duration },
    /// Its drain was ended by its limit, with these connections; a problem when one is in the middle of a request.
    DrainLimit { generation: GenerationId, limit: Duration, waits: Waits },
    /// What a generation on its way out is waited for; told on a terminal, every 5 s.
    Waiting { generation: GenerationId, waits: Waits, since: Duration, hammer: Option<Duration> },
    /// A generation got its stop signal.
    Stopping { generation: GenerationId, signal: Sig },
    /// The active generation is stuck and is killed: it missed its watchdog, or said so itself.
    Stuck { generation: GenerationId, silence: Option<Duration> },
    /// The hammer: SIGKILL to all of it.
    Hammered { generation: GenerationId },
    /// The main process of a generation ended; a problem where it was not expected.
    Exited { generation: GenerationId, exit: Exit, expected: bool },
    /// Its main process is gone and these processes of it live on.
    Survivors { generation: GenerationId, pids: Vec<(i32, String)> },
    /// The whole tree of a generation is gone.
    Gone { generation: GenerationId },
    /// It ended by itself and is started again after this delay.
    Respawning { generation: GenerationId, exit: Exit, delay: Duration },
    /// It ended too often.
    GaveUp { ends: u32, within: Duration },
    /// A hook ended badly.
    HookFailed { point: HookPoint, command: String, why: String },
    /// What is probably wrong with a copy, and the way out.
    Diagnosis { generation: GenerationId, what: Trouble },
    /// STATUS= from a copy (sd_notify(3)).
    Status { generation: GenerationId, text: String },
    /// Steering was refused by the kernel for this listener; its generations share one socket.
    Shared { name: String, why: String },
    /// A Unix path was changed behind endless' back and put back.
    PathRestored { path: String, what: &'static str },
    /// Another program of endless has taken everything over, in the same process (`endless upgrade`).
    Upgraded { from: String, to: String },
    /// endless is about to exit.
    Finished { code: u8 },
    /// Anything else worth a line, with how much it matters.
    Note { level: Level, text: String },
}
