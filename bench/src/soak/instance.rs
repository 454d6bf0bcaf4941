//! One endless that runs through the whole soak, and what it has left behind in the end.

use crate::Result;
use crate::client::At;
use crate::launcher::{Kind, Running, Tools};
use crate::load;
use crate::system::{self, until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

/// Short times, so that much happens; no limit of respawns, for copies are killed all the time.
const OPTIONS: &str = "--probation 300ms --ready-timeout 5s --supersede 2s --hammer 4s --respawn-limit off";

/// Lets a copy fail or hang, or be the server, and writes into the log which of these it was told.
const WRAPPER: &str = r#"read mode < "$0"; echo "pid $$ shall $mode" >&2; case $mode in fail) exit 7;; hang) exec sleep 600;; esac; exec "$@""#;

/// What runs.
pub struct Setup {
    /// One word.
    pub name: &'static str,
    pub what: &'static str,
    /// Beside `OPTIONS`.
    pub options: &'static str,
    /// Listeners of endless; none if the server binds by itself.
    pub listen: Vec<String>,
    pub server: Vec<String>,
    pub at: At,
    pub clients: &'static [(load::Kind, usize)],
    /// Whether endless is upgraded in between. Where it is not, its memory is one life's.
    pub upgraded: bool,
}

/// What is open, counted when nothing happens.
#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    filters: usize,
    memory_kib: u64,
}

pub struct Instance<'t> {
    pub setup: Setup,
    tools: &'t Tools,
    running: Mutex<Running>,
    pid: u32,
    mode: PathBuf,
    first: Held,
    /// When copies were killed with what they had in flight: from when to when.
    kills: Mutex<Vec<(u64, u64)>>,
}

/// The directory for control sockets and everything else that endless keeps as long as it runs.
pub fn runtime(tools: &Tools) -> PathBuf {
    tools.directory.join("run")
}

/// Where the Unix path of a server lies.
pub fn sockets(tools: &Tools) -> PathBuf {
    tools.directory.join("sockets")
}

/// The command line of an endless that runs `server`, which fails or hangs when the file `mode` says so.
pub fn command(
    tools: &Tools,
    name: &str,
    mode: &Path,
    options: &str,
    listen: &[String],
    server: &[String],
) -> Result<Command> {
    fs::write(mode, "serve\n")?;
    let run = runtime(tools);
    let target = ["sh", "-c", WRAPPER, &mode.display().to_string()].map(str::to_owned);
    let options = format!(
        "{OPTIONS} --name {name} --pid-file {run}/{name}.pid --status-file {run}/{name}.status {options}",
        run = run.display()
    );
    let mut command = tools.launch(Kind::Endless, listen, &options, &[&target[..], server].concat())?;
    command.env("XDG_RUNTIME_DIR", run);
    Ok(command)
}

impl Instance<'_> {
    /// Starts it, and does once what is done again and again later, for what that leaves open for good is no leak.
    pub fn start(setup: Setup, tools: &Tools) -> Result<Instance<'_>> {
        let mode = tools.directory.join(format!("{}.mode", setup.name));
        let command = command(tools, setup.name, &mode, setup.options, &setup.listen, &setup.server)?;
        let running = Running::start(command, tools, setup.name)?;
        let pid = running.pid();
        let first = Held { files: 0, filters: 0, memory_kib: 0 };
        let running = Mutex::new(running);
        let mut instance = Instance { setup, tools, running, pid, mode, first, kills: Mutex::default() };
        instance.wait_for_active()?;
        instance.ask(&["restart"]);
        if instance.setup.upgraded {
            instance.ask(&["upgrade"]);
        }
        instance.ask(&["restart", "--drained"]);
        instance.first = instance.held();
        Ok(instance)
    }

    /// Starts a client, `endless restart` and so on.
    pub fn client(&self, words: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.tools.endless);
        command.args(words).arg(self.setup.name).env("XDG_RUNTIME_DIR", runtime(self.tools));
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// The same to its end: what it says, if it ends with 0.
    pub fn ask(&self, words: &[&str]) -> Option<String> {
        let output = self.client(words).ok()?.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn signal(&self, signal: i32) {
        system::kill(self.pid, signal);
    }

    /// Its control socket.
    pub fn control(&self) -> At {
        At::Unix(runtime(self.tools).join(format!("endless/{}.sock", self.setup.name)))
    }

    /// What copies that start from now on do: `serve`, `fail` or `hang`.
    pub fn copies_shall(&self, mode: &str) -> Result<()> {
        let new = self.mode.with_extension("new");
        fs::write(&new, format!("{mode}\n"))?;
        Ok(fs::rename(new, &self.mode)?)
    }

    /// The main process of the active generation.
    pub fn active(&self) -> Option<u32> {
        let status = self.ask(&["status", "--json"])?;
        let before = status.split("\"state\":\"active\"").next().filter(|before| before.len() < status.len())?;
        before.rsplit("\"pid\":").next()?.split(',').next()?.parse().ok()
    }

    pub fn wait_for_active(&self) -> Result<u32> {
        let active = until(Duration::from_secs(30), Duration::from_millis(10), || self.active());
        active.ok_or_else(|| "it does not serve".into())
    }

    /// Kills a copy, and notes when.
    pub fn kill(&self, copy: u32) {
        if !system::children(self.pid).contains(&copy) {
            return;
        }
        self.killing(|| {
            system::kill(copy, libc::SIGKILL);
            // Until endless has noticed, clients still come to the copy that is dead.
            let gone =
                || self.ask(&["status", "--json"]).is_some_and(|text| !text.contains(&format!("\"pid\":{copy},")));
            until(Duration::from_secs(10), Duration::from_millis(5), || gone().then_some(()));
        });
    }

    /// Notes that copies are killed while `kill` runs.
    pub fn killing(&self, kill: impl FnOnce()) {
        let began = system::now();
        kill();
        self.kills.lock().expect("nobody panics").push((began, system::now()));
    }

    /// Whether a copy was killed that had the request in flight.
    pub fn excuses(&self, lost: &load::Lost) -> bool {
        let cut = matches!(lost.how, crate::client::Loss::Unanswered | crate::client::Loss::Half);
        let kills = self.kills.lock().expect("nobody panics");
        cut && kills.iter().any(|&(from, to)| lost.began <= to && lost.ended >= from)
    }

    /// Counts once nothing happens any more.
    fn held(&self) -> Held {
        // Past everything that waits, and for longer than it takes endless to give memory back.
        until(Duration::from_secs(20), Duration::from_millis(50), || {
            (system::children(self.pid).len() == 1).then_some(())
        });
        sleep(Duration::from_millis(2500));
        let links = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
        Held {
            files: system::open_files(self.pid),
            filters: links.filter(|link| link.to_string_lossy().contains("seccomp")).count(),
            memory_kib: system::own_memory_kib(self.pid),
        }
    }

    /// What is there now and was not at first, in words; and its memory, at first and now.
    pub fn leaks(&self) -> (Vec<String>, u64, u64) {
        let (first, held) = (self.first, self.held());
        let mut leaks = Vec::new();
        let mut more = |what: &str, first: usize, now: usize| {
            if now > first {
                leaks.push(format!("{} {what}", now - first));
            }
        };
        more("descriptors", first.files, held.files);
        more("filters", first.filters, held.filters);
        let family = system::descendants(self.pid);
        let zombies = family.iter().filter(|&&pid| system::state(pid) == Some('Z')).count();
        more("processes", 1, family.len() - zombies);
        more("zombies", 0, zombies);
        let filters = |pid| system::field(&format!("/proc/{pid}/status"), "Seccomp_filters:") as usize;
        more("filters on the copy", first.filters, family.first().map_or(0, |&copy| filters(copy)));
        more("filters on endless", filters(std::process::id()), filters(self.pid));
        if held.memory_kib > first.memory_kib + GROWTH_KIB {
            leaks.push(format!("{} KiB of memory", held.memory_kib - first.memory_kib));
        }
        (leaks, first.memory_kib, held.memory_kib)
    }

    /// Stops it; false if it does not end well.
    pub fn stop(&self) -> bool {
        let ended = || self.running.lock().expect("nobody panics").ended_with(Duration::from_secs(10));
        self.ask(&["stop"]).is_some() && ended().is_some_and(|status| status.success())
    }
}

/// More than this is a leak. A heap that has been used is a little larger than one that has not.
const GROWTH_KIB: u64 = 256;
