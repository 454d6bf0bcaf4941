//! Real wrappers between endless and the server: each works in a documented way, and gets its diagnosis where it does not.

use crate::support::{ENDLESS, endless, example};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;

fn target() -> String {
    example("target").display().to_string()
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        // `make setup` installs it.
        eprintln!("{program} is not here");
    }
    found
}

/// The wrappers that start the server as their child, each as its words before the server's.
const WRAPPERS: [(&str, &[&str]); 5] = [
    ("sh", &["sh", "-c", "\"$@\"; exit", "sh"]),
    ("timeout", &["timeout", "600"]),
    ("tini", &["tini", "-g", "--"]),
    ("flock", &["flock", "lock"]),
    ("uv", &["uv", "run", "--no-project", "--offline", "--"]),
];

#[test]
fn a_wrapper_that_has_the_pid_is_named_and_exec_inside_it_helps() {
    let target = target();
    // As a server that looks at LISTEN_PID, finds another's, and goes on without sockets.
    let deaf = |(name, words): (&'static str, &'static [&'static str])| {
        let deaf = [words, &[&target, "deaf"]].concat();
        (name, words, endless("-l 127.0.0.1:0 --hammer 1s").start_command(&deaf))
    };
    let all: Vec<_> = WRAPPERS.into_iter().filter(|(name, _)| has(name)).map(deaf).collect();
    for (name, words, mut endless) in all {
        endless.wait_with(&[&format!("is a child of {name}, and LISTEN_PID is"), "endless exec --"]);
        endless.signal(Signal::SIGTERM);
        endless.ended();
        let helped = [words, &[ENDLESS, "exec", "--", &target, "env=LISTEN_PID"]].concat();
        let mut endless = crate::support::endless("-l 127.0.0.1:0 --kill-mode group").start_command(&helped);
        endless.ready(1);
        let server = endless.ask().1;
        endless.wait(&format!("LISTEN_PID={server}"));
        assert_eq!(endless.stop(), 0, "{name}: {:#?}", endless.said());
        assert_eq!(endless.count("is a child of"), 0);
    }
}

#[test]
fn a_wrapper_that_keeps_the_pid_is_no_matter() {
    for words in [&["setpriv", "--no-new-privs"][..], &["env", "A=1"], &["nice"], &["bash", "-c", "exec \"$0\""]] {
        if has(words[0]) {
            let mut endless = endless("-l 127.0.0.1:0").start_command(&[words, &[&target()]].concat());
            endless.ready(1);
            assert_eq!(endless.stop(), 0);
            assert_eq!(endless.count("generation 1: "), 0, "{:#?}", endless.said());
        }
    }
}

#[test]
fn a_wrapper_that_closes_descriptors_is_named() {
    if !has("python3") {
        return;
    }
    let wrapper = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))";
    let mut endless =
        endless("-l 127.0.0.1:0 --hammer 1s").start_command(&["python3", "-c", wrapper, &target(), "hang"]);
    endless.wait_with(&["does not have the sockets: python3 has closed them", "--pass stdin"]);
    endless.signal(Signal::SIGTERM);
    endless.ended();
}

#[test]
fn npm_start_closes_the_sockets_and_lets_standard_input_through() {
    if !has("npm") {
        return;
    }
    let setup = endless("-l 127.0.0.1:0");
    let package = r#"{"name": "x", "version": "1.0.0", "scripts": {"start": "exec node server.js"}}"#;
    fs::write(setup.dir().join("package.json"), package).unwrap();
    fs::write(setup.dir().join("server.js"), "require('http').createServer().listen({fd: 3})").unwrap();
    let mut endless = setup.start_command(&["npm", "start"]);
    // Told by its end, or on a busy machine while it is late.
    endless.wait_with(&["generation 1: ", "npm", "close", "--pass stdin"]);
    assert_ne!(endless.ended_clean(), 0);

    let setup = crate::support::endless("-l 127.0.0.1:0 --pass stdin --kill-mode group");
    fs::write(setup.dir().join("package.json"), package).unwrap();
    let server = "const s = require('http').createServer((q, a) => a.end('Hello, world 1 ' + process.pid + '!\\n')).listen({fd: 0}); \
                  process.on('SIGTERM', () => s.close())";
    fs::write(setup.dir().join("server.js"), server).unwrap();
    let mut endless = setup.start_command(&["npm", "start"]);
    endless.ready(1);
    assert_eq!(endless.ask().0, 1);
    endless.stop();
}

/// As a program that reads its Gemfile first.
#[test]
fn bundle_exec_keeps_the_pid_and_the_sockets() {
    if !has("bundle") {
        return;
    }
    let setup = endless("-l 127.0.0.1:0");
    fs::write(setup.dir().join("Gemfile"), "").unwrap();
    let mut endless = setup.start_command(&["bundle", "exec", &target(), "env=LISTEN_PID"]);
    let server = endless.ready(1);
    endless.wait(&format!("LISTEN_PID={server}"));
    assert_eq!(endless.ask(), (1, server));
    assert_eq!(endless.stop(), 0);
}

/// Whether sudo(8) asks for nothing here.
fn may_sudo() -> bool {
    has("sudo") && Command::new("sudo").args(["-n", "true"]).status().is_ok_and(|status| status.success())
}

#[test]
fn sudo_closes_the_sockets_and_lets_standard_input_through() {
    if !may_sudo() {
        return;
    }
    // It ends, as most do that find no socket.
    let mut endless = endless("-l 127.0.0.1:0").start_command(&["sudo", "-n", "-E", &target(), "exit=3"]);
    endless.wait_with(&["generation 1: ", "sudo", "close", "--pass stdin"]);
    assert_eq!(endless.ended_clean(), 3);
    // It goes on without.
    let mut endless =
        crate::support::endless("-l 127.0.0.1:0 --hammer 1s").start_command(&["sudo", "-n", "-E", &target(), "hang"]);
    endless.wait_with(&["does not have the sockets: sudo has closed them", "--pass stdin"]);
    endless.signal(Signal::SIGTERM);
    endless.ended();
    let mut endless = crate::support::endless("-l 127.0.0.1:0 --pass stdin").start_command(&[
        "sudo",
        "-n",
        "-E",
        &target(),
        "socket=0",
    ]);
    endless.ready(1);
    assert_eq!(endless.ask().0, 1);
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_server_that_closes_what_it_was_handed_is_told_about() {
    let closes = "import os, time; os.close(3); time.sleep(1000)";
    let mut endless = endless("-l 127.0.0.1:0 --hammer 1s --capture never").start_command(&["python3", "-c", closes]);
    endless.wait_with(&["generation 1: it has closed the sockets it was handed", "endless presets"]);
    endless.signal(Signal::SIGTERM);
    endless.ended();
}
