//! Programs written for other launchers and libraries run unchanged: their sockets, their way to say that they serve, their
//! stop signal.

use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, processes, until};
use nix::sys::signal::Signal;

/// What one protocol does: its name, the target's word for it, the sign in the log, the signal it is stopped by.
const PROTOCOLS: [(&str, &str, &str, &str); 14] = [
    ("endless", "endless", "it sent SIGTERM", "SIGTERM"),
    ("endless-json", "endless-json", "it sent SIGINT", "SIGINT"),
    ("goagain", "goagain", "it sent SIGRTMIN+15", "SIGQUIT"),
    ("grace", "grace", "it sent SIGTERM", "SIGTERM"),
    ("tableflip", "tableflip", "it wrote to descriptor 3", "SIGTERM"),
    ("einhorn", "einhorn", "worker:ack", "SIGUSR2"),
    ("einhorn", "einhorn-yaml", "worker:ack", "SIGUSR2"),
    ("overseer", "overseer", "it accepted a connection", "SIGUSR2"),
    ("nginx", "nginx", "it accepted a connection", "SIGQUIT"),
    ("unicorn", "unicorn", "it accepted a connection", "SIGQUIT"),
    ("puma", "puma", "it accepted a connection", "SIGTERM"),
    ("php-fpm", "php-fpm", "it accepted a connection", "SIGQUIT"),
    ("gunicorn", "gunicorn", "it accepted a connection", "SIGTERM"),
    ("stdin", "stdin", "it accepted a connection", "SIGTERM"),
];

/// What has a sign of its own.
fn with_a_sign() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROTOCOLS
        .iter()
        .filter(|(_, _, sign, _)| *sign != "it accepted a connection")
        .map(|(name, word, ..)| (*name, *word))
}

fn start(protocol: &str, options: &str, words: &[&str]) -> Endless {
    endless(&format!("-l 127.0.0.1:0 --pass {protocol} {options}")).start(words)
}

#[test]
fn each_is_ready_by_its_sign_from_the_second_generation_on_and_stopped_by_its_signal() {
    for (protocol, word, sign, signal) in PROTOCOLS {
        let mut endless = start(protocol, "--probation 0", &[&format!("as={word}")]);
        let first = endless.ready(1);
        assert_eq!(endless.ask(), (1, first), "{protocol}");
        if sign != "it accepted a connection" {
            // In the first generation the connection that endless makes can be accepted before the word arrives.
            endless.wait_with(&["target 1", if protocol == "tableflip" { "wrote 42" } else { "" }]);
        }
        endless.restart(2);
        endless.wait_with(&["generation 2 ", "is ready", sign]);
        endless.wait_with(&[&format!("sending {signal} to generation 1")]);
        endless.wait("generation 1 is gone");
        assert_eq!(endless.ask().0, 2, "{protocol}");
        assert_eq!(endless.stop(), 0, "{protocol}: {:#?}", endless.said());
        assert!(!processes::alive(first));
    }
}

/// As docs/coming-from.md starts it.
#[test]
fn a_program_of_socketmaster_has_its_variable_and_its_signal() {
    let mut endless = start("einhorn,systemd", "--stop-signal TERM --probation 0", &["env=EINHORN_FDS"]);
    endless.ready(1);
    endless.wait("EINHORN_FDS=3");
    endless.restart(2);
    endless.wait("sending SIGTERM to generation 1");
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("SIGUSR2"), 0);
}

#[test]
fn a_copy_that_fails_changes_nothing() {
    for (protocol, word) in with_a_sign() {
        let mut endless = start(protocol, "", &["2:exit=3", &format!("as={word}")]);
        let first = endless.ready(1);
        endless.signal(Signal::SIGHUP);
        endless.wait_with(&["generation 2 failed", "exit status 3"]);
        assert_eq!(endless.ask(), (1, first), "{protocol}");
        endless.restart(3);
        assert_eq!(endless.stop(), 0, "{protocol}");
    }
}

#[test]
fn a_copy_that_will_not_go_is_hammered() {
    for (protocol, word) in with_a_sign() {
        let ignores = ["ignore=TERM", "ignore=INT", "ignore=QUIT", "ignore=USR2"];
        let mut endless =
            start(protocol, "--probation 0 --hammer 1s", &[&ignores[..], &[&format!("as={word}")]].concat());
        let first = endless.ready(1);
        endless.restart(2);
        endless.wait("[STOP - Hammer Time] Forcefully shutting down generation 1");
        endless.wait("generation 1 is gone");
        assert!(!processes::alive(first), "{protocol}");
        endless.signal(Signal::SIGTERM);
        assert_eq!(endless.ended_clean(), 137, "{protocol}");
    }
}

#[test]
fn nothing_is_lost_by_any_of_them() {
    for (protocol, word, ..) in PROTOCOLS {
        let mut endless = start(protocol, "--probation 0", &[&format!("as={word}")]);
        endless.ready(1);
        let load = Load::start(endless.address(0), &[(Kind::New, 2), (Kind::KeepAlive, 1), (Kind::Slow, 2)]);
        for generation in 2..=4 {
            load.wait_for_more(20);
            endless.restart(generation);
        }
        load.wait_for_more(20);
        let count = load.finish();
        assert!(count.lost.is_empty(), "{protocol}: {:?}; {:#?}", count.lost, endless.said());
        assert_eq!(endless.stop(), 0, "{protocol}");
    }
}

#[test]
fn a_signal_from_a_copy_never_stops_endless_and_one_from_an_operator_does() {
    for signal in ["TERM", "INT", "QUIT"] {
        let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&[&format!("parent={signal}")]);
        endless.wait_with(&["which belongs to generation 1: a copy does not stop endless"]);
        endless.ready(1);
        endless.restart(2);
        endless.wait_with(&["which belongs to generation 2: a copy does not stop endless"]);
        assert_eq!(endless.ask().0, 2);
        endless.signal(format!("SIG{signal}").parse().unwrap());
        assert_eq!(endless.ended_clean(), 0);
    }
}

#[test]
fn two_servers_send_two_signals_and_both_listeners_serve() {
    let mut endless = endless("-l a=127.0.0.1:0 -l b=127.0.0.1:0 --pass endless --probation 0").start(&["as=endless"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait("generation 1 is gone");
    for number in [0, 1] {
        let answer = crate::support::client::get(endless.address(number), "/").unwrap();
        assert_eq!(crate::support::client::greeting(&answer).0, 2);
    }
    endless.settle();
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_word_that_was_lost_behind_another_ones_is_no_end_of_a_restart() {
    let target = crate::support::example("target").display().to_string();
    let until_there = |file: &str| format!("until test -e {file}; do sleep 0.05; done");
    // Whoever has sent it is still there when endless asks who that was.
    let (late, known) = (until_there("late"), until_there("known"));
    let late = format!("({late}; kill -TERM $ENDLESS_PID; touch sent; {known}) &");
    let script = format!("test $ENDLESS_GENERATION = 2 || {late} exec \"$0\" 2:wait=go as=endless");
    let setup = endless("-l 127.0.0.1:0 --pass endless --probation 0");
    let mut endless = setup.start_command(&["sh", "-c", &script, &target]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2 ", "waits for"]);
    // What it is sent now waits, and of each signal only the first.
    endless.freeze();
    endless.touch("late");
    until("generation 1 has sent it once more", || endless.file("sent").exists().then_some(()));
    endless.touch("go");
    endless.wait_with(&["target 2 ", "serves"]);
    endless.signal(Signal::SIGCONT);
    endless.wait_with(&["generation 2 ", "is ready", "it accepted a connection"]);
    endless.touch("known");
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_older_call_of_goagain_is_no_command() {
    let mut endless = start("goagain", "--probation 0", &["as=goagain-legacy"]);
    endless.ready(1);
    endless.restart(2);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.count("a copy does not stop endless"), 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn tableflip_knows_its_sockets_by_name_and_its_predecessor_until_it_is_gone() {
    let mut endless = start("tableflip", "-v", &["as=tableflip"]);
    endless.wait_with(&["target 1", "names", "listener", "tcp", "127.0.0.1:0"]);
    endless.wait_with(&["target 1", "parent exited"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait("generation 1 is gone");
    let said = endless.said();
    let line = |part: &str| said.iter().position(|line| line.contains(part));
    assert!(line("stands guard").is_some() && line("stands guard") < line("generation 1 is gone"));
    endless.wait_with(&["target 2", "parent exited"]);
    let early = endless.said().iter().position(|line| line.contains("target 2") && line.contains("parent exited"));
    let exited = endless.said().iter().position(|line| line.contains("target 1") && line.contains("has finished"));
    assert!(exited < early, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stranger_cannot_acknowledge_for_a_worker() {
    use std::io::Write;
    let mut endless = start("einhorn", "", &["env=EINHORN_SOCK_PATH", "wait={dir}/go", "deaf", "as=einhorn"]);
    let line = endless.wait("EINHORN_SOCK_PATH=");
    let path = line.split("EINHORN_SOCK_PATH=").nth(1).unwrap();
    let mut stranger = std::os::unix::net::UnixStream::connect(path).unwrap();
    stranger.write_all(b"{\"command\":\"worker:ack\",\"pid\":1}\n").unwrap();
    endless.wait_with(&["worker:ack of generation 1 came from a stranger", "is ignored"]);
    assert_eq!(endless.count("is ready"), 0);
    endless.touch("go");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}
