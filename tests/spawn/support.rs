//! Launching `/bin/sh` and reading what it says.

use endless::plan::{Orphans, ProcessSpec};
use endless::spawn::{Inherited, Launch, Launched, launch, read_report, reap_all};
use endless::words::{Exit, Failure, Sig};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, pipe2};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One test at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One launch of a program with arguments, with everything else as plain as it can be.
pub struct Start {
    pub program: CString,
    pub argv: Vec<CString>,
    pub envp: Vec<CString>,
    pub listen_pid: bool,
    pub process: ProcessSpec,
    pub inherited: Inherited,
    pub stop_signal: Sig,
}

impl Start {
    pub fn new(words: &[&str]) -> Start {
        let argv: Vec<_> = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        Start {
            program: argv[0].clone(),
            argv,
            envp: vec![c"PATH=/usr/bin:/bin".into()],
            listen_pid: false,
            process: ProcessSpec { orphans: Orphans::Keep, ..ProcessSpec::default() },
            inherited: Inherited::default(),
            stop_signal: Sig::TERM,
        }
    }

    pub fn shell(script: &str) -> Start {
        Start::new(&["/bin/sh", "-c", script])
    }

    pub fn launch(&self, fds: &[(BorrowedFd<'_>, RawFd)]) -> Result<Launched, Failure> {
        launch(&Launch {
            program: &self.program,
            argv: &self.argv,
            envp: &self.envp,
            listen_pid: self.listen_pid,
            fds,
            process: &self.process,
            file_limit: None,
            stop_signal: self.stop_signal,
            inherited: &self.inherited,
            capture: endless::plan::Capture::Never,
            capture_removals: false,
        })
    }

    /// Runs it to its end with standard output in a pipe: its pid, what it printed and how it ended.
    pub fn output(&self, fds: &[(BorrowedFd<'_>, RawFd)]) -> (Pid, String, Exit) {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let mut all = fds.to_vec();
        all.push((theirs.as_fd(), 1));
        let launched = self.launch(&all).unwrap();
        drop(theirs);
        let mut text = String::new();
        File::from(ours).read_to_string(&mut text).unwrap();
        assert_eq!(report(&launched.report), Ok(()));
        (launched.pid, text, end_of(launched.pid))
    }
}

/// Waits for a report.
pub fn report(fd: &OwnedFd) -> Result<(), (String, i32)> {
    let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(5000u16)).unwrap(), 1, "no report");
    read_report(fd).expect("poll said there is one")
}

/// Waits for the end of a child.
pub fn end_of(pid: Pid) -> Exit {
    until("the child ends", || reap_all().into_iter().find(|(ended, _)| *ended == pid).map(|(_, exit)| exit))
}

/// Asks until there is an answer, for ten seconds at most.
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One line of /proc/PID/status.
pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect(name).trim()
}
