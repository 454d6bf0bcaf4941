//! The dispositions and the mask a child has, what becomes of it when its parent is killed, and whose signals arrive.

use crate::support::{Start, end_of, field, report, turn, until};
use endless::plan::Orphans;
use endless::runtime::signals::Signals;
use endless::spawn::Inherited;
use endless::sys::process;
use endless::sys::signals::AllBlocked;
use endless::words::{Exit, Sig};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::Command;

fn mask(status: &str, name: &str) -> u64 {
    u64::from_str_radix(field(status, name), 16).unwrap()
}

fn masks(inherited: Inherited) -> (u64, u64, u64) {
    let mut start = Start::new(&["/bin/cat", "/proc/self/status"]);
    start.inherited = inherited;
    let (_, text, _) = start.output(&[]);
    // 32 and 33 are the C library's own; a program started by posix_spawn may have them ignored, and they stay as
    // they are.
    (mask(&text, "SigIgn") & !(3 << 31), mask(&text, "SigBlk"), mask(&text, "SigCgt"))
}

#[test]
fn all_default_and_nothing_blocked() {
    let _turn = turn();
    assert_eq!(masks(Inherited::default()), (ignored_here(), 0, 0));
}

/// What whoever started the tests has ignored (`nohup`, a shell's `&`); SIGPIPE is ignored by Rust's runtime.
fn ignored_here() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    mask(&status, "SigIgn") & !(3 << 31) & !(1 << 12)
}

#[test]
fn what_was_ignored_stays_so_and_nothing_is_blocked() {
    let _turn = turn();
    let mut inherited = Inherited::default();
    for signal in [1, 13, 64] {
        inherited.ignored.insert(signal);
    }
    let _blocked = AllBlocked::new();
    assert_eq!(masks(inherited), (ignored_here() | 1 | 1 << 12 | 1 << 63, 0, 0));
}

#[test]
fn our_own_mask_is_as_before() {
    let _turn = turn();
    let before = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    masks(Inherited::default());
    let after = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_eq!(mask(&before, "SigBlk"), mask(&after, "SigBlk"));
}

#[test]
fn a_signal_from_somebody_else_before_exec_is_forgotten_and_ours_is_not() {
    let _turn = turn();
    for (from_parent, expected) in [(false, Exit::Code(7)), (true, Exit::Signal(Sig(34)))] {
        let child = process::fork(|| {
            let _blocked = AllBlocked::new();
            if from_parent {
                // What the child sends to itself counts as sent by "the parent" named below.
                process::send(Pid::this(), 34).unwrap();
            } else {
                let sender = process::fork(|| {
                    process::send(nix::unistd::getppid(), 34).unwrap();
                    0
                });
                nix::sys::wait::waitpid(sender.unwrap(), None).unwrap();
            }
            endless::sys::signals::forget_pending(Pid::this());
            endless::sys::signals::lift_mask();
            7
        });
        assert_eq!(end_of(child.unwrap()), expected);
    }
}

#[test]
fn it_gets_the_stop_signal_when_its_parent_is_killed() {
    let _turn = turn();
    for (orphans, dies) in [(Orphans::Stop, true), (Orphans::Keep, false)] {
        let (ours, theirs) = std::io::pipe().unwrap();
        let launcher = process::fork(|| {
            let mut start = Start::new(&["/bin/sleep", "60"]);
            start.process.orphans = orphans;
            start.stop_signal = Sig(35);
            let launched = start.launch(&[]).unwrap();
            report(&launched.report).unwrap();
            nix::unistd::write(&theirs, &launched.pid.as_raw().to_ne_bytes()).unwrap();
            loop {
                nix::unistd::pause();
            }
        });
        let launcher = launcher.unwrap();
        drop(theirs);
        let mut pid = [0; 4];
        (&ours).read_exact(&mut pid).unwrap();
        let target = Pid::from_raw(i32::from_ne_bytes(pid));
        endless::spawn::become_subreaper().unwrap();
        process::send(launcher, 9).unwrap();
        if !dies {
            until("the orphan is ours", || {
                (process::child_state(target) == process::ChildState::Running).then_some(())
            });
            process::send(target, 9).unwrap();
        }
        assert_eq!(until("it ends", || orphan_end(target)), Exit::Signal(if dies { Sig(35) } else { Sig::KILL }));
        nix::sys::prctl::set_child_subreaper(false).unwrap();
    }
}

/// The launcher's own end may come together with it, before or after.
fn orphan_end(target: Pid) -> Option<Exit> {
    endless::spawn::reap_all().into_iter().find(|(pid, _)| *pid == target).map(|(_, exit)| exit)
}

#[test]
fn the_same_signal_from_two_senders_is_two_signals_until_they_are_taken() {
    let _turn = turn();
    let mut signals = Signals::prepare().unwrap();
    signals.install(&[Sig(28)]).unwrap();
    raise(Signal::SIGWINCH).unwrap();
    let script = format!("kill -s WINCH {}", std::process::id());
    let mut other = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let other_pid = i32::try_from(other.id()).unwrap();
    other.wait().unwrap();
    let mut senders = Vec::new();
    // Another thread may be about to run the handler: kill(2) does not wait for that.
    while senders.len() < 2 {
        let mut arrived = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut arrived, 10_000u16), Ok(1), "{senders:?}");
        senders.extend(signals.take().into_iter().filter(|one| one.signal == Sig(28)).map(|one| one.sender));
    }
    assert_eq!(senders, [Some(std::process::id().cast_signed()), Some(other_pid)]);
}
