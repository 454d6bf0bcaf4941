//! File systems that take no more, or nothing at all: the service goes on, and says so once.

use crate::confined::as_nobody;
use crate::process::{after, mask};
use crate::support::client::{get, greeting};
use crate::support::{Endless, Setup, free_address, until};
use nix::unistd::{Pid, geteuid};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

const QUICK: &str = "-l 127.0.0.1:0 --probation 0";

/// An endless with a file system of its own at `small` in its directory, which it alone sees. None for whoever may not mount.
fn with_small_disk(prepare: &str, options: &str) -> Option<Setup> {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can mount");
        return None;
    }
    let shell = format!("mkdir small && mount -t tmpfs -o size=64k tmpfs small && {prepare} && exec \"$@\"");
    let words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &shell, "sh"];
    Some(Setup::behind(&words, &format!("{QUICK} {options}")))
}

/// A file on that disk, as this endless sees it.
fn on_disk(endless: &Endless, name: &str) -> PathBuf {
    let path = endless.file("small").join(name);
    PathBuf::from(format!("/proc/{}/root", endless.pid())).join(path.strip_prefix("/").unwrap())
}

/// Leaves no byte on it. Returns the file that is in the way.
fn fill(endless: &Endless) -> PathBuf {
    let path = on_disk(endless, "filler");
    let mut file = fs::File::create(&path).unwrap();
    while file.write(&[0; 512]).is_ok() {}
    path
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let options = "--log-file {dir}/small/log --events {dir}/small/events --output {dir}/small/out";
    let Some(setup) = with_small_disk("true", options) else { return };
    let mut endless = setup.start(&[]);
    let log = || fs::read_to_string(on_disk(&endless, "log")).unwrap_or_default();
    until("it serves", || log().contains("is ready").then_some(()));
    let filler = fill(&endless);
    let told = || endless.count("--log-file cannot be written: No space left on device");
    // Until its last page is full, and then some more.
    let (mut generation, mut more) = (1, 0);
    while more < 4 {
        let said = endless.order("restart");
        assert_eq!(said.code, 0, "{said:?}");
        generation += 1;
        more += told();
        assert!(generation < 99, "{}", log());
    }
    fs::remove_file(filler).unwrap();
    endless.order("restart");
    generation += 1;
    until("the log goes on", || log().contains(&format!("generation {generation} ")).then_some(()));
    let line = format!("target {generation} ");
    until("the output goes on", || fs::read_to_string(on_disk(&endless, "out")).unwrap().contains(&line).then_some(()));
    assert_eq!(told(), 1, "{:#?}", endless.said());
    assert_eq!(endless.said().len(), 1, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_status_file_that_finds_no_room_is_told_once_and_written_as_soon_as_it_can_be() {
    let Some(setup) = with_small_disk("true", "--status-file {dir}/small/status") else { return };
    let mut endless = setup.start(&[]);
    let first = endless.ready(1);
    let status = || fs::read_to_string(on_disk(&endless, "status")).unwrap_or_default();
    until("it is written", || (status() == format!("1:{first}\n")).then_some(()));
    let filler = fill(&endless);
    endless.restart(2);
    let third = endless.restart(3);
    endless.gone(2);
    endless.settle();
    assert_eq!(status(), format!("1:{first}\n"), "the old one is whole");
    assert_eq!(endless.count("status cannot be written: No space left on device"), 1);
    fs::remove_file(filler).unwrap();
    endless.settle();
    until("it is written again", || (status() == format!("3:{third}\n")).then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_read_only_file_system_takes_no_control_socket_and_endless_runs_without_unless_it_was_asked_for() {
    let read_only = "mount -o remount,ro small";
    let Some(setup) = with_small_disk(read_only, "") else { return };
    let runtime = setup.dir().join("small").display().to_string();
    let mut endless = setup.env("XDG_RUNTIME_DIR", &runtime).start(&[]);
    endless.ready(1);
    endless.wait_with(&["no control socket: ", "Read-only file system"]);
    endless.restart(2);
    assert_eq!(endless.count("control socket"), 1);
    assert_eq!(endless.stop(), 0);
    let setup = with_small_disk(read_only, "--control {dir}/small/control").unwrap();
    let mut endless = setup.start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 125);
    endless.wait_with(&["--control ", "small/control: cannot bind it: Read-only file system"]);
    assert_eq!(endless.count("started"), 0);
}

#[test]
fn a_directory_that_is_not_ours_is_an_error_where_it_was_asked_for() {
    let mut endless = as_nobody(&format!("{QUICK} --control /etc/control")).start_command(&["sleep", "1000"]);
    assert_eq!(endless.ended_clean(), 125);
    endless.wait("--control /etc/control: cannot bind it: Permission denied");
    endless.wait("hint: a path in a directory this user may write");
}

#[test]
fn a_limit_of_file_sizes_loses_lines_and_nothing_else() {
    let at = free_address();
    let options = format!("-l {at} --probation 0 --log-file {{dir}}/log --pid-file {{dir}}/pid");
    let mut endless = after("ulimit -f 2", &options).start(&[]);
    let log = endless.file("log");
    until("it serves", || fs::read_to_string(&log).ok()?.contains("is ready").then_some(()));
    let mut generation = 1;
    while endless.count("--log-file cannot be written: File too large") == 0 {
        let said = endless.order("restart");
        assert_eq!(said.code, 0, "{said:?}");
        generation += 1;
        assert!(generation < 99, "it is not full");
    }
    assert_eq!(endless.order("restart").code, 0);
    let (found, copy) = greeting(&get(at, "/").unwrap());
    assert_eq!(found, generation + 1);
    let ignored = 1 << (nix::libc::SIGXFSZ - 1);
    assert_eq!(mask(copy, "SigIgn") & ignored, mask(Pid::this(), "SigIgn") & ignored);
    assert_eq!(endless.stop(), 0);
}
