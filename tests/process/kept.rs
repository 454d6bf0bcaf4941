//! What an upgrade of endless keeps, one thing after the other. The new program is the same file.

use crate::listeners::{activated, generation_at, listening, with_sockets};
use crate::process::{after, mask, sleeper};
use crate::support::client::{ask_udp, connect, get, read_answer};
use crate::support::{endless, processes, until};
use crate::systemd::Manager;
use crate::upgrade::upgrade;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Write;

#[test]
fn descriptors_that_copies_have_left() {
    let mut endless = endless("-l web=127.0.0.1:0 --probation 0").start(&["stored=db", "1:store=db", "1:barrier"]);
    endless.ready(1);
    endless.wait("the barrier is answered");
    upgrade(&endless);
    upgrade(&endless);
    endless.restart(2);
    endless.wait_with(&["target 2", "names web:db"]);
    endless.wait_with(&["target 2", "found left by generation 1"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_sockets_of_a_service_manager_and_what_it_was_told() {
    let ((web, web_at), (admin, admin_at)) = (listening(), listening());
    let setup = with_sockets(activated("$$", "--probation 0"), vec![web, admin]);
    let (mut manager, setup) = Manager::listen(setup.env("WATCHDOG_USEC", "2000000"));
    let mut endless = setup.start(&["notify"]);
    endless.ready(1);
    manager.hears("STATUS=generation 1 serves");
    let before = endless.descriptors();
    upgrade(&endless);
    let heard = manager.heard.len();
    assert_eq!((generation_at(&endless, web_at), generation_at(&endless, admin_at)), (1, 1));
    let second = endless.restart(2);
    manager.hears("STATUS=generation 2 serves");
    manager.hears("WATCHDOG=1");
    let since: Vec<&String> = manager.heard[heard..].iter().filter(|text| *text != "WATCHDOG=1").collect();
    assert!(since[0].starts_with("RELOADING=1"), "it was ready all the time: {since:?}");
    let environment = processes::environment(second);
    assert_eq!((environment["LISTEN_FDS"].as_str(), environment["LISTEN_FDNAMES"].as_str()), ("2", "web:admin"));
    assert!(!environment.contains_key("ENDLESS_UPGRADE"), "{environment:?}");
    endless.gone(1);
    endless.wait_for_descriptors(before);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_the_configuration_said_at_the_last_restart() {
    let setup = endless("--probation 0 --config {dir}/config");
    let config = setup.dir().join("config");
    fs::write(&config, "-l 127.0.0.1:0 --env A=1").unwrap();
    let mut endless = setup.start(&["env=A", "notify"]);
    endless.ready(1);
    let at = endless.address(0);
    fs::write(&config, "-l 127.0.0.1:0 --env A=2").unwrap();
    endless.restart(2);
    endless.gone(1);
    fs::write(&config, "-l '127.0.0.1:0").unwrap();
    upgrade(&endless);
    assert!(endless.order("restart").err.contains("a quote is not closed"));
    assert_eq!(endless.status()["active"], 2);
    let pid = endless.ask().1;
    kill(pid, Signal::SIGKILL).unwrap();
    // A respawn goes by what was read last.
    endless.ready(3);
    assert_eq!(endless.count("A=2"), 2);
    fs::write(&config, "-l udp:127.0.0.1:0 -l 127.0.0.1:0 --env A=4").unwrap();
    assert_eq!(endless.order("restart --drained").code, 0);
    endless.wait("A=4");
    assert!(get(at, "/").unwrap().contains("Hello, world 4"), "the listener is the same");
    upgrade(&endless);
    assert_eq!(endless.order("restart").code, 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_connection_that_an_old_copy_is_waited_for() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --drain quiet=25s").start(&["notify"]);
    let first = endless.ready(1);
    let mut stream = connect(endless.address(0)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    until("it is in the middle of a request", || (endless.status()["generations"][0]["queued"] == 0).then_some(()));
    endless.restart(2);
    endless.wait("retiring generation 1");
    upgrade(&endless);
    assert!(processes::alive(first));
    stream.write_all(b"Host: test\r\n\r\n").unwrap();
    let answer = read_answer(&mut stream).unwrap();
    assert!(answer.contains("Hello, world 1"), "{answer}");
    endless.gone(1);
    assert_eq!(endless.count("(--drain)"), 0, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_guard_and_the_end_of_its_probation() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 1h").start(&["2:crash={dir}/now", "notify"]);
    let first = endless.ready(1);
    let waiting = endless.client("restart");
    endless.ready(2);
    upgrade(&endless);
    endless.touch("now");
    endless.wait_with(&["generation 1", "serves again"]);
    let said = waiting.end();
    assert!(said.code == 1 && said.err.contains("it ended before the restart was over"), "{said:?}");
    assert_eq!(endless.ask(), (1, first));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_files_and_what_the_target_prints() {
    let options = "-l 127.0.0.1:0 --probation 0 --log-file {dir}/log --output {dir}/out --on USR1=reopen";
    let mut endless = endless(options).start(&["print=hello", "notify"]);
    let read = |name: &str| fs::read_to_string(endless.file(name)).unwrap_or_default();
    let holds = |name: &str, text: &str| until(text, || read(name).contains(text).then_some(()));
    holds("log", "generation 1 ");
    holds("out", "target 1 ");
    fs::rename(endless.file("log"), endless.file("log.1")).unwrap();
    until("it is up", || (endless.order("upgrade").code == 0).then_some(()));
    holds("log.1", "has taken over");
    endless.signal(Signal::SIGUSR1);
    endless.signal(Signal::SIGHUP);
    holds("log", "generation 2 ");
    holds("out", "serves");
    until("the old copy was heard to its end", || {
        let out = read("out");
        (out.contains("target 2 ") && out.contains("has finished")).then_some(())
    });
    assert_eq!(endless.stop(), 0);
}

#[test]
fn signals_that_were_ignored_and_the_mask() {
    let setup = after("trap '' HUP USR2", "--name target --ready delay=0 --probation 0");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    endless.ready(1);
    let own = || ["SigBlk", "SigCgt"].map(|field| mask(endless.pid(), field));
    let before = own();
    upgrade(&endless);
    assert_eq!(own(), before);
    endless.restart(2);
    let wanted = 1 << (libc::SIGHUP - 1) | 1 << (libc::SIGUSR2 - 1);
    let pid = sleeper(&endless, 2);
    assert_eq!((mask(pid, "SigIgn") & wanted, mask(pid, "SigBlk")), (wanted, 0));
    assert_eq!(mask(pid, "SigIgn") & 1 << (libc::SIGPIPE - 1), 0, "our own is not the target's");
    let limit = 1 << (libc::SIGXFSZ - 1);
    assert_eq!(mask(pid, "SigIgn") & limit, mask(Pid::this(), "SigIgn") & limit, "nor is this");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn copies_end_when_endless_is_killed_afterwards() {
    let endless = endless("-l 127.0.0.1:0").start(&["notify"]);
    endless.ready(1);
    upgrade(&endless);
    endless.signal(Signal::SIGKILL);
    until("the copy has ended", || endless.others().is_empty().then_some(()));
}

#[test]
fn a_child_that_ends_meanwhile_is_seen() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["notify"]);
    let mut serving = endless.ready(1);
    for generation in 2..=4 {
        let upgrading = endless.client("upgrade");
        kill(serving, Signal::SIGKILL).unwrap();
        serving = endless.ready(generation);
        assert_eq!(upgrading.end().code, 0);
    }
    assert_eq!(endless.ask().1, serving);
    endless.wait_for_only(&[serving]);
    until("every child was waited for", || processes::zombies_of(endless.pid()).is_empty().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn every_kind_of_listener() {
    let options = "-l 127.0.0.1:0 -l udp:127.0.0.1:0 -l other=127.0.0.1:0,share=yes -l {dir}/a -l {dir}/b,share=yes --probation 0";
    let mut endless = endless(options).start(&["notify"]);
    endless.ready(1);
    let (own, udp, shared) = (endless.address(0), endless.address(1), endless.address(2));
    let (path, shared_path) = (endless.file("a"), endless.file("b"));
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
            endless.gone(generation - 1);
        }
        upgrade(&endless);
        assert_eq!(ask_udp(udp).unwrap(), generation);
        for at in [own, shared] {
            assert_eq!(generation_at(&endless, at), generation);
        }
        for at in [&path, &shared_path] {
            assert_eq!(generation_at(&endless, at.as_path()), generation);
        }
    }
    // A crash hands the seats on, and a path that a copy has removed is put back.
    fs::remove_file(&path).unwrap();
    kill(endless.ask().1, Signal::SIGKILL).unwrap();
    endless.ready(4);
    assert_eq!(generation_at(&endless, own), 4);
    endless.restart(5);
    assert_eq!(generation_at(&endless, path.as_path()), 5);
    assert_eq!(endless.stop(), 0);
    assert!(!path.exists() && !shared_path.exists());
}
