//! The programs that are compared, and one of them at work.

use crate::client::{Answer, ask};
use crate::system::{self, until};
use crate::{Failure, Result};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Tools {
    pub endless: PathBuf,
    /// The example of that name.
    pub simple_server: PathBuf,
    /// The C program of targets/target.c, linked statically.
    pub target: PathBuf,
    /// The same, linked with the C library as it is shared, as almost every program is.
    pub linked: PathBuf,
    /// Debian's libserver-starter-perl, if it is installed.
    pub starter: Option<PathBuf>,
    /// Logs and stamps; removed at the end unless something failed.
    pub directory: PathBuf,
}

/// Who launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Endless,
    Starter,
}

impl Tools {
    pub fn target(&self, arguments: &str) -> Vec<String> {
        words(&self.target.display().to_string(), arguments)
    }

    pub fn simple_server(&self) -> Vec<String> {
        words(&self.simple_server.display().to_string(), "")
    }

    /// A server that binds this port or Unix path by itself.
    pub fn server_py(&self, place: &str) -> Vec<String> {
        vec![
            "python3".to_owned(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/targets/server.py").to_owned(),
            place.to_owned(),
        ]
    }

    /// The command that runs `target` with these listeners; `options` are endless' own.
    pub fn launch(&self, kind: Kind, listen: &[String], options: &str, target: &[String]) -> Result<Command> {
        let mut command = match kind {
            Kind::Endless => {
                let mut command = Command::new(&self.endless);
                command.args(listen.iter().flat_map(|address| ["-l", address]));
                command.args(options.split_whitespace());
                command
            }
            Kind::Starter => {
                let starter = self.starter.as_ref().ok_or("start_server is not installed (libserver-starter-perl)")?;
                let mut command = Command::new(starter);
                // Sockets at 3, 4, ... and LISTEN_FDS, so that both launchers run the very same target.
                let ports = listen.iter().enumerate().map(|(index, address)| format!("--port={address}={}", 3 + index));
                command.args(ports).arg("--interval=1").env("LISTEN_FDS", listen.len().to_string());
                command
            }
        };
        command.arg("--").args(target);
        Ok(command)
    }

    /// A file for stamps, empty, and only for one run.
    pub fn stamps(&self, name: &str) -> Stamps {
        let file = self.directory.join(format!("{name}.stamps"));
        let _ = fs::remove_file(&file);
        Stamps { file }
    }
}

fn words(first: &str, rest: &str) -> Vec<String> {
    std::iter::once(first).chain(rest.split_whitespace()).map(str::to_owned).collect()
}

/// An address nobody listens on, below the ports that clients are given.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 12_000 + (std::process::id() as u16 % 5000) + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// What targets note about themselves: see targets/target.c.
#[derive(Debug, Clone)]
pub struct Stamps {
    pub file: PathBuf,
}

impl Stamps {
    /// When each process noted this event.
    pub fn all(&self, event: &str) -> Vec<(u32, u64)> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.strip_prefix(event)?.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    pub fn of(&self, event: &str, pid: u32) -> Option<u64> {
        self.all(event).into_iter().find(|&(by, _)| by == pid).map(|(_, when)| when)
    }
}

/// A program at work. It is stopped, with all it has started, when this goes.
pub struct Running {
    child: Child,
    log: PathBuf,
    pub started: u64,
}

impl Running {
    pub fn start(mut command: Command, tools: &Tools, name: &str) -> Result<Running> {
        let log = tools.directory.join(format!("{name}.log"));
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = system::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Running { child, log, started })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers here, asking every `every`.
    pub fn first_answer(&mut self, address: SocketAddr, every: Duration) -> Result<Answer> {
        self.answer_of_other_than(&[], address, every)
    }

    /// Waits until a process answers that is none of these.
    pub fn answer_of_other_than(&mut self, old: &[u32], address: SocketAddr, every: Duration) -> Result<Answer> {
        let answer = until(Duration::from_secs(10), every, || {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Some(None);
            }
            ask(address, "/").ok().filter(|answer| !old.contains(&answer.pid)).map(Some)
        });
        answer.flatten().ok_or_else(|| self.failure("no answer of a new process within 10 s"))
    }

    /// Asks for a restart.
    pub fn hang_up(&self) {
        system::kill(self.pid(), libc::SIGHUP);
    }

    /// Waits for it to end.
    pub fn ended_with(&mut self, patience: Duration) -> Option<ExitStatus> {
        until(patience, Duration::from_millis(1), || self.child.try_wait().ok().flatten())
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, patience: Duration) -> bool {
        self.ended_with(patience).is_some()
    }

    /// An error with the last lines of its log.
    pub fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(8)..].join("\n    ");
        format!("{what}\n  {}:\n    {tail}", self.log.display()).into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let family = system::descendants(self.pid());
        system::kill(self.pid(), libc::SIGTERM);
        if !self.wait(Duration::from_secs(3)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Whoever is left of the family has become our child (`system::prepare`); others no longer exist.
        let ours = system::children(std::process::id());
        for pid in family.into_iter().filter(|pid| ours.contains(pid)) {
            system::kill(pid, libc::SIGKILL);
            until(Duration::from_secs(1), Duration::from_millis(1), || {
                system::reap(pid);
                system::state(pid).is_none().then_some(())
            });
        }
    }
}
