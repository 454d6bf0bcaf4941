//! A new copy that is ready and dies soon: the old one takes over again.

use crate::support::client::{Loss, connect, request};
use crate::support::load::{Kind, Load};
use crate::support::{endless, processes};
use nix::sys::signal::{Signal, kill};
use std::thread;
use std::time::Duration;

#[test]
fn when_the_new_copy_crashes_in_its_probation_the_old_one_serves_again() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 10m").start(&["2:crash={dir}/crash"]);
    let first = endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    load.wait_for_more(50);
    let second = endless.restart(2);
    load.wait_for_more(50);
    assert_eq!(endless.ask(), (2, second));
    // It is that late that it crashes: nothing to wait for but the time.
    thread::sleep(Duration::from_secs(1));
    endless.touch("crash");
    endless.wait_with(&[
        "ended before the restart was over (exit status 9)",
        &format!("generation 1 (pid {first}) serves"),
    ]);
    load.wait_for_more(50);
    let count = load.finish();
    assert_eq!((count.lost_as(Loss::Refused), count.lost_as(Loss::Silent)), (0, 0), "{count:?}");
    // Of each client the request that the crashed copy had, and one that waited in its queue when it was noticed.
    assert!(count.lost.len() <= 2 * 4, "{count:?}");
    endless.wait_for_only(&[first]);
    assert_eq!(endless.ask(), (1, first));
    assert_eq!((endless.count("next start in"), endless.count("starting generation")), (0, 2));
    let third = endless.restart(3);
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_old_copy_that_drains_serves_again_too() {
    let options = "-l 127.0.0.1:0 --ready notify --probation 0 --drain queue=10m";
    let mut endless = endless(options).start(&["notify", "1:deaf"]);
    let first = endless.ready(1);
    // A client in its queue keeps it draining, and a deaf one never takes it out.
    let _client = connect(endless.address(0)).unwrap();
    let second = endless.restart(2);
    kill(second, Signal::SIGKILL).unwrap();
    let says =
        ["ended before the restart was over (killed by SIGKILL)", &format!("generation 1 (pid {first}) serves again")];
    endless.wait_with(&says);
    assert_eq!(endless.count("probation"), 0, "there was none");
    endless.wait_for_only(&[first]);
    let third = endless.restart(3);
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn after_the_probation_the_old_copy_is_gone_and_a_crash_is_followed_by_a_new_start() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 5s").start(&[]);
    let first = endless.ready(1);
    let second = endless.restart(2);
    assert!(processes::alive(first));
    endless.gone(1);
    assert!(!processes::alive(first));
    kill(second, Signal::SIGKILL).unwrap();
    let third = endless.ready(3);
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_restart_in_the_probation_retires_the_guard_at_once() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 10m").start(&[]);
    endless.ready(1);
    let second = endless.restart(2);
    let third = endless.restart(3);
    endless.gone(1);
    endless.wait_for_only(&[second, third]);
    let mut client = connect(endless.address(0)).unwrap();
    assert!(request(&mut client, "/").unwrap().contains("Hello, world 3 "));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_guard_that_dies_is_gone_and_nothing_follows() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 10m").start(&[]);
    let first = endless.ready(1);
    let second = endless.restart(2);
    kill(first, Signal::SIGKILL).unwrap();
    endless.gone(1);
    endless.wait_for_only(&[second]);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.count("starting generation"), 2);
    assert_eq!(endless.stop(), 0);
}
