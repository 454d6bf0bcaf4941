//! What is harder than new connections, measured by hand: `make unmodified-hard`.

use crate::row::named as row;
use crate::support::client::Loss;
use crate::support::crowd::{Crowd, get, late, pausing, ping};
use crate::support::load::{Kind, Load};
use crate::support::talk::Talk;
use crate::support::{ENDLESS, Endless};
use crate::trial::{Started, start};
use nix::sys::signal::{Signal, kill};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Restarts and waits until the copy before is gone.
fn replace(endless: &Endless, generation: u32) {
    endless.restart(generation);
    endless.gone(generation - 1);
}

/// Twenty clients that pause 30 ms between requests, and twenty restarts: 400 connections have to end.
#[test]
#[ignore = "measures; wants an idle machine"]
fn soft_ends_kept_connections_between_requests() {
    let limits = [("node", 5), ("uvicorn", 5), ("Go, static", 2), ("redis, PING", 2), ("axum", 2)];
    let haproxy = [("haproxy, master and worker", 2), ("haproxy, noreuseport", 2)];
    let mut over = Vec::new();
    for (name, limit) in limits.into_iter().chain(haproxy).filter(|(name, _)| row(name).installed()) {
        let Started { mut endless, at, .. } = start(row(name), &[("ENDLESS_DRAIN", "soft")]);
        let ask = if row(name).kind == Kind::Talk(Talk::Redis) { ping } else { get };
        let crowd = Crowd::start(20, move |kept| pausing(kept, at, ask));
        for generation in 2..=21 {
            crowd.wait_for_more(400);
            replace(&endless, generation);
        }
        crowd.wait_for_more(400);
        let (answered, lost) = crowd.finish();
        println!("| {name} | {lost} of 400 cuts | {answered} answered |");
        if lost > limit {
            over.push(format!("{name}: {lost}, not {limit}"));
        }
        assert_eq!(endless.stop(), 0);
    }
    assert!(over.is_empty(), "{over:?}");
}

#[test]
#[ignore = "measures for a minute"]
fn handshakes_that_end_late_are_waited_for() {
    for name in ["Go, static", "Go, static, both IP versions", "node", "nginx, 2 workers"] {
        let Started { mut endless, at, .. } = start(row(name), &[]);
        let crowd = Crowd::start(40, move |_| late(at));
        for generation in 2..=21 {
            crowd.wait_for_more(80);
            replace(&endless, generation);
        }
        let (answered, lost) = crowd.finish();
        println!("| {name} | {lost} lost of {} |", answered + lost);
        assert_eq!(lost, 0, "{name}: {:#?}", endless.said());
        assert_eq!(endless.stop(), 0);
    }
}

/// Only what a copy has accepted dies with it. Four lives of five kills each: the pause before a respawn doubles every time.
#[test]
#[ignore = "measures for a minute"]
fn when_the_only_copy_is_killed_twenty_times_nobody_is_refused() {
    for name in ["Go, static", "node", "redis, PING", "python http.server"] {
        let (mut answered, mut lost) = (0, Vec::new());
        for _life in 0..4 {
            let Started { mut endless, at, .. } = start(row(name), &[("ENDLESS_RESPAWN_LIMIT", "off")]);
            let mut copy = endless.ready(1);
            let load = Load::start(at, &[(row(name).kind, 4)]);
            for generation in 2..=6 {
                load.wait_for_more(50);
                kill(copy, Signal::SIGKILL).unwrap();
                copy = endless.ready(generation);
            }
            load.wait_for_more(50);
            let count = load.finish();
            assert_eq!(count.lost_as(Loss::Refused), 0, "{name}: {:#?}", endless.said());
            answered += count.answered;
            lost.extend(count.lost);
            assert_eq!(endless.stop(), 0);
        }
        println!("| {name} | 20 kills | 0 refused | {} in flight | {answered} answered |", lost.len());
        assert!(lost.len() <= 4 * 20, "{name}: more than was in flight: {lost:?}");
    }
}

/// From exec to the end of true(1), with and without the filter, taking turns in who is first.
#[test]
#[ignore = "measures; wants an idle machine and a release build"]
fn capture_adds_little_to_a_start() {
    let took = |when: &str| {
        let mut command = Command::new(ENDLESS);
        command.args(["--capture", when, "--respawn", "never", "--", "true"]).stderr(Stdio::null());
        let began = Instant::now();
        // true(1) ends before it is ready.
        assert_eq!(command.status().unwrap().code(), Some(125));
        began.elapsed().as_secs_f64() * 1e3
    };
    let pair = |turn: u32| {
        if turn.is_multiple_of(2) {
            let never = took("never");
            took("always") - never
        } else {
            took("always") - took("never")
        }
    };
    let mut more: Vec<f64> = (0..600).map(pair).collect();
    more.sort_by(f64::total_cmp);
    let median = more[more.len() / 2];
    println!("| a start with capture takes {median:+.3} ms more |");
    assert!(median < 0.2, "{median} ms");
}
