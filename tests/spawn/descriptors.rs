//! A child sees 0, 1, 2 and what was passed, at its number, and nothing else.

use crate::support::{Start, turn};
use endless::sys::descriptors::duplicate_above;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::pipe2;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The child's descriptors and the inodes behind them, as `stat` on /proc tells.
fn seen(fds: &[(BorrowedFd<'_>, RawFd)]) -> BTreeMap<RawFd, u64> {
    let script = "exec stat -L -c '%n %i' /proc/$$/fd/*";
    let (_, text, _) = Start::shell(script).output(fds);
    let numbers = text.lines().map(|line| {
        let (path, inode) = line.split_once(' ').unwrap();
        (path.rsplit('/').next().unwrap().parse().unwrap(), inode.parse().unwrap())
    });
    numbers.collect()
}

fn inode(fd: impl AsFd) -> u64 {
    fstat(fd).unwrap().st_ino
}

/// A new pipe's reading end at exactly this number.
fn pipe_at(number: RawFd) -> OwnedFd {
    let (reader, _) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let fd = duplicate_above(reader.as_fd(), number).unwrap();
    assert_eq!(fd.as_raw_fd(), number, "the number is taken");
    fd
}

fn check(wanted: &[(RawFd, RawFd)]) {
    let mut sources = BTreeMap::new();
    for (source, _) in wanted {
        sources.entry(*source).or_insert_with(|| pipe_at(*source));
    }
    let fds: Vec<_> = wanted.iter().map(|(source, target)| (sources[source].as_fd(), *target)).collect();
    let seen = seen(&fds);
    for (source, target) in wanted {
        assert_eq!(seen.get(target), Some(&inode(&sources[source])), "{source} at {target} in {seen:?}");
    }
    let mut numbers: Vec<_> = wanted.iter().map(|(_, target)| *target).chain(0..3).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), numbers);
}

#[test]
fn nothing_passed() {
    let _turn = turn();
    let _kept_to_ourselves = pipe_at(40);
    check(&[]);
}

#[test]
fn a_swap_and_one_in_place() {
    let _turn = turn();
    check(&[(43, 45), (45, 43), (44, 44)]);
}

#[test]
fn from_the_first_number() {
    let _turn = turn();
    check(&[(60, 3), (61, 4), (62, 5), (63, 6), (64, 7), (65, 8), (66, 9), (67, 10)]);
}

#[test]
fn two_circles_a_chain_and_a_copy() {
    let _turn = turn();
    check(&[(50, 51), (51, 52), (52, 50), (53, 54), (54, 53), (50, 3), (56, 57), (55, 56)]);
}

#[test]
fn standard_input() {
    let _turn = turn();
    let reader = pipe_at(50);
    let seen = seen(&[(reader.as_fd(), 0)]);
    assert_eq!(seen[&0], inode(&reader));
    assert_eq!(seen.len(), 3);
}

#[test]
fn two_thousand() {
    let _turn = turn();
    let pipes: Vec<_> = (0..2000).map(|n| pipe_at(300 + n)).collect();
    let fds: Vec<_> = pipes.iter().zip(3..).map(|(pipe, target)| (pipe.as_fd(), target)).collect();
    let seen = seen(&fds);
    assert_eq!(seen.len(), 2003);
    assert!(fds.iter().all(|(pipe, target)| seen[target] == inode(pipe)));
    assert_eq!(pipes[0].as_raw_fd(), 300, "our own stay where they are");
}
