//! When a copy counts as serving, and who serves until then.

use crate::support::client::get;
use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, processes, until};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::Duration;

/// The line that says why this generation counts as ready.
#[track_caller]
fn sign(endless: &Endless, generation: u32) -> String {
    endless.wait_with(&[&format!("generation {generation} (pid "), "is ready"])
}

/// Waits until the candidate is where `wait=` holds it, and makes sure that the old copy answers everybody.
#[track_caller]
fn still_served_by_the_old_one(endless: &Endless, candidate: u32) {
    endless.wait_with(&[&format!("target {candidate} "), ": waits for"]);
    endless.wait(&format!("starting generation {candidate} "));
    for _ in 0..50 {
        assert_eq!(endless.ask().0, candidate - 1);
    }
    assert_eq!(endless.count(&format!("generation {candidate} (pid")), 1, "it has started and no more");
}

#[test]
fn during_a_slow_start_every_client_is_served_by_the_old_copy() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["2:wait={dir}/go"]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 3), (Kind::KeepAlive, 3), (Kind::Slow, 2)]);
    endless.signal(Signal::SIGHUP);
    still_served_by_the_old_one(&endless, 2);
    load.wait_for_more(200);
    endless.touch("go");
    assert!(sign(&endless, 2).contains("it accepted a connection"));
    load.wait_for_more(100);
    assert_eq!(endless.ask().0, 2);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?}", count.lost);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn auto_takes_ready_1_even_of_a_copy_that_never_accepts() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["wait={dir}/go", "notify", "deaf"]);
    endless.wait("waits for");
    endless.touch("go");
    assert!(sign(&endless, 1).contains("READY=1"), "{:?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_target_did_once_is_expected_of_it_again() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["1:notify", "2:print=up", "3:notify"]);
    assert!(sign(&endless, 1).contains("READY=1"));
    endless.signal(Signal::SIGHUP);
    // It accepts, and does not say so: that is not enough any more.
    endless.wait_with(&["target 2 ", ": serves"]);
    endless.wait("starting generation 2 ");
    for _ in 0..50 {
        assert_eq!(endless.ask().0, 1);
    }
    assert_eq!(endless.count("generation 2 (pid"), 1, "{:?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn auto_without_a_probe_is_a_guess_and_says_so() {
    let mut endless = endless("-l udp:127.0.0.1:0 --settle 50ms").start(&[]);
    let line = sign(&endless, 1);
    assert!(line.contains("guess") && line.contains("READY=1"), "{line}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn notify_waits_for_ready_1() {
    let mut endless = endless("-l 127.0.0.1:0 --ready notify --probation 0").start(&[
        "notify=STATUS=warming up",
        "2:wait={dir}/go",
        "notify",
    ]);
    assert!(sign(&endless, 1).contains("READY=1"));
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2 ", "said STATUS=warming up"]);
    still_served_by_the_old_one(&endless, 2);
    endless.touch("go");
    assert!(sign(&endless, 2).contains("READY=1"));
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn ready_1_of_a_child_with_systemd_s_own_words_counts() {
    // The datagram as systemd's library sends it: several lines, a barrier's descriptor would come by itself.
    let script = "import os, socket, sys, time\n\
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  s.sendto(b'STATUS=up\\nREADY=1\\nMAINPID=%d\\n' % os.getpid(), os.environ['NOTIFY_SOCKET'])\n\
                  time.sleep(1000)";
    let script = format!("python3 -c \"{script}\" & wait");
    let options = "-l 127.0.0.1:0 --ready notify --kill-mode group -v";
    let mut endless = endless(options).start_command(&["sh", "-c", &script]);
    assert!(sign(&endless, 1).contains("READY=1"));
    endless.wait("says: up");
    endless.signal(Signal::SIGTERM);
    endless.ended_clean();
}

#[test]
fn accept_wants_every_stream_listener_accepted() {
    // Descriptor 9 is not counted by LISTEN_FDS: the target never accepts there.
    let mut half = endless("-l {dir}/a -l {dir}/b,fd=9 --ready accept --ready-timeout 1s").start(&[]);
    half.wait("generation 1 failed: it was not ready after 1s");
    assert_ne!(half.ended_clean(), 0);
    let mut whole = endless("-l {dir}/a -l 127.0.0.1:0 -l udp:127.0.0.1:0 --ready accept").start(&["notify"]);
    assert!(sign(&whole, 1).contains("it accepted a connection"), "READY=1 does not count");
    assert_eq!(whole.stop(), 0);
}

#[test]
fn a_server_that_takes_one_client_after_the_other_is_ready_at_all_its_listeners() {
    // It waits for what each client says before it looks at the next listener, and one listener hides silent clients.
    let script = "import select, socket, sys\n\
                  print('serves', flush=True)\n\
                  sockets = [socket.socket(fileno=3), socket.socket(fileno=4)]\n\
                  while True:\n\
                  \x20for s in select.select(sockets, [], [])[0]:\n\
                  \x20 s.accept()[0].recv(1)";
    let options = "-l 127.0.0.1:0,defer-accept=60 -l {dir}/s --ready accept --probation 0";
    let mut endless = endless(options).start_command(&["python3", "-c", script]);
    assert!(sign(&endless, 1).contains("it accepted a connection"));
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn one_accepting_listener_is_enough_for_auto() {
    let mut endless = endless("-l {dir}/a -l {dir}/b,fd=9 --settle 100ms").start(&[]);
    assert!(sign(&endless, 1).contains("it accepted a connection"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_probe_wants_a_good_answer_from_the_candidate_itself() {
    let options = "-l 127.0.0.1:0 --ready probe=http:/health --probation 0";
    let mut endless = endless(options).start(&["2:sick={dir}/well"]);
    assert!(sign(&endless, 1).contains("it answered the probe with 200"), "{:?}", endless.said());
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2 ", ": answered 500"]);
    // Clients still see the old copy's good answers.
    for _ in 0..50 {
        let answer = get(endless.address(0), "/").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello, world 1 "), "{answer}");
    }
    endless.touch("well");
    assert!(sign(&endless, 2).contains("it answered the probe with 200"));
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn delay_is_being_alive_for_so_long() {
    let mut endless = endless("-l 127.0.0.1:0 --ready delay=200ms").start(&["deaf"]);
    let line = sign(&endless, 1);
    let took = line.split("after ").nth(1).unwrap().split(':').next().unwrap();
    assert!(humantime::parse_duration(took).unwrap() >= Duration::from_millis(200), "{line}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_signal_of_the_copy_is_readiness_and_no_command() {
    let mut endless = endless("-l 127.0.0.1:0 --ready signal=TERM --probation 0").start(&["parent=TERM"]);
    assert!(sign(&endless, 1).contains("SIGTERM"), "{:?}", endless.said());
    endless.restart(2);
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask().0, 2);
    // From anybody else it is what it always was.
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_signal_of_somebody_else_is_no_readiness() {
    let mut endless =
        endless("-l 127.0.0.1:0 --ready signal=USR1 --probation 0").start(&["wait={dir}/go", "parent=USR1"]);
    endless.wait("waits for");
    endless.signal(Signal::SIGUSR1);
    endless.wait(&format!("SIGUSR1 from pid {}: nothing but hooks", std::process::id()));
    assert_eq!(endless.count("is ready"), 0);
    endless.touch("go");
    assert!(sign(&endless, 1).contains("SIGUSR1"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_candidate_that_is_not_ready_in_time_is_killed_and_the_old_copy_goes_on() {
    let mut endless = endless("-l 127.0.0.1:0 --ready-timeout 8s --probation 0").start(&["2:hang"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    let starting = endless.wait("starting generation 2");
    let line = endless.wait("generation 2 failed: it was not ready after 8s");
    assert!(line.contains("generation 1 (pid") && line.ends_with("goes on"), "{line}");
    let candidate: Pid = crate::support::pid_in(&starting);
    until("it is gone", || (!processes::alive(candidate)).then_some(()));
    assert_eq!(endless.ask().0, 1);
    endless.restart(3);
    assert_eq!(endless.ask().0, 3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_first_start_that_is_not_ready_in_time_is_the_end() {
    let mut endless = endless("-l 127.0.0.1:0 --ready notify --ready-timeout 1s").start(&[]);
    assert_eq!(endless.ended_clean(), 125);
    assert!(endless.everything().join("\n").contains("generation 1 failed: it was not ready after 1s"));
}

#[test]
fn what_a_release_said_that_crashed_is_not_expected_of_the_one_before() {
    let options = "-l 127.0.0.1:0 --probation 20s --ready-timeout 8s";
    let mut endless = endless(options).start(&["2:notify", "2:crash={dir}/crash"]);
    endless.ready(1);
    endless.restart(2);
    endless.touch("crash");
    endless.wait_with(&["generation 1 (pid ", "serves"]);
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn where_nothing_serves_a_copy_that_says_nothing_is_not_killed() {
    let options = "-l 127.0.0.1:0 --probation 0 --ready-timeout 8s";
    let mut endless = endless(options).start(&["1:notify", "1:crash={dir}/crash"]);
    endless.ready(1);
    endless.touch("crash");
    assert!(sign(&endless, 2).contains("it accepted a connection"));
    assert_eq!(endless.stop(), 0);
}
