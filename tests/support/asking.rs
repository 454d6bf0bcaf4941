//! `endless status`, `restart` and the like, as a deploy script runs them; and the socket itself.

use super::{DEADLINE, ENDLESS, Endless};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a client printed, and its exit status.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

/// A client that runs.
pub struct Client {
    child: Child,
    began: Instant,
}

/// Starts `endless WORDS`, for the endless of a test whose runtime directory this is.
pub fn client(runtime: &Path, words: &str) -> Client {
    let mut command = Command::new(ENDLESS);
    command.args(words.split_whitespace()).env("XDG_RUNTIME_DIR", runtime).current_dir(runtime);
    command.env_remove("ENDLESS_CONTROL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    start(command)
}

fn start(mut command: Command) -> Client {
    // Whoever runs the tests in the background has SIGINT ignored, and that is inherited.
    // SAFETY: signal(2) may be called between fork and exec (signal-safety(7)), and no handler of ours is named.
    unsafe { command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?)) };
    // Before it is started: by the time spawn() returns it may have run for a while.
    let began = Instant::now();
    Client { child: command.spawn().unwrap(), began }
}

impl Client {
    /// Its pid.
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether it still waits.
    pub fn waits(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Said {
        super::until("the client ends", || self.child.try_wait().unwrap());
        let took = self.began.elapsed();
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr), took }
    }
}

impl Endless {
    /// Starts `endless WORDS` for this one, whatever else runs on this machine.
    pub fn client(&self, words: &str) -> Client {
        let mut command = Command::new(ENDLESS);
        command.args(words.split_whitespace()).current_dir(self.dir());
        if !words.contains("--pid-file") {
            command.env("ENDLESS_CONTROL", self.file("endless/target.sock"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        start(command)
    }

    /// The same, until it has ended.
    #[track_caller]
    pub fn order(&self, words: &str) -> Said {
        self.client(words).end()
    }

    /// A connection to its control socket.
    #[track_caller]
    pub fn control(&self) -> Line {
        Line::open(&self.file("endless/target.sock"))
    }

    /// `endless status --json target`.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let said = self.order("status --json target");
        assert_eq!(said.code, 0, "{said:?}");
        serde_json::from_str(&said.out).unwrap()
    }
}

/// A connection to a control socket, line by line.
pub struct Line {
    pub stream: BufReader<UnixStream>,
}

impl Line {
    #[track_caller]
    pub fn open(path: &Path) -> Line {
        let stream = super::until("the control socket is there", || UnixStream::connect(path).ok());
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Line { stream: BufReader::new(stream) }
    }

    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next answer; None at the end.
    #[track_caller]
    pub fn hear(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}
