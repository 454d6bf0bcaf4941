//! Which sockets a tree has open, of processes that end and that pass them on.

use crate::support::turn;
use endless::spawn::Tree;
use endless::words::GenerationId;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn nothing_is_said_of_a_copy_that_has_ended_and_was_not_waited_for() {
    let _turn = turn();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let mut tree = Tree::new(Pid::from_raw(i32::try_from(child.id()).unwrap()), GenerationId(1));
    assert!(tree.open_sockets().is_some());
    child.kill().unwrap();
    let ended = waitid(Id::Pid(tree.main()), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    assert!(matches!(ended, Ok(WaitStatus::Signaled(..))));
    assert_eq!(tree.open_sockets(), None);
    child.wait().unwrap();
    assert!(tree.open_sockets().is_some_and(|sockets| sockets.is_empty()));
}

/// Each process passes the socket on to a child, closes it and stays.
const PASS_ON: &str = "import os, signal, socket, sys
socket = socket.socket()
print(os.fstat(socket.fileno()).st_ino, flush=True)
for _ in range(150):
  if os.fork():
    socket.close()
    signal.pause()
print('done', flush=True)
signal.pause()";

#[test]
fn a_socket_that_is_passed_on_to_new_processes_is_never_taken_for_closed() {
    let _turn = turn();
    let mut python = Command::new("python3");
    python.args(["-c", PASS_ON]).stdout(Stdio::piped()).process_group(0);
    let mut child = python.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let inode: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    let done = std::thread::spawn(move || lines.next().unwrap().unwrap());
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut tree = Tree::new(main, GenerationId(1));
    let (mut looks, mut missed) = (0, 0);
    loop {
        let over = done.is_finished();
        let open = tree.open_sockets();
        (looks, missed) = (looks + 1, missed + usize::from(open.is_some_and(|open| !open.contains(&inode))));
        if over {
            break;
        }
    }
    // What is left of them is not for the next test to wait for.
    nix::sys::prctl::set_child_subreaper(false).unwrap();
    kill(Pid::from_raw(-main.as_raw()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert_eq!((missed, done.join().unwrap().as_str()), (0, "done"), "of {looks}");
}
