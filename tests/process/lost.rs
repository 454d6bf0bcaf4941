//! Restarts under load: how many requests get no answer. None.

use crate::support::client::Loss;
use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, example};

const EVERYBODY: [(Kind, usize); 3] = [(Kind::New, 4), (Kind::KeepAlive, 4), (Kind::Slow, 4)];

fn serving(options: &str, server: &str) -> Endless {
    let endless = endless(options).start_command(&[&example(server).display().to_string()]);
    endless.ready(1);
    endless
}

#[track_caller]
fn restarts_lose_nothing(mut endless: Endless, load: Load) {
    for generation in 2..=6 {
        load.wait_for_more(50);
        endless.restart(generation);
    }
    // The old ones go under load, too.
    endless.gone(5);
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn simple_server_loses_nothing() {
    let endless = serving("-l 127.0.0.1:0 --probation 0", "simple_server");
    let load = Load::start(endless.address(0), &EVERYBODY);
    restarts_lose_nothing(endless, load);
}

#[test]
fn simple_server_loses_nothing_with_a_probation() {
    let endless = serving("-l 127.0.0.1:0 --probation 1s", "simple_server");
    let load = Load::start(endless.address(0), &EVERYBODY);
    restarts_lose_nothing(endless, load);
}

#[test]
fn tls_server_loses_nothing() {
    let endless = serving("-l 127.0.0.1:0 --probation 0", "tls_server");
    let load = Load::start_tls(endless.address(0), &[(Kind::New, 4), (Kind::KeepAlive, 4)]);
    restarts_lose_nothing(endless, load);
}

#[test]
fn with_a_server_that_dies_at_sigterm_nothing_is_lost_before_it_was_accepted() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["mortal=loud"]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 8)]);
    for generation in 2..=11 {
        load.wait_for_more(50);
        endless.restart(generation);
    }
    endless.gone(10);
    load.wait_for_more(50);
    let count = load.finish();
    let early: Vec<_> = count.lost.iter().filter(|(_, loss)| *loss != Loss::Cut).collect();
    assert!(early.is_empty(), "{early:?} of {}; {:#?}", count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}
