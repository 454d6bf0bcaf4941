//! How a copy is told about its listeners, and that it is told nothing else.

use crate::support::{ENDLESS, Endless, endless, example, processes, until};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

/// The environment of a generation, once it is ready.
#[track_caller]
fn environment(endless: &Endless, generation: u32) -> (Pid, BTreeMap<String, String>) {
    let pid = endless.ready(generation);
    (pid, processes::environment(pid))
}

#[test]
fn every_generation_is_told_what_it_has() {
    let mut endless = endless("-l web=127.0.0.1:0 -l {dir}/s -l udp:127.0.0.1:0 --probation 0").start(&[]);
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
        }
        let (pid, variables) = environment(&endless, generation);
        let (tcp, udp, path) = (endless.address(0), endless.address(2), endless.file("s"));
        let path = path.display();
        let expected = [
            ("LISTEN_FDS", "3".to_owned()),
            ("LISTEN_FDNAMES", format!("web:{path}:udp-127.0.0.1-0")),
            ("LISTEN_PID", pid.to_string()),
            ("SERVER_STARTER_PORT", format!("{tcp}=3;{path}=4;{udp}=5")),
            ("SERVER_STARTER_GENERATION", generation.to_string()),
            ("ENDLESS_GENERATION", generation.to_string()),
            ("ENDLESS_WORKER", "0".to_owned()),
            ("ENDLESS_PID", endless.pid().to_string()),
        ];
        for (name, value) in expected {
            assert_eq!(variables.get(name), Some(&value), "{name} of generation {generation}");
        }
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn no_other_descriptor_leaks() {
    // Descriptors that endless itself was started with go on to the target, unless they are close-on-exec.
    let options = "-l 127.0.0.1:0 -l {dir}/s -l udp:127.0.0.1:0 --pid-file {dir}/pid --status-file {dir}/status";
    let setup = endless(&format!("{options} --probation 0")).option("--hook", "ready=true");
    let mut endless = setup.start(&["fds"]);
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
        }
        endless.ready(generation);
        let line = endless.wait_with(&[&format!("target {generation} "), ": fds "]);
        let list = line.split(": fds ").nth(1).unwrap();
        let numbers: Vec<&str> = list
            .trim_matches(['[', ']'])
            .split(", ")
            .map(|one| one.trim_matches('"'))
            // What the target itself has opened by then for its signals.
            .filter(|one| !one.ends_with(" socket") || ["3 ", "4 ", "5 "].iter().any(|known| one.starts_with(known)))
            .collect();
        assert_eq!(numbers, ["0 /dev/null", "1 pipe", "2 pipe", "3 socket", "4 socket", "5 socket"], "{line}");
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_target_that_opens_nothing_has_only_what_it_was_handed() {
    let options = "-l 127.0.0.1:0 -l {dir}/s --pid-file {dir}/pid --status-file {dir}/status --ready delay=0";
    let mut endless = endless(options).start_command(&["sleep", "1000"]);
    let pid = endless.ready(1);
    // What its own start opens for a moment is not there any more when it sleeps.
    until("only what it was handed is open", || {
        let open = processes::open_files(pid);
        let sleeps = processes::arguments(pid).first().is_some_and(|name| name == "sleep");
        (sleeps && open.keys().copied().eq(0..=4)).then_some(())
    });
    assert_eq!(endless.stop(), 0);
}

#[test]
fn stdin_is_the_listener() {
    let mut endless = endless("-l 127.0.0.1:0 --pass stdin --ready delay=0 --probation 0").start_command(&[
        "python3",
        "-c",
        "import socket, sys\ns = socket.socket(fileno=0)\nprint('port', s.getsockname()[1], flush=True)\ns.accept()",
    ]);
    let pid = endless.ready(1);
    endless.wait(&format!("port {}", endless.address(0).port()));
    let open = processes::open_files(pid);
    assert!(open[&0].starts_with("socket:") && !open.contains_key(&3), "{open:?}");
    let variables = processes::environment(pid);
    assert!(!variables.keys().any(|name| name.starts_with("LISTEN_") || name.starts_with("SERVER_STARTER")));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn none_hands_the_descriptors_over_and_says_nothing() {
    let setup = endless("-l app=127.0.0.1:0 --pass none --ready delay=0 -e BIND=fd://{fd:app} -e WHERE={addr}");
    let mut endless = setup.start(&["print=at-{fd}-{host:app}-{port:app}-g{generation}-w{worker}-{else}"]);
    let (pid, variables) = environment(&endless, 1);
    assert!(!variables.keys().any(|name| name.starts_with("LISTEN_") || name.starts_with("SERVER_STARTER")));
    assert_eq!((variables["BIND"].as_str(), &variables["WHERE"]), ("fd://3", &endless.address(0).to_string()));
    assert_eq!(variables["ENDLESS_GENERATION"], "1");
    endless.wait(&format!(": at-3-127.0.0.1-{}-g1-w0-{{else}}", endless.address(0).port()));
    assert!(processes::open_files(pid)[&3].starts_with("socket:"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn templates_follow_the_generation_and_no_expand_leaves_them() {
    let mut first = endless("-l 127.0.0.1:0 --probation 0").start(&["print=this-is-{generation}"]);
    first.ready(1);
    first.wait(": this-is-1");
    first.restart(2);
    first.wait(": this-is-2");
    assert_eq!(first.stop(), 0);
    let mut second = endless("-l 127.0.0.1:0 --no-expand -e V={fd}").start(&["print=this-is-{generation}"]);
    let (_, variables) = environment(&second, 1);
    second.wait(": this-is-{generation}");
    assert_eq!(variables["V"], "{fd}");
    assert_eq!(second.stop(), 0);
}

#[test]
fn endless_exec_puts_listen_pid_right_behind_a_wrapper() {
    let target = example("target").display().to_string();
    // A shell that stays: its child is the server.
    let script = format!("'{ENDLESS}' exec -- '{target}' env=LISTEN_PID env=LISTEN_FDS; true");
    let options = "-l 127.0.0.1:0 --probation 0 --kill-mode group";
    let mut endless = endless(options).start_command(&["sh", "-c", &script]);
    for generation in 1..=2 {
        if generation == 2 {
            endless.restart(2);
        }
        let shell = endless.ready(generation);
        let (_, server) = endless.ask();
        assert_ne!(shell, server);
        let line = endless.wait_with(&[&format!("target {generation} "), "LISTEN_PID="]);
        assert!(line.ends_with(&format!("LISTEN_PID={server}")), "{line}");
        assert_eq!(processes::environment(server)["LISTEN_PID"], server.to_string());
    }
    endless.wait("generation 1 is gone");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn endless_exec_says_what_it_cannot_execute() {
    for (command, code) in [("/nonexistent/server", 127), ("/dev/null", 126)] {
        let mut endless = endless("exec").start_command(&[command]);
        assert_eq!(endless.ended_clean(), code);
        assert!(endless.everything().join("\n").contains(command), "{:?}", endless.said());
    }
}

#[test]
fn what_was_said_to_endless_is_not_said_to_the_target() {
    let setup = endless("-l 127.0.0.1:0");
    let own = setup.dir().join("manager");
    let _manager = std::os::unix::net::UnixDatagram::bind(&own).unwrap();
    let setup = setup
        .env("NOTIFY_SOCKET", own.to_str().unwrap())
        .env("WATCHDOG_USEC", "30000000")
        .env("WATCHDOG_PID", "1")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDNAMES", "theirs")
        .env("LISTEN_ADDRESS", "mine");
    let mut endless = setup.start(&[]);
    let (pid, variables) = environment(&endless, 1);
    assert_ne!(variables["NOTIFY_SOCKET"], own.display().to_string());
    assert!(!variables.keys().any(|name| name.starts_with("WATCHDOG_")), "{variables:?}");
    assert_eq!(variables["LISTEN_PID"], pid.to_string());
    assert_eq!(variables["LISTEN_FDNAMES"], "127.0.0.1-0");
    assert_eq!(variables["LISTEN_ADDRESS"], "mine", "it only looks like one of ours");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn without_listeners_nothing_is_said_about_them() {
    let mut endless = endless("--ready delay=0").start(&["bind=127.0.0.1:0"]);
    let (_, variables) = environment(&endless, 1);
    assert!(!variables.keys().any(|name| name.starts_with("LISTEN_") || name.starts_with("SERVER_STARTER")));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_listener_keeps_its_number_when_endless_has_it_open_already() {
    // endless' own descriptors are in the way of the target's numbers, in every order.
    let options = "-l a=127.0.0.1:0,fd=5 -l b={dir}/b,fd=3 -l c=udp:127.0.0.1:0,fd=4 --ready delay=0";
    let keep = std::fs::File::open("/dev/null").unwrap();
    let number = keep.as_raw_fd();
    // SAFETY: only fcntl(2) is called between fork and exec.
    let setup = unsafe {
        endless(options).pre_exec(move || {
            for _ in 0..4 {
                let copy =
                    nix::fcntl::fcntl(std::os::fd::BorrowedFd::borrow_raw(number), nix::fcntl::FcntlArg::F_DUPFD(3))?;
                assert!(copy > 2);
            }
            Ok(())
        })
    };
    let mut endless = setup.start(&["options"]);
    endless.wait_with(&["target 1 ", "socket 5: ", "backlog="]);
    let (_, variables) = environment(&endless, 1);
    assert_eq!(variables["LISTEN_FDNAMES"], "b:c:a");
    let line = endless.wait("socket 5: ");
    assert!(!line.contains("backlog=0 "), "5 is the TCP socket: {line}");
    assert!(endless.wait("socket 4: ").contains("backlog=0 "));
    assert_eq!(endless.stop(), 0);
}
