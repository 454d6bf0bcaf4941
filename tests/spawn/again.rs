//! What depends on how a process was started: this test program started again, in another way.

use crate::support::{Start, end_of, turn};
use endless::spawn::exec;
use endless::words::Exit;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

/// This test program, to run one test of it that is otherwise ignored.
fn again(test: &str) -> Start {
    let program = CString::new(std::env::current_exe().unwrap().into_os_string().into_vec()).unwrap();
    let mut start = Start::new(&["spawn", "--ignored", "--exact", "--nocapture", test]);
    start.program = program;
    start
}

#[test]
#[ignore = "run by the tests below"]
fn become_a_shell() {
    let script = "echo \"A=$A\" pid=$$ listen=$LISTEN_PID; grep SigIgn /proc/$$/status";
    let error = exec(&["sh", "-c", script].map(Into::into)).unwrap_err();
    panic!("{error}");
}

#[test]
fn exec_puts_listen_pid_right() {
    let _turn = turn();
    let mut start = again("again::become_a_shell");
    start.envp.extend([c"A=b", c"LISTEN_FDS=1", c"LISTEN_PID=1"].map(Into::into));
    let (pid, text, _) = start.output(&[]);
    assert!(text.contains(&format!("A=b pid={pid} listen={pid}\n")), "{text}");
    let ignored = text.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1 << 12, 0);
}

#[test]
fn exec_without_descriptors_changes_nothing() {
    let _turn = turn();
    let mut start = again("again::become_a_shell");
    start.envp.push(c"LISTEN_PID=1".into());
    let (pid, text, _) = start.output(&[]);
    assert!(text.contains(&format!("A= pid={pid} listen=1\n")), "{text}");
}

#[test]
fn exec_tells_what_is_missing() {
    let _turn = turn();
    let child = endless::sys::process::fork(|| {
        failing();
        0
    });
    assert_eq!(end_of(child.unwrap()), Exit::Code(0));
}

/// In a process of its own: it undoes what the runtime did to SIGPIPE.
fn failing() {
    let error = exec(&["/nonexistent/app".into()]).unwrap_err();
    assert_eq!(error.to_string(), "cannot execute /nonexistent/app: No such file or directory");
    assert_eq!(error.exit_code(), 127);
    assert_eq!(exec(&["/etc/passwd".into()]).unwrap_err().exit_code(), 126);
    assert_eq!(exec(&[]).unwrap_err().exit_code(), 127);
}

/// A figure of /proc/self/smaps_rollup, in KiB.
fn memory(name: &str) -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_end_matches("kB").trim_matches([':', ' ']).parse().unwrap()
}

#[test]
#[ignore = "run by the test below"]
fn release_memory() {
    let before = (memory("Pss_File"), memory("Pss_Anon"));
    endless::sys::memory::release_code_pages();
    let after = (memory("Pss_File"), memory("Pss_Anon"));
    println!("{before:?} then {after:?}");
    assert!(after.0 < before.0);
}

#[test]
fn memory_of_the_start_is_given_back() {
    let _turn = turn();
    let (_, text, exit) = again("again::release_memory").output(&[]);
    assert_eq!(exit, Exit::Code(0), "{text}");
}
