//! No descriptors or no processes left during a restart: the old copy goes on, and the next restart works.

use crate::support::{Endless, Setup, endless, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use std::os::unix::fs::chown;

#[test]
fn without_descriptors_the_old_copy_goes_on() {
    let options = "-l 127.0.0.1:0 -l unix:{dir}/socket --probation 0 --ready-timeout 6s";
    let mut endless = endless(options).start(&[]);
    endless.ready(1);
    let mut serving = endless.restart(2);
    endless.gone(1);
    let before = endless.descriptors();
    let usual = processes::soft_limit(endless.pid(), "Max open files");
    let mut generation = 2;
    // One more each time, so that each step of a start is once the one that finds none.
    for left in 0..8 {
        processes::limit(endless.pid(), &format!("nofile={}:", processes::limit_for(endless.pid(), left)));
        generation += 1;
        endless.signal(Signal::SIGHUP);
        serving = decided(&endless, generation).unwrap_or(serving);
        endless.wait_for_only(&[serving]);
        assert_eq!(endless.ask().1, serving);
        assert!(left > 0 || endless.count("Too many open files") > 0, "{:#?}", endless.said());
        lift(&endless, &usual, before);
    }
    generation += 1;
    let last = endless.restart(generation);
    endless.wait_for_only(&[last]);
    assert_eq!(endless.ask(), (generation, last));
    lift(&endless, &usual, before);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn below_a_limit_that_was_lowered_under_it_everything_but_a_start_goes_on() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&[]);
    endless.ready(1);
    let usual = processes::soft_limit(endless.pid(), "Max open files");
    // Less than it polls.
    processes::limit(endless.pid(), "nofile=2:");
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed: ");
    endless.settle();
    assert_eq!(endless.ask().0, 1);
    processes::limit(endless.pid(), &format!("nofile={usual}:"));
    endless.restart(3);
    processes::limit(endless.pid(), "nofile=2:");
    assert_eq!(endless.stop(), 0);
}

/// Waits until a restart has succeeded or failed; the pid of the new copy where it has succeeded.
#[track_caller]
fn decided(endless: &Endless, generation: u32) -> Option<nix::unistd::Pid> {
    let line = crate::support::until("the restart is decided", || {
        let fits = |line: &String| {
            line.contains(&format!("generation {generation} failed: "))
                || line.contains(&format!("generation {generation} (pid ")) && line.contains("is ready")
        };
        endless.said().into_iter().find(fits)
    });
    line.contains("is ready").then(|| crate::support::pid_in(&line))
}

/// Lifts the limit, and looks that nothing was left open.
#[track_caller]
fn lift(endless: &Endless, usual: &str, before: usize) {
    processes::limit(endless.pid(), &format!("nofile={usual}:"));
    endless.wait_for_descriptors(before);
}

/// The limit of processes counts all of one user, and does not count root's.
fn as_a_user_of_its_own(options: &str) -> Setup {
    if !geteuid().is_root() {
        return endless(options);
    }
    let user = (2_000_000 + std::process::id()).to_string();
    let reuid = format!("--reuid={user}");
    // Only so that it can read what root has built.
    let words = ["setpriv", &reuid, "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
    let setup = Setup::behind(&words, options);
    chown(setup.dir(), Some(user.parse().unwrap()), None).unwrap();
    setup
}

#[test]
fn without_processes_the_old_copy_goes_on() {
    let mut endless = as_a_user_of_its_own("-l 127.0.0.1:0 --probation 0").start(&[]);
    let first = endless.ready(1);
    let second = endless.restart(2);
    endless.gone(1);
    assert!(!processes::alive(first));
    let before = endless.descriptors();
    let usual = processes::soft_limit(endless.pid(), "Max processes");
    processes::limit(endless.pid(), "nproc=1:");
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["generation 3 failed: cannot fork: Resource temporarily unavailable", "goes on"]);
    assert_eq!(endless.ask(), (2, second));
    endless.wait_for_descriptors(before);
    processes::limit(endless.pid(), &format!("nproc={usual}:"));
    let fourth = endless.restart(4);
    assert_eq!(endless.ask(), (4, fourth));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn without_descriptors_what_a_crashed_copy_left_behind_is_not_taken_for_gone() {
    let options = "-l 127.0.0.1:0 --respawn-limit off --hammer 8s";
    let mut endless = endless(options).start(&["1:grandchild"]);
    let first = endless.ready(1);
    let usual = processes::soft_limit(endless.pid(), "Max open files");
    processes::limit(endless.pid(), &format!("nofile={}:", processes::limit_for(endless.pid(), 0)));
    kill(first, Signal::SIGKILL).unwrap();
    endless.wait("generation 1 (pid ");
    endless.settle();
    assert_eq!(endless.count("generation 1 is gone"), 0, "{:#?}", endless.said());
    processes::limit(endless.pid(), &format!("nofile={usual}:"));
    endless.gone(1);
    assert_eq!(endless.stop(), 0);
}
