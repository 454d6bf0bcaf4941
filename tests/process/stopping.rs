//! The end of endless, asked for or not, and what comes between.

use crate::support::client::get;
use crate::support::{endless, processes, until};
use nix::sys::signal::{Signal, kill};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;

#[test]
fn a_stop_during_the_first_start_leaves_nothing() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["wait={dir}/never"]);
    endless.wait("waits for");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stop_during_a_restart_ends_both_copies() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["2:wait={dir}/never"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("target 2 ");
    endless.wait("waits for");
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("got SIGTERM"), 2);
}

#[test]
fn a_stop_right_after_a_restart_was_asked_for_ends_everything() {
    for _ in 0..10 {
        let mut endless = endless("-l 127.0.0.1:0").start(&[]);
        endless.ready(1);
        endless.signal(Signal::SIGHUP);
        assert_eq!(endless.stop(), 0);
    }
}

#[test]
fn a_restart_during_a_start_follows_it() {
    let options = "-l 127.0.0.1:0 --probation 0 --supersede never";
    let mut endless = endless(options).start(&["1:wait={dir}/first", "2:wait={dir}/second"]);
    endless.wait("target 1 ");
    endless.signal(Signal::SIGHUP);
    endless.wait_count("a restart is under way", 1);
    endless.touch("first");
    endless.ready(1);
    endless.wait("target 2 ");
    endless.signal(Signal::SIGHUP);
    endless.signal(Signal::SIGHUP);
    endless.wait_count("a restart is under way", 2);
    endless.touch("second");
    let third = endless.ready(3);
    endless.wait_for_only(&[third]);
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("starting generation"), 3);
}

#[test]
fn a_restart_during_a_stop_is_refused() {
    let mut endless = endless("-l 127.0.0.1:0 --hammer never").start(&["ignore=TERM"]);
    endless.ready(1);
    endless.signal(Signal::SIGTERM);
    endless.wait("got SIGTERM");
    endless.signal(Signal::SIGHUP);
    endless.wait("restart not carried out: endless is stopping");
    endless.signal(Signal::SIGTERM);
    assert_eq!(endless.ended_clean(), 137);
    assert_eq!(endless.count("starting generation"), 1);
}

#[test]
fn a_second_sigterm_hammers() {
    let mut endless = endless("-l 127.0.0.1:0 --hammer never").start(&["ignore=TERM", "grandchild", "daemon"]);
    endless.ready(1);
    endless.signal(Signal::SIGTERM);
    endless.wait("got SIGTERM");
    endless.signal(Signal::SIGTERM);
    assert_eq!(endless.ended_clean(), 137);
    assert_eq!(endless.count("Hammer Time"), 1);
}

#[test]
fn a_second_stop_signal_of_another_kind_hammers_too() {
    let mut endless = endless("-l 127.0.0.1:0 --hammer never").start(&["ignore=TERM"]);
    endless.ready(1);
    endless.signal(Signal::SIGINT);
    endless.wait("got SIGTERM");
    endless.signal(Signal::SIGQUIT);
    assert_eq!(endless.ended_clean(), 137);
}

#[test]
fn when_endless_is_killed_its_copies_stop_and_the_address_is_free() {
    // An address of its own: nobody else takes the port when it is free.
    let mut endless = endless("-l 127.0.3.1:0 --probation 10m").start(&["orphan"]);
    endless.ready(1);
    endless.restart(2);
    let at = endless.address(0);
    endless.signal(Signal::SIGKILL);
    assert_eq!(endless.ended().signal(), Some(9));
    endless.wait_for_only(&[]);
    endless.wait_count("got SIGTERM", 2);
    endless.wait_count("has finished", 2);
    TcpListener::bind(at).expect("free again");
}

#[test]
fn when_endless_is_killed_during_a_start_the_candidate_stops_too() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["2:wait={dir}/never"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("waits for");
    endless.signal(Signal::SIGKILL);
    endless.ended();
    endless.wait_for_only(&[]);
}

#[test]
fn with_orphans_keep_the_copies_outlive_endless() {
    let mut endless = endless("-l 127.0.0.1:0 --orphans keep").start(&[]);
    let first = endless.ready(1);
    let at = endless.address(0);
    endless.signal(Signal::SIGKILL);
    endless.ended();
    assert!(get(at, "/").unwrap().contains(&format!("Hello, world 1 {first}!")));
    assert!(processes::alive(first));
    kill(first, Signal::SIGTERM).unwrap();
    endless.wait_for_only(&[]);
}

#[test]
fn a_signal_that_says_ready_is_no_command() {
    let mut endless = endless("-l 127.0.0.1:0 --ready signal=TERM --probation 0").start(&["parent=TERM"]);
    endless.ready(1);
    let second = endless.restart(2);
    endless.gone(1);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("SIGTERM from pid"), 1, "{:#?}", endless.said());
}

#[test]
fn a_late_second_signal_of_a_copy_is_no_command_either() {
    let mut endless =
        endless("-l 127.0.0.1:0 --ready signal=TERM").start(&["parent=TERM", "wait={dir}/go", "parent=TERM"]);
    let first = endless.ready(1);
    endless.touch("go");
    endless.wait("serves");
    assert_eq!(endless.ask(), (1, first));
    // While one SIGTERM is pending another one is none (signal(7)).
    endless.settle();
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_that_was_stopped_is_continued_to_end() {
    let mut endless = endless("-l 127.0.0.1:0").start(&[]);
    let copy = endless.ready(1);
    kill(copy, Signal::SIGSTOP).unwrap();
    let stopped = || processes::status(copy, "State").is_some_and(|state| state.starts_with('T'));
    crate::support::until("it is stopped", || stopped().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn hooks_that_were_asked_are_not_waited_for_at_the_end() {
    let check = "touch asked; exec sleep 1000";
    let mut endless = endless("-l 127.0.0.1:0 --hook-timeout never").option("--check", check).start(&[]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    until("the hook has begun", || endless.file("asked").exists().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stop_reaches_an_old_copy_that_retires_by_another_signal() {
    let options = "-l 127.0.0.1:0 --probation 0 --drain off --hammer never --retire-signal USR1";
    let mut endless = endless(options).start(&["ignore=USR1"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait_with(&["target 1 ", "got SIGUSR1"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stop_does_not_repeat_the_signal_an_old_copy_has() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --drain off").start(&["1:ignore=TERM", "1:stop=USR1"]);
    let first = endless.ready(1);
    endless.restart(2);
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    endless.signal(Signal::SIGTERM);
    endless.gone(2);
    nix::sys::signal::kill(first, Signal::SIGUSR1).unwrap();
    assert_eq!(endless.ended_clean(), 0);
    assert_eq!(endless.count("got SIGTERM"), 2, "{:#?}", endless.said());
}

#[test]
fn a_hook_that_stops_endless_and_waits_for_its_end_is_not_waited_for() {
    let setup = endless("-l 127.0.0.1:0 --probation 0 --hook-timeout never");
    let setup = setup.option("--hook", &format!("failed={} stop && echo it has stopped", crate::support::ENDLESS));
    let mut endless = setup.start(&["2:exit=1"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed");
    assert_eq!(endless.ended_clean(), 0);
    assert_eq!(endless.count("it has stopped"), 1, "{:#?}", endless.said());
}
