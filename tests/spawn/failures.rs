//! Every step that can fail tells its name and errno, and leaves nothing.

use crate::support::{Start, end_of, report, turn};
use endless::plan::{Identity, Rlimit};
use endless::words::{Exit, Failure, Sig};
use nix::errno::Errno;
use nix::unistd::geteuid;
use std::os::fd::AsFd;

fn fails(start: &Start, step: &str, errno: Errno, code: u8) {
    let launched = start.launch(&[]).unwrap();
    assert_eq!(report(&launched.report), Err((step.to_owned(), errno as i32)));
    assert_eq!(end_of(launched.pid), Exit::Code(code));
}

/// Runs a launch as a user without rights, in a process of its own.
fn without_rights(limit_processes: bool, check: impl FnOnce()) {
    let child = endless::sys::process::fork(|| {
        if limit_processes {
            endless::sys::process::set_limit(6, Some(0), Some(0)).unwrap();
        }
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setresgid(54321.into(), 54321.into(), 54321.into()).unwrap();
        nix::unistd::setresuid(54321.into(), 54321.into(), 54321.into()).unwrap();
        check();
        0
    });
    assert_eq!(end_of(child.unwrap()), Exit::Code(0));
}

#[test]
fn the_program_is_missing() {
    let _turn = turn();
    fails(&Start::new(&["/nonexistent/app"]), "execute /nonexistent/app", Errno::ENOENT, 127);
}

#[test]
fn the_program_cannot_be_executed() {
    let _turn = turn();
    fails(&Start::new(&["/etc/passwd"]), "execute /etc/passwd", Errno::EACCES, 126);
    fails(&Start::new(&["/etc"]), "execute /etc", Errno::EACCES, 126);
}

#[test]
fn the_directory_is_missing() {
    let _turn = turn();
    let mut start = Start::shell("exit");
    start.process.chdir = Some("/nonexistent/srv".into());
    fails(&start, "change the directory to /nonexistent/srv", Errno::ENOENT, 125);
}

#[test]
fn a_limit_makes_no_sense() {
    let _turn = turn();
    let mut start = Start::shell("exit");
    start.process.rlimits = vec![Rlimit { resource: 7, soft: Some(20), hard: Some(10) }];
    fails(&start, "set the limit of nofile", Errno::EINVAL, 125);
    start.process.rlimits = vec![Rlimit { resource: 99, soft: Some(20), hard: Some(10) }];
    fails(&start, "set the limit of an unknown resource", Errno::EINVAL, 125);
}

#[test]
fn the_stop_signal_is_none() {
    let _turn = turn();
    let mut start = Start::shell("exit");
    start.process.orphans = endless::plan::Orphans::Stop;
    start.stop_signal = Sig(99);
    fails(&start, "ask for signal 99 at the end of endless", Errno::EINVAL, 125);
}

#[test]
fn a_descriptor_number_cannot_be_had() {
    let _turn = turn();
    let pipe = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap().0;
    for (numbers, which) in [(vec![i32::MAX], i32::MAX), (vec![-1], -1), (vec![5, 6, 5], 5)] {
        let fds: Vec<_> = numbers.iter().map(|number| (pipe.as_fd(), *number)).collect();
        let error = Start::shell("exit").launch(&fds).unwrap_err();
        assert_eq!(error, Failure::not_made(format!("put descriptor {which} in place"), Errno::EBADF));
    }
}

#[test]
fn rights_that_are_not_there() {
    let _turn = turn();
    if !geteuid().is_root() {
        return;
    }
    without_rights(false, || {
        let mut start = Start::shell("exit");
        start.process.nice = Some(-5);
        fails(&start, "add -5 to the niceness", Errno::EPERM, 125);
        start.process.nice = None;
        start.process.identity = Some(Identity { uid: 0, gid: 0, groups: vec![], account: None });
        fails(&start, "set the supplementary groups", Errno::EPERM, 125);
        start.process.identity = Some(Identity { uid: 54321, gid: 54321, groups: vec![54321], account: None });
        let launched = start.launch(&[]).unwrap();
        assert_eq!(report(&launched.report), Ok(()), "to be who one is needs no rights");
    });
}

#[test]
fn no_processes_left() {
    let _turn = turn();
    if !geteuid().is_root() {
        return;
    }
    without_rights(true, || {
        let error = Start::shell("exit").launch(&[]).unwrap_err();
        assert_eq!(error, Failure::not_made("fork", Errno::EAGAIN));
        assert_eq!(error.exit_code(), 125);
    });
}

#[test]
fn no_descriptors_left() {
    let _turn = turn();
    let child = endless::sys::process::fork(|| {
        endless::sys::process::set_limit(7, Some(3), Some(3)).unwrap();
        let error = Start::shell("exit").launch(&[]).unwrap_err();
        u8::from(!matches!(error, Failure::NotMade { errno, .. } if errno == Errno::EMFILE as i32))
    });
    assert_eq!(end_of(child.unwrap()), Exit::Code(0));
}

#[test]
fn a_panic_ends_the_child_at_once() {
    let _turn = turn();
    let child = endless::sys::process::fork(|| {
        std::panic::set_hook(Box::new(|_| ()));
        panic!("in the child")
    });
    assert_eq!(end_of(child.unwrap()), Exit::Code(125));
}
