//! A new copy that comes to nothing: the old one goes on as if nothing had been asked.

use crate::support::client::{connect, request};
use crate::support::load::{Kind, Load};
use crate::support::{Endless, Setup, copy_program, endless, example, write_program};
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;

/// The next generation fails with these words, nothing of it is left, and generation 1 serves.
#[track_caller]
fn fails(endless: &Endless, generation: u32, words: &[&str]) {
    let first = endless.ready(1);
    let mut parts = vec![format!("generation {generation} failed: "), format!("; generation 1 (pid {first}) goes on")];
    parts.extend(words.iter().map(|word| (*word).to_owned()));
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    endless.wait_for_only(&[first]);
    assert_eq!(endless.ask(), (1, first));
}

#[test]
fn a_new_copy_that_exits_at_once_changes_nothing() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&["2:exit=3", "3:die=KILL", "4:exit=0"]);
    endless.ready(1);
    let before = endless.descriptors();
    let load = Load::start(endless.address(0), &[(Kind::New, 2), (Kind::KeepAlive, 2)]);
    load.wait_for_more(50);
    fails(&endless, 2, &["(exit status 3)"]);
    fails(&endless, 3, &["(killed by SIGKILL)"]);
    fails(&endless, 4, &["(exit status 0)"]);
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty() && count.raced == 0, "{count:?}; {:#?}", endless.said());
    endless.wait_for_descriptors(before);
    let fifth = endless.restart(5);
    assert_eq!(endless.ask(), (5, fifth));
    assert_eq!(endless.stop(), 0);
}

/// An endless whose target is a file of the test's own.
fn with_a_copy_of_the_target(options: &str) -> Endless {
    let setup: Setup = endless(options);
    let program = setup.dir().join("server");
    copy_program(&example("target"), &program);
    setup.start_command(&["{dir}/server"])
}

#[test]
fn a_new_copy_that_cannot_be_executed_changes_nothing() {
    let mut endless = with_a_copy_of_the_target("-l 127.0.0.1:0 --probation 0");
    endless.ready(1);
    let program = endless.file("server");
    fs::set_permissions(&program, Permissions::from_mode(0o600)).unwrap();
    fails(&endless, 2, &["cannot execute ", "server: Permission denied"]);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_is_wrong_with_the_file_of_a_new_copy_is_said() {
    let mut endless = with_a_copy_of_the_target("-l 127.0.0.1:0 --probation 0");
    endless.ready(1);
    let program = endless.file("server");
    let whole = fs::read(&program).unwrap();
    let mut other = whole.clone();
    other[18..20].copy_from_slice(&22u16.to_le_bytes());
    let files: [(&[u8], &str); 6] = [
        (b"#!/no/such/interpreter\nexit\n", "names /no/such/interpreter as its interpreter, which does not exist"),
        (b"#!/bin/sh\r\nexit\r\n", "end as in Windows"),
        (b"exec sleep 100\n", "needs a first line"),
        (&other, "is a program for s390x"),
        (&whole[..100], "is not a whole program"),
        (b"", "is empty"),
    ];
    for (generation, (content, said)) in (2..).zip(files) {
        fs::remove_file(&program).unwrap();
        write_program(&program, content, 0o755);
        fails(&endless, generation, &["cannot execute "]);
        endless.wait(said);
    }
    fs::remove_file(&program).unwrap();
    write_program(&program, whole, 0o755);
    endless.restart(8);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_new_copy_of_no_known_format_changes_nothing() {
    let mut endless = with_a_copy_of_the_target("-l 127.0.0.1:0 --probation 0");
    endless.ready(1);
    let program = endless.file("server");
    fs::rename(&program, endless.file("kept")).unwrap();
    write_program(&program, "\u{1}\u{2}\u{3}", 0o755);
    fails(&endless, 2, &["cannot execute ", "server: Exec format error"]);
    fs::rename(endless.file("kept"), &program).unwrap();
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_binary_that_is_missing_changes_nothing() {
    let mut endless = with_a_copy_of_the_target("-l 127.0.0.1:0 --probation 0");
    endless.ready(1);
    fs::rename(endless.file("server"), endless.file("kept")).unwrap();
    fails(&endless, 2, &["cannot execute ", "server: No such file or directory"]);
    fs::rename(endless.file("kept"), endless.file("server")).unwrap();
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_new_copy_that_hangs_is_killed_when_its_time_is_over() {
    let mut endless = endless("-l 127.0.0.1:0 --ready-timeout 6s").start(&["2:grandchild", "2:daemon", "2:hang"]);
    endless.ready(1);
    fails(&endless, 2, &["it was not ready after 6s"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_next_restart_replaces_a_new_copy_that_hangs() {
    let mut endless = endless("-l 127.0.0.1:0 --supersede 1s --probation 0").start(&["2:hang"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait(" hangs");
    assert_eq!(endless.ask(), (1, first));
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["generation 2 failed: a newer restart took its place", "goes on"]);
    let third = endless.ready(3);
    endless.wait_for_only(&[third]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_restart_that_is_remembered_follows_a_failed_one() {
    let mut endless = endless("-l 127.0.0.1:0 --supersede never --probation 0").start(&["2:wait={dir}/go", "2:exit=4"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("target 2 ");
    endless.signal(Signal::SIGHUP);
    endless.wait("a restart is under way");
    endless.touch("go");
    endless.wait_with(&["generation 2 failed", "exit status 4"]);
    endless.ready(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_that_says_ready_and_never_accepts_is_replaced_by_the_next() {
    let options = "-l 127.0.0.1:0 --ready notify --probation 0 --drain queue=1s";
    let mut endless = endless(options).start(&["notify", "2:deaf"]);
    endless.ready(1);
    endless.restart(2);
    let mut waits = connect(endless.address(0)).expect("not refused");
    let asked = thread::spawn(move || request(&mut waits, "/"));
    let third = endless.restart(3);
    assert_eq!(endless.ask(), (3, third));
    endless.wait_for_only(&[third]);
    // It waited where nobody came; nothing but the end of that seat could tell it.
    assert!(asked.join().unwrap().is_err());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn with_ready_accept_a_copy_that_never_accepts_changes_nothing() {
    let options = "-l 127.0.0.1:0 --ready accept --ready-timeout 6s";
    let mut endless = endless(options).start(&["notify", "2:deaf"]);
    endless.ready(1);
    fails(&endless, 2, &["it was not ready after 6s"]);
    assert_eq!(endless.stop(), 0);
}
