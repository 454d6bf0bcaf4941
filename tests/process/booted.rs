//! A real systemd, booted in namespaces of its own, with the units of examples/systemd. Skipped where that may not be.

use crate::support::client::{get, greeting};
use crate::support::{ENDLESS, copy_program, example, free_address, processes, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// How long it may take to boot.
const PATIENCE: Duration = Duration::from_secs(15);

/// Becomes the first process of a system whose files are ours, read-only, and whose /run/here is the test's directory.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/here /run/systemd/system
mount --bind "$1" /run/here
for dir in /tmp /var/tmp /sys/fs/cgroup; do mount -t tmpfs tmpfs $dir; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -o remount,bind,ro /
cp /run/here/units/* /run/systemd/system
exec env -i container=endless-test PATH=/usr/bin:/bin /lib/systemd/systemd --unit=test.target --log-target=null --show-status=no
"#;

/// A booted system. When it goes, all its processes do.
struct Machine {
    dir: tempfile::TempDir,
    group: PathBuf,
    child: Child,
    first: Pid,
}

impl Machine {
    /// Boots one with these units beside an empty target. None where it cannot be, which is said.
    fn boot(units: &[(&str, String)]) -> Option<Machine> {
        let skipped = |why: &str| eprintln!("skipped: no systemd can be booted here: {why}");
        if !geteuid().is_root() || !Path::new(SYSTEMD).exists() {
            skipped("it needs root and systemd");
            return None;
        }
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mut cgroups = mounts.lines().filter(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let dir = tempfile::Builder::new().prefix("endless-test-").tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("units")).unwrap();
        let target = ("test.target", "[Unit]\nDefaultDependencies=no\n".to_owned());
        for (name, text) in units.iter().chain([&target]) {
            fs::write(dir.path().join("units").join(name), text).unwrap();
        }
        for (file, name) in [(Path::new(ENDLESS), "endless"), (&example("target"), "app")] {
            copy_program(file, &dir.path().join(name));
        }
        let Some(group) = cgroups.next().and_then(|line| line.split(' ').nth(1)).map(PathBuf::from) else {
            skipped("there is no cgroup2");
            return None;
        };
        let group = group.join(dir.path().file_name().unwrap());
        if let Err(error) = fs::create_dir(&group) {
            skipped(&format!("{}: {error}", group.display()));
            return None;
        }
        let shell = "echo $$ >\"$2/cgroup.procs\" && exec unshare --pid --mount --uts --ipc --cgroup --fork --kill-child sh -c \"$3\" sh \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", shell, "sh"]).arg(dir.path()).arg(&group).arg(BOOT);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut machine = Machine { dir, group, child, first: Pid::from_raw(0) };
        // One that cannot go on as the first process does not end but waits for ever.
        let began = Instant::now();
        while machine.child.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE {
            if machine.is_up() {
                return Some(machine);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        skipped(&format!("it is not up after {:?}", began.elapsed()));
        None
    }

    fn is_up(&mut self) -> bool {
        let children = processes::descendants(Pid::from_raw(self.child.id().cast_signed()));
        self.first = children.first().copied().unwrap_or(self.first);
        self.first.as_raw() > 0 && self.ctl(&["is-active", "test.target"]).status.success()
    }

    /// Runs a program in it.
    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--"]);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// `systemctl WORDS`.
    fn ctl(&self, words: &[&str]) -> Output {
        self.inside(&[&["systemctl", "--no-pager"], words].concat()).output().unwrap()
    }

    #[track_caller]
    fn ctl_well(&self, words: &[&str]) {
        let done = self.ctl(words);
        assert!(done.status.success(), "systemctl {words:?}: {}", self.told(&done));
    }

    fn told(&self, done: &Output) -> String {
        let logs = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        format!("{}{}\n{logs}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    }

    fn property(&self, unit: &str, name: &str) -> String {
        let done = self.ctl(&["show", "--value", "--property", name, unit]);
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.first.as_raw() > 0 {
            // Our child's child: its number is nobody else's before our child, which waits for it, has ended.
            let _ = kill(self.first, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        until("its processes are gone", || remove_groups(&self.group).then_some(()));
    }
}

fn remove_groups(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// A unit of examples/systemd that serves this address, with these words for the test target.
fn unit(name: &str, at: SocketAddr, words: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    text.replace("/usr/local/bin/endless", "/run/here/endless")
        .replace("-- /usr/local/bin/app", &format!("-- /run/here/app {words}"))
        .replace("-l :80", &format!("-l {at}"))
        .replace("ListenStream=80", &format!("ListenStream={at}"))
        .replace("--user nobody", "--log-file /run/here/log --probation 0")
}

fn generation(at: SocketAddr) -> u32 {
    greeting(&get(at, "/").unwrap()).0
}

#[test]
fn systemctl_reload_blocks_until_ready_fails_with_the_candidate_and_keeps_the_main_pid() {
    let at = free_address();
    let Some(machine) = Machine::boot(&[("app.service", unit("app.service", at, "2:wait=/run/here/go 3:exit=7"))])
    else {
        return;
    };
    machine.ctl_well(&["start", "app.service"]);
    assert_eq!(generation(at), 1);
    let main = machine.property("app.service", "MainPID");
    let mut reload = machine.inside(&["systemctl", "reload", "app.service"]).spawn().unwrap();
    until("generation 2 is starting", || {
        fs::read_to_string(machine.dir.path().join("log")).unwrap().contains("starting generation 2").then_some(())
    });
    assert_eq!(machine.property("app.service", "ActiveState"), "reloading");
    assert_eq!((generation(at), reload.try_wait().unwrap()), (1, None), "it blocks");
    fs::write(machine.dir.path().join("go"), "").unwrap();
    assert!(reload.wait().unwrap().success());
    assert_eq!(generation(at), 2);
    let failed = machine.ctl(&["reload", "app.service"]);
    assert!(!failed.status.success(), "{}", machine.told(&failed));
    assert_eq!((machine.property("app.service", "ActiveState").as_str(), generation(at)), ("active", 2));
    machine.ctl_well(&["reload", "app.service"]);
    assert_eq!(generation(at), 4);
    assert_eq!(machine.property("app.service", "MainPID"), main);
    machine.ctl_well(&["stop", "app.service"]);
    let result = [machine.property("app.service", "Result"), machine.property("app.service", "ActiveState")];
    assert_eq!(result, ["success", "inactive"]);
}

#[test]
fn a_socket_of_systemd_starts_it_and_is_kept_over_stops_and_reloads() {
    let at = free_address();
    let units = ["activated.socket", "activated.service"]
        .map(|name| (name, unit(name, at, "").replace("--hammer", "--settle 200ms --probation 0 --hammer")));
    let Some(machine) = Machine::boot(&units) else { return };
    machine.ctl_well(&["start", "activated.socket"]);
    assert_eq!(machine.property("activated.service", "ActiveState"), "inactive");
    assert_eq!(generation(at), 1, "a client starts it");
    // A reload of what is just starting is part of the start.
    until("it is up", || (machine.property("activated.service", "ActiveState") == "active").then_some(()));
    let main = machine.property("activated.service", "MainPID");
    machine.ctl_well(&["reload", "activated.service"]);
    // They share this socket, so the old copy accepts until it has heard that it is to stop.
    until("the new copy answers", || (generation(at) == 2).then_some(()));
    assert_eq!(machine.property("activated.service", "MainPID"), main);
    machine.ctl_well(&["stop", "activated.service"]);
    assert_eq!(generation(at), 1, "the next client starts it again");
    assert_ne!(machine.property("activated.service", "MainPID"), main);
}
