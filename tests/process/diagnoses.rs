//! What is said about copies that do not come to serve, and about those that only say that they do.

use crate::support::{Endless, client, endless, free_port, until};
use nix::sys::signal::Signal;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

#[test]
fn a_copy_that_goes_to_the_background_is_told_from_one_that_ends() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["daemon", "exit=0"]);
    endless.wait_with(&["generation 1: it daemonized: its main process has ended and target", "foreground"]);
    assert_ne!(endless.ended_clean(), 0);
    let mut endless = crate::support::endless("-l 127.0.0.1:0").start(&["exit=0"]);
    assert_eq!(endless.ended_clean(), 125);
    assert_eq!(endless.count("daemonized"), 0);
}

/// Goes to the background before or after it serves, as nginx does: in a session of its own, where the title that is shown
/// has taken the environment's place.
const DAEMON: &str = "
import os, socket, sys, time
if len(sys.argv) > 1:
    s = socket.socket()
    s.bind(('127.0.0.1', int(sys.argv[1])))
    s.listen()
    s.set_inheritable(True)
waits, closes_by_exec = os.pipe()
if os.fork():
    os.close(closes_by_exec)
    os.read(waits, 1)
    while not os.path.exists('go'): time.sleep(0.02)
    os._exit(0)
os.setsid()
os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(1000)'], {})
";

#[test]
fn a_daemon_without_an_environment_is_found_by_its_sockets_and_does_not_stay() {
    let port = free_port();
    let command = ["python3", "-c", DAEMON, &port];
    for (options, command, said) in [
        ("-l 127.0.0.1:0 --ready notify", &command[..3], "daemonized"),
        ("-l 127.0.0.1:0 --ready delay=0", &command[..3], "left behind"),
        ("--ready notify", &command, "daemonized"),
    ] {
        let mut endless = endless(options).start_command(command);
        if said == "left behind" {
            endless.ready(1);
        }
        endless.touch("go");
        let daemon = endless.wait_with(&[said, "(pid "]);
        let (_, pid) = daemon.rsplit_once("(pid ").unwrap();
        let pid = pid.split_once(')').unwrap().0;
        endless.ended_clean();
        assert!(!Path::new("/proc").join(pid).exists(), "{daemon} {:?}", endless.said());
    }
}

#[test]
fn a_failure_whose_arguments_name_the_address_gets_a_hint_and_another_one_none() {
    let port = free_port();
    let options = format!("-l 127.0.0.1:{port} --capture never");
    let printing = format!("{options} --output {{dir}}/log");
    let bind = &format!("bind=127.0.0.1:{port}");
    for (options, line) in [
        (
            &options,
            format!("its arguments name 127.0.0.1:{port}, which endless holds; if it says that the address is in use"),
        ),
        (&printing, format!("it says that 127.0.0.1:{port} is in use: endless holds it")),
    ] {
        let mut endless = endless(options).start(&[bind]);
        endless.wait(&line);
        assert_eq!(endless.ended_clean(), 98);
    }
    // For another reason; with its number for something else; with what it prints as a proof of the opposite.
    let workers = &format!("print={port}");
    for (options, words) in
        [(&options, ["exit=98", "print={fd}"]), (&options, ["exit=98", workers]), (&printing, ["exit=98", bind])]
    {
        let mut endless = endless(options).start(&words);
        assert_eq!(endless.ended_clean(), 98);
        assert_eq!(endless.count("endless holds"), 0);
    }
}

/// What is said about one that takes nobody.
const DEAF: &str = "it said that it serves, and has taken nobody";

#[test]
fn one_that_says_ready_and_takes_nobody_is_told_about() {
    // Nobody comes to this one.
    let mut lonely = endless("-l 127.0.0.1:0 --ready notify").start(&["notify", "deaf"]);
    lonely.ready(1);
    // endless itself is the first client.
    let probed = endless("-l 127.0.0.1:0").start(&["notify", "deaf"]);
    let local = endless("-l unix:{dir}/s --ready notify").start(&["notify", "deaf"]);
    local.ready(1);
    let _client = UnixStream::connect(local.file("s")).unwrap();
    let datagrams = endless("-l udp:127.0.0.1:0 --ready notify").start(&["notify", "deaf"]);
    datagrams.ready(1);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", datagrams.address(0)).unwrap();
    // The newest generation is looked at, however soon it came. To endless all its clients come at the same time.
    let listeners =
        "-l a=127.0.0.1:0 -l b=127.0.0.1:0 -l c=127.0.0.1:0 -l d=127.0.0.1:0 -l e=127.0.0.1:0 -l f=127.0.0.1:0";
    let several = endless(&format!("{listeners} --ready notify --drain off")).start(&["notify", "deaf"]);
    several.ready(1);
    let _first = TcpStream::connect(several.address(0)).unwrap();
    several.restart(2);
    several.freeze();
    let _clients: Vec<_> = (1..6).map(|at| TcpStream::connect(several.address(at)).unwrap()).collect();
    several.signal(Signal::SIGCONT);
    let [a, b, c, d] = [1, 2, 3, 4].map(|at| several.address(at));
    let at = format!("waited at {a}, {b}, {c}, {d} and 1 more for 5s");
    for (mut endless, parts) in [
        (probed, ["generation 1", "for 5s"]),
        (local, ["generation 1", "for 5s"]),
        (datagrams, ["generation 1", "for 5s"]),
        (several, ["generation 2", &at]),
    ] {
        endless.wait_with(&[&format!("{}: {DEAF}", parts[0]), parts[1]]);
        assert_eq!(endless.stop(), 0);
        assert_eq!(endless.count(DEAF), 1);
    }
    assert_eq!(lonely.stop(), 0);
    assert_eq!(lonely.count(DEAF), 0);
}

#[test]
fn one_that_takes_its_clients_is_not_told_about_however_slow() {
    // The queue is full all the time.
    let mut slow = endless("-l 127.0.0.1:0,backlog=3 --ready notify").start(&["notify", "slow=1200"]);
    let mut quick = endless("-l 127.0.0.1:0").start(&["notify"]);
    slow.ready(1);
    quick.ready(1);
    assert_eq!(quick.ask().0, 1);
    quick.restart(2);
    let at = slow.address(0);
    let clients: Vec<_> = (0..6).map(|_| thread::spawn(move || client::get(at, "/"))).collect();
    for client in clients {
        client.join().unwrap().unwrap();
    }
    for endless in [&mut slow, &mut quick] {
        assert_eq!(endless.stop(), 0);
        assert_eq!(endless.count(DEAF), 0);
    }
}

#[test]
fn a_copy_that_fails_beside_one_whose_sockets_are_not_known_gets_a_hint() {
    let port = free_port();
    let bind_itself = crate::support::example("bind_itself").display().to_string();
    let setup = endless("--capture never").option("--ready", "exec=test -e {dir}/bound");
    let mut endless = setup.start_command(&[&bind_itself, &format!("127.0.0.1:{port}")]);
    ready_once_bound(&endless, &port);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&[&format!("the copy before it listens on port {port}"), "(--capture never)", "--listen"]);
    assert_eq!(endless.stop(), 0);
}

/// The first copy is ready when it has bound the port, and the next one never: it has all the time it needs to fail.
#[track_caller]
fn ready_once_bound(endless: &Endless, port: &str) {
    until("it has bound the port", || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    endless.touch("bound");
    endless.ready(1);
    std::fs::remove_file(endless.file("bound")).unwrap();
}

/// The program of `unseen.c`, where it can do it this way.
fn unseen(dir: &Path, way: &str) -> Option<String> {
    let program = dir.join("unseen");
    std::fs::write(dir.join("unseen.c"), include_str!("unseen.c")).unwrap();
    let compiled = Command::new("cc").arg("-o").arg(&program).arg(dir.join("unseen.c")).status();
    assert!(compiled.unwrap().success());
    let tried = Command::new(&program).args([way, "0", "once"]).stdout(Stdio::null()).status().unwrap();
    let able = tried.code() != Some(77);
    if !able {
        eprintln!("left out: {way} cannot be had here");
    }
    able.then(|| program.display().to_string())
}

#[test]
fn sockets_that_pass_the_filter_are_named_when_the_next_copy_fails() {
    for way in ["uring", "i386"] {
        let port = free_port();
        let setup = endless("").option("--ready", "exec=test -e {dir}/bound");
        let Some(program) = unseen(setup.dir(), way) else { continue };
        let mut endless = setup.start_command(&[&program, way, &port]);
        ready_once_bound(&endless, &port);
        endless.signal(nix::sys::signal::Signal::SIGHUP);
        endless.wait_with(&[
            &format!("the copy before it listens on port {port}"),
            "(it was made by io_uring, by a 32-bit program, or too late)",
            "--listen",
        ]);
        endless.wait_with(&["generation 2 failed", "generation 1", "goes on"]);
        assert_eq!(endless.stop(), 0);
        let setup = crate::support::endless(&format!("-l 127.0.0.1:{port} --capture always --output {{dir}}/log"));
        let program = unseen(setup.dir(), way).unwrap();
        let mut planned = setup.start_command(&[&program, way, &port]);
        planned.wait_with(&[&format!("it says that 127.0.0.1:{port} is in use"), "has not seen it bind"]);
        assert_eq!(planned.ended_clean(), 1);
    }
}
