//! `as=PROTOCOL`: takes its sockets and says that it serves as a program of that library or server does.

use super::{say, serve};
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{env, thread};

/// The signal that a program of this protocol ends gracefully by, where that is not one the target ends by anyhow.
pub fn stops_by(protocol: &str) -> Option<Signal> {
    matches!(protocol, "einhorn" | "einhorn-yaml" | "overseer").then_some(Signal::SIGUSR2)
}

/// Takes the sockets, then says that it serves.
pub fn speak(protocol: &str) {
    let sockets = match protocol {
        "endless" => counted(3, order().len()),
        "endless-json" => counted(3, json().len()),
        "goagain" | "goagain-legacy" => vec![number("GOAGAIN_FD")],
        "grace" => counted(3, number("LISTEN_FDS") as usize),
        "tableflip" => tableflip_sockets(),
        "overseer" => counted(3, number("OVERSEER_NUM_FDS") as usize),
        "einhorn" | "einhorn-yaml" => {
            (0..number("EINHORN_FD_COUNT")).map(|at| number(&format!("EINHORN_FD_{at}"))).collect()
        }
        "nginx" => numbers(&variable("NGINX"), ';'),
        "unicorn" => numbers(&variable("UNICORN_FD"), ','),
        "gunicorn" => numbers(&variable("GUNICORN_FD"), ','),
        "puma" => numbers(variable("PUMA_INHERIT_0").split(':').next().unwrap(), ','),
        "php-fpm" => {
            variable("FPM_SOCKETS").split(',').map(|pair| pair.rsplit('=').next().unwrap().parse().unwrap()).collect()
        }
        "stdin" => vec![0],
        _ => panic!("no protocol `{protocol}`"),
    };
    say(&format!("has {protocol} sockets {sockets:?}"));
    let count = sockets.len();
    serve::use_these(sockets);
    match protocol {
        // Once for each server it has.
        "endless" | "grace" => (0..count).for_each(|_| tell(getppid(), Signal::SIGTERM as i32)),
        "endless-json" => tell(getppid(), Signal::SIGINT as i32),
        "goagain" => {
            let whom = if variable("GOAGAIN_PID").is_empty() { "GOAGAIN_PPID" } else { "GOAGAIN_PID" };
            tell(Pid::from_raw(number(whom)), number("GOAGAIN_SIGNAL"));
        }
        "goagain-legacy" => tell(getppid(), Signal::SIGQUIT as i32),
        "einhorn" => acknowledge(&format!("{{\"command\":\"worker:ack\",\"pid\":{}}}\n", std::process::id())),
        "einhorn-yaml" => {
            acknowledge(&format!("---%0Acommand: worker:ack%0Apid: {}%0A\n", std::process::id()));
        }
        "tableflip" => tableflip_ready(),
        _ => {}
    }
}

/// What overseer's slaves send when they have closed their listeners.
pub fn released() {
    if env::var_os("OVERSEER_IS_SLAVE").is_some() {
        tell(getppid(), Signal::SIGUSR1 as i32);
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn number(name: &str) -> i32 {
    variable(name).parse().unwrap()
}

fn numbers(text: &str, between: char) -> Vec<RawFd> {
    text.split(between).filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
}

fn counted(from: RawFd, count: usize) -> Vec<RawFd> {
    (from..).take(count).collect()
}

fn order() -> Vec<String> {
    assert!(!variable("ENDLESS_CONTINUE").is_empty());
    variable("ENDLESS_SOCKET_ORDER").split(',').map(str::to_owned).collect()
}

fn json() -> Vec<serde_json::Value> {
    let all: Vec<serde_json::Value> = serde_json::from_str(&variable("ENDLESS")).unwrap();
    assert!(all.iter().all(|one| one["addr"].as_str().is_some_and(|addr| !addr.is_empty())));
    all
}

fn tell(whom: Pid, signal: i32) {
    say(&format!("sends signal {signal} to {whom}"));
    // SAFETY: a number goes to a process.
    assert_eq!(unsafe { libc::kill(whom.as_raw(), signal) }, 0);
}

fn acknowledge(line: &str) {
    assert_eq!(variable("EINHORN_MASTER_PID"), getppid().to_string(), "the master is not the parent");
    UnixStream::connect(variable("EINHORN_SOCK_PATH")).unwrap().write_all(line.as_bytes()).unwrap();
    say("acknowledged");
}

/// Reads as many names as there are, and waits beside all else for the end of the predecessor.
fn tableflip_sockets() -> Vec<RawFd> {
    assert!(env::var_os("TABLEFLIP_HAS_PARENT_7DIU3").is_some());
    // SAFETY: whoever set the variable has opened 4 for us, and nothing else here uses it.
    let mut pipe = unsafe { File::from_raw_fd(4) };
    let mut names = Vec::new();
    let mut message = |count: usize| {
        for _message in 0..count {
            let mut length = [0u8];
            pipe.read_exact(&mut length).unwrap();
            names = vec![0u8; length[0].into()];
            pipe.read_exact(&mut names).unwrap();
        }
        names.clone()
    };
    // Two types, then the value: its type in two bytes, a zero, and how many there are.
    let value = message(3);
    let count = usize::from(value[3]);
    say(&format!("names {}", String::from_utf8_lossy(&value[4..]).replace(|c: char| c.is_control(), " ")));
    thread::spawn(move || {
        assert_eq!(pipe.read(&mut [0u8]).unwrap(), 0);
        say("parent exited");
    });
    counted(5, count)
}

fn tableflip_ready() {
    // SAFETY: as for 4.
    let mut pipe = unsafe { File::from_raw_fd(3) };
    pipe.write_all(&[42]).unwrap();
    say("wrote 42");
}
