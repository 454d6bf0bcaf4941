//! `--events`, `--log-file`, `--output`, `reopen`, `--detach`.

use crate::support::{ENDLESS, endless, processes, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn every_change_is_one_line_of_json_in_the_events() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --quiet --events {dir}/events").start(&["3:exit=1"]);
    let events = |endless: &crate::support::Endless| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(endless.file("events")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    };
    let count = |endless: &crate::support::Endless, event: &str, generation: u32| {
        events(endless).iter().filter(|one| one["event"] == event && one["generation"] == generation).count()
    };
    until("it is ready", || (count(&endless, "ready", 1) == 1).then_some(()));
    assert_eq!(endless.order("restart").code, 0);
    assert_eq!(endless.order("restart").code, 1);
    assert_eq!(endless.stop(), 0);
    for (event, generation) in [("starting", 1), ("ready", 2), ("retiring", 1), ("gone", 1), ("failed", 3)] {
        assert_eq!(count(&endless, event, generation), 1, "{event} {generation}: {:#?}", events(&endless));
    }
    assert_eq!(events(&endless).last().unwrap()["event"], "finished");
}

#[test]
fn events_that_nobody_reads_are_lost_and_it_is_said_once() {
    let endless = endless("-l 127.0.0.1:0 --probation 0 --events /dev/full").start(&[]);
    endless.ready(1);
    endless.restart(2);
    assert_eq!(endless.count("--events cannot be written: No space left on device"), 1);
}

#[test]
fn the_log_and_the_output_go_to_files_that_are_opened_again() {
    let options = "-l 127.0.0.1:0 --probation 0 --log-file {dir}/log --output {dir}/out --on USR1=reopen";
    let mut endless = endless(options).start(&["print=hello"]);
    let dir = endless.dir().to_owned();
    let has = |name: &str, part: &str| {
        let path = dir.join(name);
        until(&format!("{part} is in {name}"), || {
            fs::read_to_string(&path).unwrap_or_default().contains(part).then_some(())
        });
    };
    has("log", "generation 1 (pid");
    has("log", "is ready");
    has("out", "hello");
    fs::rename(endless.file("log"), endless.file("log.1")).unwrap();
    fs::rename(endless.file("out"), endless.file("out.1")).unwrap();
    assert_eq!(endless.order("signal USR1").code, 0);
    assert_eq!(endless.order("restart").code, 0);
    has("log", "generation 2 (pid");
    has("out", "hello");
    assert!(!fs::read_to_string(endless.file("log.1")).unwrap().contains("generation 2"));
    assert_eq!(endless.count("endless["), 0, "nothing is on stderr: {:?}", endless.said());
    assert_eq!(endless.stop(), 0);
    has("out", "got SIGTERM");
}

#[test]
fn the_files_are_opened_again_after_the_hooks_that_come_before_and_not_when_these_fail() {
    let setup = endless("-l 127.0.0.1:0 --probation 0 --log-file {dir}/log --on USR1=reopen");
    let setup = setup.option("--hook", "pre:USR1=test -e {dir}/ok && mv {dir}/log {dir}/log.1");
    let mut endless = setup.start(&[]);
    let (log, old) = (endless.file("log"), endless.file("log.1"));
    let has = |path: &std::path::Path, part: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(part));
    until("it serves", || has(&log, "is ready").then_some(()));
    fs::rename(&log, endless.file("elsewhere")).unwrap();
    assert_eq!(endless.order("signal USR1").code, 1);
    assert!(!log.exists(), "it was opened again");
    fs::rename(endless.file("elsewhere"), &log).unwrap();
    endless.touch("ok");
    assert_eq!(endless.order("signal USR1").code, 0);
    assert_eq!(endless.order("restart").code, 0);
    until("the new file has it", || has(&log, "generation 2 (pid").then_some(()));
    assert!(!has(&old, "generation 2 (pid"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_disk_that_is_full_stops_nothing_and_is_said_once() {
    let endless =
        endless("-l 127.0.0.1:0 --probation 0 --log-file /dev/full --output /dev/full").start(&["print=hello"]);
    endless.wait("--log-file cannot be written: No space left on device");
    until("it serves", || endless.order("status target").out.contains("generation 1 serves").then_some(()));
    assert_eq!(endless.order("restart").code, 0);
    assert_eq!(endless.count("--log-file cannot be written"), 1);
}

#[test]
fn the_last_lines_of_a_copy_that_fails_are_in_the_log() {
    let endless = endless("-l 127.0.0.1:0 --output {dir}/out").start(&["2:print=the-database-is-gone", "2:exit=1"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["generation 2 printed: ", "the-database-is-gone"]);
}

/// `endless --detach`, run to its end.
pub fn detached(dir: &std::path::Path, words: &str) -> (i32, String) {
    let mut command = Command::new(ENDLESS);
    command.args("-l 127.0.0.1:0 --detach --log-file log --pid-file pid --".split(' '));
    command.arg(crate::support::example("target")).args(words.split_whitespace());
    command.current_dir(dir).env("XDG_RUNTIME_DIR", dir).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn detach_returns_when_the_first_copy_serves_or_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = detached(dir.path(), "exit=7");
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("the first copy failed: it ended before it was ready (exit status 7)"), "{said}");
    // Its pipes are at their end although it goes on: nothing holds them.
    let (code, said) = detached(dir.path(), "print=hello");
    assert_eq!((code, said.as_str()), (0, ""));
    let pid = Pid::from_raw(fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap());
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("is ready") && log.contains("hello"), "{log}");
    let (code, said) = detached(dir.path(), "");
    assert_eq!(code, 125);
    assert!(said.contains(&format!("held by pid {pid}")), "{said}");
    kill(pid, Signal::SIGTERM).unwrap();
    until("it has ended", || (!processes::alive(pid)).then_some(()));
}

#[test]
fn detach_is_no_success_where_the_first_copy_was_stopped_before_it_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let waiting = std::thread::spawn(move || detached(&path, "wait=never"));
    let begins = || fs::read_to_string(dir.path().join("log")).is_ok_and(|log| log.contains("begins")).then_some(());
    until("the copy runs", begins);
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let (code, said) = waiting.join().unwrap();
    assert_eq!(code, 125, "{said}");
    assert!(said.contains("did not come to serve"), "{said}");
}
