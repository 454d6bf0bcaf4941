//! The exit status of endless, and that a first start that fails leaves nothing.

use crate::support::{Endless, Setup, copy_program, endless, write_program};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// It ended with this status, the address is free, and its directory is as it was.
#[track_caller]
fn ends_with(mut endless: Endless, status: i32, files: usize) {
    assert_eq!(endless.ended_clean(), status, "{:#?}", endless.said());
    let left: Vec<_> = fs::read_dir(endless.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), files, "{left:?}");
    assert_eq!(endless.count(" is ready"), 0);
    TcpListener::bind(endless.address(0)).expect("free again");
}

/// At an address of its own, so that no other test takes the port when it is free.
fn listening() -> Setup {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let files = "-l unix:{dir}/socket --pid-file {dir}/pid --status-file {dir}/status";
    endless(&format!("-l 127.0.1.{host}:0 {files}"))
}

#[test]
fn a_first_start_that_fails_gives_the_targets_own_status() {
    for status in [1, 2, 3, 42, 77, 125, 126, 127, 128, 200, 255] {
        ends_with(listening().start(&[&format!("exit={status}")]), status, 0);
    }
}

#[test]
fn a_first_start_that_dies_gives_128_and_the_signals_number() {
    for (name, number) in [("KILL", 9), ("ALRM", 14), ("VTALRM", 26)] {
        ends_with(listening().start(&["grandchild", "daemon", &format!("die={name}")]), 128 + number, 0);
    }
}

#[test]
fn a_first_start_that_ends_well_without_serving_gives_125() {
    ends_with(listening().start(&["exit=0"]), 125, 0);
}

#[test]
fn a_first_start_that_is_not_ready_in_time_gives_125() {
    let setup = endless("-l 127.0.2.1:0 --ready-timeout 1s");
    ends_with(setup.start(&["grandchild", "hang"]), 125, 0);
}

#[test]
fn a_command_that_vanishes_before_the_first_start_gives_127() {
    let setup = listening().option("--hook", "begin=mv {dir}/server {dir}/kept");
    copy_program(Path::new("/bin/sh"), &setup.dir().join("server"));
    ends_with(setup.start_command(&["{dir}/server"]), 127, 1);
}

#[test]
fn a_command_that_cannot_be_executed_gives_126() {
    let setup = listening();
    write_program(&setup.dir().join("server"), "\u{1}\u{2}\u{3}", 0o755);
    ends_with(setup.start_command(&["{dir}/server"]), 126, 1);
}

#[test]
fn a_command_that_is_not_there_is_noticed_before_anything_is_bound() {
    let mut missing = listening().start_command(&["{dir}/server"]);
    assert_eq!(missing.ended_clean(), 127, "{:#?}", missing.said());
    assert_eq!(missing.count("listening on"), 0);
    let setup = listening();
    fs::write(setup.dir().join("server"), "").unwrap();
    let mut plain = setup.start_command(&["{dir}/server"]);
    assert_eq!(plain.ended_clean(), 126, "{:#?}", plain.said());
    assert_eq!(plain.count("listening on"), 0);
}

#[test]
fn the_hammer_for_the_active_copy_gives_137() {
    let mut endless = endless("-l 127.0.0.1:0 --hammer 1s").start(&["ignore=TERM"]);
    endless.ready(1);
    assert_eq!(endless.stop(), 137);
}

#[test]
fn the_hammer_for_an_old_copy_does_not() {
    let mut endless = endless("-l 127.0.0.1:0 --hammer 8s --probation 0").start(&["1:ignore=TERM"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.count("Hammer Time"), 1);
}
