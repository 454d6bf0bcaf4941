//! The main job: start, restart, stop.

use crate::support::load::{Kind, Load};
use crate::support::{Endless, client, endless, example, processes};

#[test]
fn a_restart_replaces_the_copy_and_ends_the_old_one() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&[]);
    let first = endless.ready(1);
    assert_eq!(endless.ask(), (1, first));
    let second = endless.restart(2);
    endless.gone(1);
    assert!(!processes::alive(first));
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}

/// The greeting at one of its addresses.
fn greets(endless: &Endless, number: usize) -> String {
    client::get(endless.address(number), "/").unwrap()
}

#[test]
fn the_example_with_two_addresses_tells_them_apart_by_name() {
    let multi_port = example("multi_port").display().to_string();
    let options = "-l admin=127.0.0.1:0 -l web=127.0.0.1:0 --probation 0";
    let mut endless = endless(options).start_command(&[&multi_port]);
    for generation in 1..=2 {
        let pid = if generation == 1 { endless.ready(1) } else { endless.restart(generation) };
        assert!(greets(&endless, 0).contains(&format!("Admin {generation} {pid}!")));
        assert!(greets(&endless, 1).contains(&format!("Hello, world {generation} {pid}!")));
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn nothing_is_lost_under_load() {
    let simple_server = example("simple_server").display().to_string();
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start_command(&[&simple_server]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4), (Kind::KeepAlive, 4), (Kind::Slow, 4)]);
    for generation in 2..=10 {
        load.wait_for_more(50);
        endless.restart(generation);
    }
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}
