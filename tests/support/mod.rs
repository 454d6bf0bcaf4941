//! The harness of the process tests: a real endless with a real target, and lines to wait for.
//!
//! Nothing here sleeps for a fixed time: every wait is for an event and has a deadline. Every process carries a mark in its
//! environment, by which it is found, and killed, when its test is over.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

pub mod asking;
pub mod client;
pub mod crowd;
pub mod load;
pub mod matrix;
pub mod processes;
pub mod talk;
pub mod tls;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// No wait takes longer. Far above anything that is waited for, because the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A port nobody has, below those that the kernel gives to clients and to `:0`, so that nobody takes it before the target does.
/// Every process of tests begins elsewhere. It is not bound to find that out: a child that another thread is just starting
/// would hold it for a while longer.
pub fn free_port() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(7919);
    let mut ports = std::iter::repeat_with(|| {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(10_000 + step % 20_000).unwrap()
    });
    ports.find(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()).unwrap().to_string()
}

/// A Unix socket whose program has ended. Nobody has it: a child that another thread is just starting would hold it for a while,
/// if it were made here.
pub fn leave_a_socket(path: impl AsRef<Path>) {
    let bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
    let left = Command::new("python3").args(["-c", bind]).arg(path.as_ref()).status().unwrap();
    assert!(left.success(), "{left}");
}

/// An address with such a port.
pub fn free_address() -> SocketAddr {
    format!("127.0.0.1:{}", free_port()).parse().unwrap()
}

/// The endless under test.
pub const ENDLESS: &str = env!("CARGO_BIN_EXE_endless");

/// An example, or the test target, built if it is not.
pub fn example(name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap();
    if !built.iter().any(|one| one == name) {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| env!("CARGO").to_owned());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "--example", name, "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        // What cargo tells a test. Dependencies that look at these would be built anew, and once more by the next cargo.
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"];
        for (name, _) in std::env::vars().filter(|(name, _)| told.iter().any(|start| name.starts_with(start))) {
            build.env_remove(name);
        }
        assert!(build.status().unwrap().success(), "the example {name} cannot be built");
        built.push(name.to_owned());
    }
    Path::new(ENDLESS).with_file_name("examples").join(name)
}

/// Writes a program, by a process of its own: what is open for writing cannot be executed (ETXTBSY, execve(2)), and a child
/// that another thread has just forked would have a descriptor of ours for a while.
#[track_caller]
pub fn write_program(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    let mut write = Command::new("sh");
    write.args(["-c", "cat >\"$0\" && chmod \"$1\" \"$0\""]).arg(path).arg(format!("{mode:o}"));
    let mut write = write.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut write.stdin.take().unwrap(), content.as_ref()).unwrap();
    assert!(write.wait().unwrap().success(), "{} cannot be written", path.display());
}

/// Copies a program, for the same reason by a process of its own.
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} cannot be copied", from.display());
}

/// Asks until there is an answer, or fails at the deadline.
#[track_caller]
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(began.elapsed() < DEADLINE, "waited {DEADLINE:?} until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn own_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("endless-test-").tempdir().unwrap()
}

/// How an endless is to be started.
pub struct Setup {
    command: Command,
    dir: Arc<tempfile::TempDir>,
    mark: String,
    target: Vec<String>,
}

/// A setup with these options of endless, split at blanks; `{dir}` is the test's own directory.
pub fn endless(options: &str) -> Setup {
    Setup::of(Command::new(ENDLESS), options)
}

impl Setup {
    /// The same with something in front of endless: `unshare`, `setpriv`.
    pub fn behind(words: &[&str], options: &str) -> Setup {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(ENDLESS);
        Setup::of(command, options)
    }

    /// A whole command line as people type it, `endless` in front. To be started with [`Setup::start_line`].
    pub fn line(line: &str) -> Setup {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {line}"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let first = Path::new(ENDLESS).parent().map(Path::to_path_buf);
        command.env("PATH", std::env::join_paths(first.into_iter().chain(std::env::split_paths(&path))).unwrap());
        Setup { target: Vec::new(), ..Setup::of(command, "") }
    }

    /// The same with an endless that lies in the test's own directory, where it can be replaced.
    pub fn own(put: impl FnOnce(&Path), options: &str) -> Setup {
        let dir = Arc::new(own_dir());
        put(&dir.path().join("endless-here"));
        Setup::within(&dir, Command::new(dir.path().join("endless-here")), options)
    }

    fn of(command: Command, options: &str) -> Setup {
        Setup::within(&Arc::new(own_dir()), command, options)
    }

    fn within(dir: &Arc<tempfile::TempDir>, mut command: Command, options: &str) -> Setup {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = Arc::clone(dir);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let words = options.split_whitespace().map(|word| word.replace("{dir}", &dir.path().display().to_string()));
        command.args(words).env(processes::MARK, &mark).current_dir(dir.path()).stdin(Stdio::null());
        command.env_remove("JOURNAL_STREAM").env("XDG_RUNTIME_DIR", dir.path());
        Setup { command, dir, mark, target: vec![example("target").display().to_string()] }
    }

    /// One more option whose value has blanks in it.
    pub fn option(mut self, name: &str, value: &str) -> Setup {
        self.command.arg(name).arg(value.replace("{dir}", &self.dir.path().display().to_string()));
        self
    }

    /// A variable of endless itself.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.command.env(name, value);
        self
    }

    /// The test's own directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What to do to the process before it becomes endless.
    ///
    /// # Safety
    /// As for `CommandExt::pre_exec`.
    pub unsafe fn pre_exec(mut self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Setup {
        use std::os::unix::process::CommandExt;
        // SAFETY: the caller's promise.
        unsafe { self.command.pre_exec(act) };
        self
    }

    /// Starts it with the test target and these words for it; `{dir}` as above.
    pub fn start(mut self, words: &[&str]) -> Endless {
        let dir = self.dir.path().display().to_string();
        self.target.extend(words.iter().map(|word| word.replace("{dir}", &dir)));
        self.run()
    }

    /// Starts it with this command.
    pub fn start_command(mut self, command: &[&str]) -> Endless {
        let dir = self.dir.path().display().to_string();
        self.target = command.iter().map(|word| word.replace("{dir}", &dir)).collect();
        self.run()
    }

    /// Starts a whole command line.
    pub fn start_line(self) -> Endless {
        self.run()
    }

    fn run(mut self) -> Endless {
        let (read, write) = std::io::pipe().unwrap();
        if !self.target.is_empty() {
            self.command.arg("--").args(&self.target);
        }
        self.command.stdout(write.try_clone().unwrap()).stderr(write);
        let child = self.command.spawn().unwrap();
        // Its ends of the pipe are closed with it.
        drop(self.command);
        let lines = Arc::new(Lines::default());
        let filled = Arc::clone(&lines);
        thread::spawn(move || filled.fill(read));
        Endless { pid: Pid::from_raw(child.id().cast_signed()), child, lines, dir: self.dir, mark: self.mark }
    }
}

/// Everything endless and its targets have printed.
#[derive(Default)]
struct Lines {
    all: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Lines {
    fn fill(&self, from: PipeReader) {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { break };
            self.all.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
            self.more.notify_all();
        }
        self.all.lock().unwrap().1 = true;
        self.more.notify_all();
    }
}

/// A running endless. When it goes, everything it has started goes with it.
pub struct Endless {
    pid: Pid,
    child: Child,
    lines: Arc<Lines>,
    dir: Arc<tempfile::TempDir>,
    mark: String,
}

impl Endless {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The test's own directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in that directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The files in that directory, but the one every endless of a user keeps its control socket in, when it is empty.
    pub fn left(&self) -> Vec<String> {
        let _ = fs::remove_dir(self.file("endless"));
        let names = fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    /// Makes an empty file there: what `wait=` and `crash=` wait for.
    pub fn touch(&self, name: &str) {
        fs::write(self.file(name), "").unwrap();
    }

    /// Waits for a line with this in it, printed at any time since the start. Returns the line.
    #[track_caller]
    pub fn wait(&self, part: &str) -> String {
        self.wait_for(&[part], 1)
    }

    /// Waits for a line that has all of these in it.
    #[track_caller]
    pub fn wait_with(&self, parts: &[&str]) -> String {
        self.wait_for(parts, 1)
    }

    /// Waits until there are `count` lines with this in them. Returns the last of these.
    #[track_caller]
    pub fn wait_count(&self, part: &str, count: usize) -> String {
        self.wait_for(&[part], count)
    }

    #[track_caller]
    fn wait_for(&self, parts: &[&str], count: usize) -> String {
        let began = Instant::now();
        let mut all = self.lines.all.lock().unwrap();
        loop {
            let mut fitting = all.0.iter().filter(|line| parts.iter().all(|part| line.contains(part)));
            if let Some(line) = fitting.nth(count - 1) {
                return line.clone();
            }
            let left = DEADLINE.saturating_sub(began.elapsed());
            if left.is_zero() || all.1 {
                let why =
                    if all.1 { "it has ended".to_owned() } else { format!("the deadline is over; {}", self.doing()) };
                let said = all.0.join("\n");
                drop(all);
                panic!("no {count} lines with {parts:?}: {why}. It said:\n{said}");
            }
            all = self.lines.more.wait_timeout(all, left).unwrap().0;
        }
    }

    /// What it is about, for people (proc(5)).
    fn doing(&self) -> String {
        let about = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        ["stat", "syscall", "stack"].map(about).join(" ")
    }

    /// Everything printed so far.
    pub fn said(&self) -> Vec<String> {
        self.lines.all.lock().unwrap().0.clone()
    }

    /// How many lines have this in them so far.
    pub fn count(&self, part: &str) -> usize {
        self.said().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until nobody can print any more, and returns everything that was.
    #[track_caller]
    pub fn everything(&self) -> Vec<String> {
        until("everybody has closed the output", || self.lines.all.lock().unwrap().1.then_some(()));
        self.said()
    }

    /// Waits until this generation is ready. Returns its pid.
    #[track_caller]
    pub fn ready(&self, generation: u32) -> Pid {
        pid_in(&self.wait_with(&[&format!("generation {generation} (pid "), "is ready"]))
    }

    /// Waits until this generation is gone, tree and all.
    #[track_caller]
    pub fn gone(&self, generation: u32) {
        self.wait(&format!("]: generation {generation} is gone"));
    }

    /// Where the listener of this number really listens, from its line in the log.
    #[track_caller]
    pub fn address(&self, number: usize) -> SocketAddr {
        let line = self.wait_count("listening on ", number + 1);
        let rest = line.split("listening on ").nth(1).unwrap();
        let rest = rest.strip_prefix("udp:").unwrap_or(rest);
        rest.split([' ', ',']).next().unwrap().parse().unwrap_or_else(|_| panic!("no address in {line:?}"))
    }

    /// Sends a signal to endless.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// Stops it until SIGCONT. It may still run when kill(2) has returned, and is sent nothing before it does not.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let stopped = || processes::status(self.pid, "State").is_some_and(|state| state.starts_with('T'));
        until("endless is stopped", || stopped().then_some(()));
    }

    /// Restarts and waits until that generation is ready. Returns its pid.
    #[track_caller]
    pub fn restart(&self, generation: u32) -> Pid {
        self.signal(Signal::SIGHUP);
        self.ready(generation)
    }

    /// Asks for the greeting at the first listener: the generation and the pid that answered.
    #[track_caller]
    pub fn ask(&self) -> (u32, Pid) {
        let answer = client::get(self.address(0), "/").unwrap_or_else(|error| panic!("{error}; {:#?}", self.said()));
        client::greeting(&answer)
    }

    /// The pids of all living processes of this test but endless.
    pub fn others(&self) -> Vec<Pid> {
        processes::marked(&self.mark).into_iter().filter(|pid| *pid != self.pid).collect()
    }

    /// Waits until endless has done everything that was asked of it so far: a signal that asks for nothing is answered after
    /// that.
    #[track_caller]
    pub fn settle(&self) {
        let before = self.count("SIGTSTP");
        self.signal(Signal::SIGTSTP);
        self.wait_count("SIGTSTP", before + 1);
    }

    /// How many descriptors endless has open when it has settled.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        self.settle();
        processes::descriptors(self.pid)
    }

    /// Waits until it has this many descriptors open.
    #[track_caller]
    pub fn wait_for_descriptors(&self, number: usize) {
        until("no more descriptors are open than before", || (self.descriptors() == number).then_some(()));
    }

    /// Waits until these are all its living processes.
    #[track_caller]
    pub fn wait_for_only(&self, pids: &[Pid]) {
        let mut wanted = pids.to_vec();
        wanted.sort_unstable();
        until("nothing but the expected processes is left", || {
            let mut others = self.others();
            others.sort_unstable();
            (others == wanted).then_some(())
        });
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "it does not end; {}; it said {:#?}", self.doing(), self.said());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has ended, and nothing it started is left. Returns its exit status as a shell shows it.
    #[track_caller]
    pub fn ended_clean(&mut self) -> i32 {
        let status = self.ended();
        // A process that a hook or a check had started may have been killed with it.
        let mut left = processes::marked(&self.mark);
        left.retain(|pid| !processes::doomed(*pid) && processes::alive(*pid));
        assert!(left.is_empty(), "it left {left:?} behind; it said:\n{}", self.said().join("\n"));
        // Nobody is left who could print; what is in the pipe is read.
        self.everything();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// SIGTERM, then [`Endless::ended_clean`].
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.ended_clean()
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        processes::kill_marked(&self.mark);
    }
}

/// The pid in `(pid N)`.
pub fn pid_in(line: &str) -> Pid {
    let number = line.split("(pid ").nth(1).and_then(|rest| rest.split(')').next());
    Pid::from_raw(number.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no pid in {line:?}")))
}
