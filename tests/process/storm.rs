//! Far more restart requests than there can be restarts.

use crate::support::load::{Kind, Load};
use crate::support::{endless, processes, until};
use nix::sys::signal::Signal;
use std::thread;
use std::time::Duration;

const SIGNALS: usize = 200;

fn storm(pause: Duration) {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["notify"]);
    endless.ready(1);
    // What one ordinary restart leaves open for good is no leak of the storm.
    let second = endless.restart(2);
    endless.gone(1);
    endless.wait_for_only(&[second]);
    let before = endless.descriptors();
    let load = Load::start(endless.address(0), &[(Kind::New, 4), (Kind::Leisurely, 2)]);
    load.wait_for_more(50);
    let mut last = 0;
    for _ in 0..SIGNALS {
        last = processes::now();
        endless.signal(Signal::SIGHUP);
        thread::sleep(pause);
    }
    let left = until("one copy is left, started after the last signal", || match endless.others()[..] {
        [only] if processes::started(only).is_some_and(|at| at >= last) => Some(only),
        _ => None,
    });
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    let (generation, serving) = endless.ask();
    assert_eq!(serving, left);
    assert_eq!(endless.ready(generation), left);
    until("every copy was waited for", || processes::zombies_of(endless.pid()).is_empty().then_some(()));
    endless.wait_for_descriptors(before);
    // It is the last one: nothing is remembered any more.
    let next = endless.restart(generation + 1);
    endless.wait_for_only(&[next]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn two_hundred_restarts_at_once_end_with_one_live_copy() {
    storm(Duration::ZERO);
}

#[test]
fn two_hundred_restarts_5_ms_apart_end_with_one_live_copy() {
    storm(Duration::from_millis(5));
}
