//! An old copy goes, whatever it does.

use crate::support::client::connect;
use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn an_old_copy_that_ignores_sigterm_is_hammered() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --hammer 8s").start(&["1:ignore=TERM"]);
    let first = endless.ready(1);
    let second = endless.restart(2);
    endless.wait("target 1 ");
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    endless.wait(&format!("[STOP - Hammer Time] Forcefully shutting down generation 1 (pid {first})"));
    endless.gone(1);
    endless.wait_for_only(&[second]);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}

/// The main process ends, what it left behind does not: it is named, told to stop, and killed in the end.
fn leaves_something_behind(word: &str) {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --hammer 8s").start(&[&format!("1:{word}")]);
    endless.ready(1);
    let left = left_behind(&endless);
    let second = endless.restart(2);
    endless.wait_with(&["the main process of generation 1 is gone; it left behind", &format!("(pid {left})")]);
    endless.wait("[STOP - Hammer Time] Forcefully shutting down generation 1");
    endless.gone(1);
    assert!(!processes::alive(left));
    endless.wait_for_only(&[second]);
    assert_eq!(endless.stop(), 0);
}

fn left_behind(endless: &Endless) -> Pid {
    let line = endless.wait("left behind ");
    Pid::from_raw(line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_grandchild_that_ignores_sigterm_is_hammered() {
    leaves_something_behind("grandchild");
}

#[test]
fn a_grandchild_in_a_session_of_its_own_is_hammered() {
    leaves_something_behind("daemon");
}

#[test]
fn a_whole_tree_that_ignores_sigterm_is_hammered() {
    let options = "-l 127.0.0.1:0 --probation 0 --hammer 8s --kill-mode group";
    let mut endless = endless(options).start(&["1:ignore=TERM", "1:grandchild", "1:daemon"]);
    endless.ready(1);
    let second = endless.restart(2);
    endless.gone(1);
    endless.wait_for_only(&[second]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn with_kill_mode_process_what_an_old_copy_has_started_goes_on() {
    let options = "-l 127.0.0.1:0 --probation 0 --hammer never --kill-mode process";
    let mut endless = endless(options).start(&["1:grandchild"]);
    endless.ready(1);
    let grandchild = left_behind(&endless);
    endless.restart(2);
    endless.gone(1);
    assert!(processes::alive(grandchild) && endless.count("Hammer Time") == 0, "{:#?}", endless.said());
    kill(grandchild, Signal::SIGKILL).unwrap();
    assert_eq!(endless.stop(), 0);
}

#[test]
fn sigusr2_hammers_what_would_be_waited_for_for_ever() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --hammer never").start(&["1:ignore=TERM", "1:daemon"]);
    endless.ready(1);
    endless.signal(Signal::SIGUSR2);
    endless.wait("hammer not carried out: nothing is retiring");
    let second = endless.restart(2);
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    endless.signal(Signal::SIGUSR2);
    endless.gone(1);
    endless.wait_for_only(&[second]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn with_more_old_copies_than_may_be_the_oldest_is_hammered() {
    let options = "-l 127.0.0.1:0 --probation 0 --hammer never --max-retiring 2";
    let endless = endless(options).start(&["ignore=TERM"]);
    endless.ready(1);
    let second = endless.restart(2);
    let third = endless.restart(3);
    for generation in ["1", "2"] {
        endless.wait_with(&[&format!("target {generation} "), "got SIGTERM"]);
    }
    assert_eq!(endless.count("Hammer Time"), 0);
    let fourth = endless.restart(4);
    endless.gone(1);
    endless.wait_for_only(&[second, third, fourth]);
    assert_eq!(endless.count("Hammer Time"), 1);
}

#[test]
fn a_restart_during_a_drain_does_not_wait_for_it() {
    let options = "-l 127.0.0.1:0 --ready notify --probation 0 --drain queue=8s";
    let mut endless = endless(options).start(&["notify", "1:deaf"]);
    let first = endless.ready(1);
    let _client = connect(endless.address(0)).unwrap();
    endless.restart(2);
    let third = endless.restart(3);
    assert!(processes::alive(first), "it was not waited for");
    assert_eq!(endless.ask(), (3, third));
    endless.gone(2);
    endless.gone(1);
    endless.wait_for_only(&[third]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_old_copy_finishes_what_it_has_while_the_new_one_serves() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&[]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::Slow, 8)]);
    for generation in 2..=4 {
        load.wait_for_more(8);
        endless.restart(generation);
    }
    load.wait_for_more(8);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{count:?}; {:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}
