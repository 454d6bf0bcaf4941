//! All of sd_notify(3): what copies say, who may speak for them, and the senders people use.

use crate::support::{Endless, endless, processes, until};
use nix::fcntl::AT_FDCWD;
use nix::sys::signal::Signal;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::geteuid;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

#[test]
fn status_stopping_reloading_and_errno_are_told() {
    let mut endless =
        endless("-l 127.0.0.1:0 -v").start(&["notify=STATUS=warm\\nERRNO=13\\nSTOPPING=1\\nRELOADING=1", "notify"]);
    endless.wait("says: warm");
    endless.wait("generation 1 says: Permission denied (13)");
    endless.wait("generation 1 says that it is stopping");
    endless.wait("generation 1 says that it is reloading");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_candidate_may_ask_for_more_time() {
    let more = "notify=EXTEND_TIMEOUT_USEC=60000000";
    let mut endless =
        endless("-l 127.0.0.1:0 --ready notify --ready-timeout 5s").start(&[more, "wait={dir}/go", "notify"]);
    endless.wait("waits for");
    let began = std::time::Instant::now();
    until("its first limit is over", || (began.elapsed().as_secs() >= 6).then_some(()));
    endless.touch("go");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_misses_its_watchdog_is_killed_and_started_again() {
    let mut endless = endless("-l 127.0.0.1:0 --watchdog 3s").start(&["alive=100", "2+:print=again"]);
    endless.wait("WATCHDOG_USEC is 3000000");
    let first = endless.ready(1);
    endless.touch("silent");
    endless.wait_with(&["generation 1", "is stuck: no WATCHDOG=1 for 3s"]);
    std::fs::remove_file(endless.file("silent")).unwrap();
    endless.ready(2);
    assert!(!processes::alive(first));
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn one_that_is_stuck_in_its_probation_gives_way_to_the_older_one() {
    let mut endless = endless("-l 127.0.0.1:0 --watchdog 30s --probation 20s").start(&[
        "1:alive=100",
        "2:notify=WATCHDOG=1",
        "2:wait={dir}/go",
        "2:notify=READY=1\\nWATCHDOG=trigger",
    ]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2", "waits for"]);
    endless.touch("go");
    endless.wait_with(&["generation 2", "says that it is stuck"]);
    endless.wait_with(&["generation 1", "serves again"]);
    assert_eq!(endless.ask(), (1, first));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn descriptors_are_kept_for_the_next_generation() {
    let mut endless = endless("-l web=127.0.0.1:0 --probation 0").start(&["stored=db", "1:store=db", "1:barrier"]);
    endless.wait_with(&["target 1", "names web"]);
    endless.ready(1);
    endless.wait("the barrier is answered");
    endless.restart(2);
    endless.wait_with(&["target 2", "names web:db"]);
    endless.wait_with(&["target 2", "found left by generation 1"]);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn descriptors_for_which_the_ready_pipe_leaves_no_room_are_not_kept() {
    let words = ["write=5", "1:store=a", "1:store=b", "1:barrier", "2:stored=a"];
    let mut endless = endless("-l web=127.0.0.1:0 --probation 0 --ready fd=5").start(&words);
    endless.ready(1);
    endless.wait_with(&["1 descriptors of generation 1 are not kept: descriptor 5"]);
    endless.restart(2);
    endless.wait_with(&["target 2", "names web:a"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn no_more_descriptors_are_kept_than_asked_for_and_they_can_be_taken_back() {
    let words = ["store=a", "store=b", "barrier", "2:stored=a", "notify=FDSTOREREMOVE=1\\nFDNAME=a", "3:stored=a"];
    let mut endless = endless("-l web=127.0.0.1:0 --probation 0 --fd-store-max 1").start(&words);
    endless.wait("1 descriptors of generation 1 are not kept: --fd-store-max 1");
    endless.ready(1);
    endless.wait_with(&["target 1", "said FDSTOREREMOVE=1"]);
    endless.restart(2);
    endless.wait_with(&["target 2", "names web"]);
    assert_eq!(endless.count("names web:b"), 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn another_main_process_is_one_of_the_copy_or_none() {
    let mut endless = endless("-l 127.0.0.1:0 -v").start(&["notify=MAINPID=1", "notify=MAINPID=PID", "notify"]);
    endless.wait("names a stranger as its main process (MAINPID=1): ignored");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_server_that_goes_to_the_background_and_says_so_is_followed() {
    let target = crate::support::example("target").display().to_string();
    // The first shell ends; the server it has started says which process it is.
    let script = "\"$0\" notify=MAINPID=PID wait=go notify & while ! test -e gone; do sleep 0.05; done";
    let mut endless =
        endless("-l 127.0.0.1:0 --ready notify --listen-pid none").start_command(&["sh", "-c", script, &target]);
    let line = endless.wait("said MAINPID=");
    let server: i32 = line.rsplit('=').next().unwrap().trim().parse().unwrap();
    endless.touch("gone");
    endless.wait(&format!("the main process of generation 1 is pid {server} from now on (MAINPID)"));
    endless.touch("go");
    assert_eq!(endless.ready(1).as_raw(), server);
    assert_eq!(endless.ask().1.as_raw(), server);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stranger_is_refused_and_told_about() {
    let mut endless = endless("-l 127.0.0.1:0 --ready notify").start(&["env=NOTIFY_SOCKET", "wait={dir}/go", "notify"]);
    let line = endless.wait("NOTIFY_SOCKET=");
    let path = line.split("NOTIFY_SOCKET=").nth(1).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"READY=1", path).unwrap();
    endless.wait_with(&["notify socket of generation 1 came from a stranger", "is ignored"]);
    assert_eq!(endless.count("is ready"), 0);
    endless.touch("go");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_sockets_that_a_killed_one_has_left_are_removed_by_the_next_one_and_no_others() {
    let runtime = tempfile::tempdir().unwrap();
    let at = runtime.path().display().to_string();
    let options = "-l 127.0.0.1:0 --ready notify --on USR1=upgrade";
    let start = || endless(options).env("XDG_RUNTIME_DIR", &at).start(&["notify"]);
    let path = |of: &Endless, generation: u32| runtime.path().join(format!("endless-{}.{generation}", of.pid()));
    let upgraded = start();
    upgraded.ready(1);
    upgraded.signal(Signal::SIGUSR1);
    upgraded.wait("has taken over from endless");
    let mut killed = start();
    killed.ready(1);
    killed.signal(Signal::SIGKILL);
    killed.ended();
    // A younger socket might be one whose endless is just about to be reached there.
    let old = TimeSpec::new(0, 0);
    utimensat(AT_FDCWD, &path(&killed, 1), &old, &old, UtimensatFlags::NoFollowSymlink).unwrap();
    // Each looks for what others have left while the next ones make theirs.
    let next: Vec<Endless> = (0..8).map(|_| start()).collect();
    for one in &next {
        one.ready(1);
    }
    until("it is removed", || (!path(&killed, 1).exists()).then_some(()));
    for one in next.iter().chain([&upgraded]) {
        assert!(path(one, 1).exists());
        one.restart(2);
        assert!(path(one, 2).exists());
    }
}

/// A program people use to say READY=1, in front of the target, which says nothing.
fn says_ready(sender: &str) {
    let target = crate::support::example("target").display().to_string();
    let script = format!("{sender} && exec \"$0\" print=sent");
    let mut endless = endless("-l 127.0.0.1:0 --ready notify").start_command(&["sh", "-c", &script, &target]);
    endless.wait_with(&["generation 1 ", "is ready", "READY=1"]);
    endless.wait("sent");
    assert_eq!(endless.ask().0, 1);
    assert_eq!(endless.stop(), 0);
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        // `make setup` installs it.
        eprintln!("{program} is not here");
    }
    found
}

#[test]
fn systemd_notify() {
    if has("systemd-notify") {
        says_ready("systemd-notify --ready");
        says_ready("systemd-notify --ready --no-block");
    }
}

#[test]
fn systemd_notify_as_nobody() {
    if has("systemd-notify") && geteuid().is_root() {
        says_ready("setpriv --reuid 65534 --clear-groups systemd-notify --ready");
    }
}

/// With a barrier, as sd_notify_barrier(3) sends it: it fails when nobody closes the other end.
#[test]
fn python() {
    let send = "import os, select, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1'); r, w = os.pipe(); \
                socket.send_fds(s, [b'BARRIER=1'], [w]); os.close(w); exit(not select.select([r], [], [], 20)[0])";
    if has("python3") {
        says_ready(&format!("python3 -c \"{send}\""));
    }
}

/// Node.js has no datagram sockets of this kind: its programs run systemd-notify, and name themselves.
#[test]
fn node() {
    if !has("node") || !has("systemd-notify") {
        return;
    }
    let server = "const s = require('http').createServer((q, a) => a.end( \
                    `Hello, world ${process.env.ENDLESS_GENERATION} ${process.pid}!\\n`)); \
                  process.on('SIGTERM', () => s.close()); \
                  s.listen({fd: 3}, () => require('child_process').execFileSync( \
                    'systemd-notify', ['--ready', `--pid=${process.pid}`, '--status=serving']))";
    let mut endless = endless("-l 127.0.0.1:0 --ready notify").start_command(&["node", "-e", server]);
    for generation in [1, 2] {
        endless.wait_with(&[&format!("generation {generation} "), "is ready", "READY=1"]);
        assert_eq!(endless.ask().0, generation);
        if generation == 1 {
            endless.restart(2);
        }
    }
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("stranger"), 0);
}

/// npm's sd-notify. It compiles something of libsystemd's on the spot, with node's headers where they are.
#[test]
fn the_node_library() {
    let headers = "/usr/include/node/node.h";
    if !has("npm")
        || !has("c++")
        || ![headers, "/usr/include/systemd/sd-daemon.h"].iter().all(|it| Path::new(it).exists())
    {
        return eprintln!("what npm's sd-notify is made with is not here");
    }
    let setup = endless("-l 127.0.0.1:0 --ready notify -v");
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "--nodedir=/usr", "sd-notify@2"]);
    if !install.current_dir(setup.dir()).status().unwrap().success() {
        return eprintln!("npm's sd-notify cannot be had");
    }
    let server = "const s = require('http').createServer((q, a) => a.end( \
                    `Hello, world ${process.env.ENDLESS_GENERATION} ${process.pid}!\\n`)); \
                  process.on('SIGTERM', () => s.close()); \
                  const notify = require('sd-notify'); \
                  s.listen({fd: 3}, () => { notify.ready(); notify.sendStatus('warm') })";
    let mut endless = setup.start_command(&["node", "-e", server]);
    endless.wait_with(&["generation 1 ", "is ready", "READY=1"]);
    assert_eq!(endless.ask().0, 1);
    endless.wait_with(&["generation 1 ", "says: warm"]);
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("stranger"), 0);
}

#[test]
fn the_go_library() {
    let packages = "/usr/share/gocode";
    if !has("go") || !Path::new(packages).join("src/github.com/coreos/go-systemd").exists() {
        return;
    }
    let setup = tempfile::tempdir().unwrap();
    let (source, sender) = (setup.path().join("ready.go"), setup.path().join("ready"));
    let program = "package main\nimport (\n\"os\"\n\"github.com/coreos/go-systemd/daemon\"\n)\nfunc main() {\n\
                   if sent, _ := daemon.SdNotify(false, daemon.SdNotifyReady); !sent { os.Exit(1) }\n}\n";
    std::fs::write(&source, program).unwrap();
    let mut build = Command::new("go");
    build.args(["build", "-o"]).args([&sender, &source]).envs([("GO111MODULE", "off"), ("GOPATH", packages)]);
    assert!(build.status().unwrap().success());
    says_ready(&sender.display().to_string());
}

#[test]
fn the_rust_crate() {
    let notify = crate::support::example("notify").display().to_string();
    let mut endless = endless("-l 127.0.0.1:0 --ready notify").start_command(&[&notify]);
    endless.wait_with(&["generation 1 ", "is ready", "READY=1"]);
    let second = endless.restart(2);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn two_signals_that_are_pending_together_are_told_apart() {
    let mut endless = endless("-l 127.0.0.1:0 --pass endless-json --probation 0").start(&[
        "as=endless-json",
        "wait={dir}/go",
        "parent=INT",
    ]);
    let first = endless.ready(1);
    endless.freeze();
    endless.touch("go");
    endless.wait("sends INT to");
    // The copy's INT and the operator's TERM wait together.
    endless.signal(Signal::SIGTERM);
    endless.signal(Signal::SIGCONT);
    endless.wait_with(&["SIGTERM from pid", "stop"]);
    assert_eq!(endless.ended_clean(), 0);
    assert!(!processes::alive(first));
}

#[test]
fn a_runtime_directory_whose_path_is_too_long_for_a_socket_is_passed_over() {
    let setup = endless("-l 127.0.0.1:0 --ready notify");
    let long = setup.dir().join("x".repeat(100));
    std::fs::create_dir(&long).unwrap();
    let mut endless = setup.env("XDG_RUNTIME_DIR", long.to_str().unwrap()).start(&["notify"]);
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_main_process_that_has_ended_unnoticed_is_not_the_one_to_stop() {
    let script = "import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child = os.fork()
if child == 0: signal.pause()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b'MAINPID=%d\\nREADY=1' % child, os.environ['NOTIFY_SOCKET'])
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
os.write(1, b'it is gone\\n')
while True: signal.pause()
";
    let mut endless = endless("--ready notify").start_command(&["python3", "-c", script]);
    endless.ready(1);
    endless.wait("it is gone");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn variables_that_are_a_copys_own_are_there_once_whatever_was_asked_for() {
    let options = "-l 127.0.0.1:0 --env NOTIFY_SOCKET=/x --env LISTEN_PID=1 --env WATCHDOG_PID=1 --ready notify";
    let mut endless = endless(options).start(&["notify", "env=WATCHDOG_PID"]);
    endless.ready(1);
    endless.wait("WATCHDOG_PID=(unset)");
    assert_eq!(endless.ask().0, 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_that_fails_leaves_no_descriptors_and_takes_none_away() {
    let words = [
        "1:store=state",
        "2:notify=FDSTOREREMOVE=1\\nFDNAME=state",
        "2:store=mine",
        "2:barrier",
        "2:exit=1",
        "3:stored=state",
    ];
    let mut endless = endless("-l web=127.0.0.1:0 --probation 0").start(&words);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed");
    endless.restart(3);
    endless.wait_with(&["target 3", "names web:state"]);
    assert_eq!(endless.count("names web:state:mine"), 0);
    assert_eq!(endless.stop(), 0);
}
