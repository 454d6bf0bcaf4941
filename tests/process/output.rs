//! What endless says, where, and how.

use crate::support::{Endless, Setup, endless};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read};

/// A life with everything that is told in it: a restart, one that fails, a hammer.
fn life(setup: Setup) -> Endless {
    let mut endless = setup.start(&["1:ignore=TERM", "2:exit=3"]);
    wait_serving(&endless, 1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2 ", ": begins"]);
    // The second attempt has failed when the third begins.
    endless.signal(Signal::SIGHUP);
    wait_serving(&endless, 3);
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    endless.signal(Signal::SIGUSR2);
    endless.wait("[STOP - Hammer Time]");
    assert_eq!(endless.stop(), 0);
    endless
}

#[track_caller]
fn wait_serving(endless: &Endless, generation: u32) {
    endless.wait_with(&[&format!("target {generation} "), ": serves"]);
}

const OPTIONS: &str = "-l 127.0.0.1:0 --probation 0 --hammer never";

/// The lines that are not the target's.
fn own(endless: &Endless) -> Vec<String> {
    endless.everything().into_iter().filter(|line| !line.starts_with("target ")).collect()
}

fn is_stamp(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z"
}

#[test]
fn text_lines_have_a_time_stamp_and_the_pid() {
    let endless = life(endless(OPTIONS));
    let prefix = format!("endless[{}]: ", endless.pid());
    let lines = own(&endless);
    assert!(lines.len() > 10, "{lines:?}");
    for line in &lines {
        let (stamp, rest) = line.split_once(' ').unwrap();
        assert!(is_stamp(stamp) && rest.starts_with(&prefix), "{line:?}");
    }
}

#[test]
fn under_journald_there_are_no_time_stamps() {
    let shell = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"";
    let mut endless = Setup::behind(&["sh", "-c", shell, "sh"], OPTIONS).start(&[]);
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
    let prefix = format!("endless[{}]: ", endless.pid());
    assert!(own(&endless).iter().all(|line| line.starts_with(&prefix)), "{:?}", endless.said());
}

#[test]
fn a_journal_that_gets_another_stream_changes_nothing() {
    let mut endless = endless(OPTIONS).env("JOURNAL_STREAM", "8:12345").start(&[]);
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
    assert!(own(&endless).iter().all(|line| is_stamp(line.split(' ').next().unwrap())), "{:?}", endless.said());
}

#[test]
fn every_line_of_json_is_an_object_with_its_fields() {
    let endless = life(endless(&format!("{OPTIONS} --log-format json -v")));
    let mut events = Vec::new();
    for line in own(&endless) {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let text = |field: &str| value[field].as_str().unwrap_or_else(|| panic!("{field}: {line}")).to_owned();
        assert_eq!(value["pid"], endless.pid().as_raw());
        assert!(["problem", "normal", "detail"].contains(&text("level").as_str()), "{line}");
        assert!(text("time").ends_with('Z') && !text("message").is_empty(), "{line}");
        let event = text("event");
        let fields: &[&str] = match event.as_str() {
            "listening" => &["listener", "address", "shared"],
            "starting" | "stopping" | "hammered" => &["generation", "main_pid"],
            "ready" => &["generation", "main_pid", "sign", "took_ms"],
            "failed" => &["generation", "reason", "kept"],
            "asked" => &["signal", "sender", "what"],
            "retiring" | "gone" => &["generation"],
            "exited" => &["generation", "exit", "expected"],
            "finished" => &["code"],
            _ => &[],
        };
        assert!(fields.iter().all(|field| value.get(*field).is_some()), "{line}");
        events.push(event);
    }
    for event in [
        "listening",
        "starting",
        "ready",
        "asked",
        "failed",
        "retiring",
        "stopping",
        "hammered",
        "exited",
        "gone",
        "finished",
    ] {
        assert!(events.iter().any(|one| one == event), "no {event} in {events:?}");
    }
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let mut calm = endless(&format!("{OPTIONS} -q")).start(&[]);
    wait_serving(&calm, 1);
    assert_eq!(calm.stop(), 0);
    assert_eq!(own(&calm), Vec::<String>::new());
    let lines = own(&life(endless(&format!("{OPTIONS} -q"))));
    assert!(lines.iter().any(|line| line.contains("generation 2 failed: ")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("is ready") || line.contains("starting")), "{lines:?}");
}

#[test]
fn verbose_says_more() {
    for (option, expected) in [("", 0), ("-v", 1)] {
        let options = format!("-l 127.0.0.1:0 --probation 1h {option}");
        let mut endless = endless(&options).start(&["notify=STATUS=warm", "notify"]);
        endless.ready(1);
        endless.restart(2);
        if expected > 0 {
            endless.wait("stands guard for 1h");
        }
        assert_eq!(endless.stop(), 0);
        endless.everything();
        assert_eq!(endless.count("stands guard for 1h"), expected);
        assert_eq!(endless.count("generation 1 (pid") > 0 && endless.count("says: warm") > 0, expected > 0);
    }
}

#[test]
fn nothing_of_endless_goes_to_stdout() {
    let setup = Setup::behind(&["sh", "-c", "exec \"$@\" >out", "sh"], OPTIONS);
    let mut endless = setup.start(&[]);
    endless.ready(1);
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
    let out = fs::read_to_string(endless.file("out")).unwrap();
    assert!(out.lines().count() > 0 && out.lines().all(|line| line.starts_with("target ")), "{out}");
    assert!(own(&endless).len() > 5);
}

#[test]
fn a_log_nobody_reads_any_more_does_not_end_it() {
    // The reader of the log ends at once: every later write fails with EPIPE.
    let shell = "mkfifo log; env -u ENDLESS_TEST_MARK head -c 1 log >/dev/null & exec \"$@\" 2>log";
    let mut endless = Setup::behind(&["sh", "-c", shell, "sh"], "-l {dir}/s --probation 0").start(&[]);
    for generation in 1..=3 {
        if generation > 1 {
            endless.signal(Signal::SIGHUP);
        }
        wait_serving(&endless, generation);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_log_nobody_reads_for_a_while_holds_nothing_up_and_comes_later() {
    // The pipe is full, and who could read it (descriptor 3, like that of a pager) does not.
    let shell = "mkfifo log; exec 3<>log; head -c 65536 /dev/zero >&3; exec \"$@\" 2>&3";
    let setup = Setup::behind(&["sh", "-c", shell, "sh"], "-l {dir}/s --probation 0");
    let mut endless = setup.start(&[]);
    for generation in 1..=2 {
        if generation > 1 {
            endless.signal(Signal::SIGHUP);
        }
        wait_serving(&endless, generation);
    }
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    let mut log = BufReader::new(fs::File::open(endless.file("log")).unwrap());
    log.read_exact(&mut [0; 65536]).unwrap();
    let ready =
        log.lines().map_while(Result::ok).find(|line| line.contains("generation 2 (pid") && line.contains("is ready"));
    assert!(ready.is_some());
    assert_eq!(endless.stop(), 0);
}
