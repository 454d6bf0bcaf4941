//! `--pid-file` and `--status-file`.

use crate::support::{endless, until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_pid_file_holds_our_pid_and_nobody_else_gets_it() {
    let mut first = endless("-l 127.0.0.1:0 --pid-file {dir}/pid --probation 0").start(&[]);
    first.ready(1);
    let path = first.file("pid");
    let content = format!("{}\n", first.pid());
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
    let inode = fs::metadata(&path).unwrap().ino();
    let mut second = endless(&format!("-l {{dir}}/s --pid-file {}", path.display())).start(&["print=started"]);
    assert_eq!(second.ended_clean(), 125);
    let said = second.everything().join("\n");
    assert!(said.contains(&format!("--pid-file {}: it is held by pid {}", path.display(), first.pid())), "{said}");
    assert!(said.contains("hint: ") && !said.contains("started") && !said.contains("listening"), "{said}");
    first.restart(2);
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "the living holder's file was not touched");
    assert_eq!(first.stop(), 0);
    assert_eq!(first.left(), [""; 0], "removed at the end");
}

#[test]
fn a_pid_file_that_is_left_over_is_taken() {
    let first = endless("-l 127.0.0.1:0 --pid-file {dir}/pid").start(&[]);
    first.ready(1);
    first.signal(Signal::SIGKILL);
    until("its copy has ended", || first.others().is_empty().then_some(()));
    let path = first.file("pid");
    assert!(path.exists());
    let mut second = endless(&format!("-l 127.0.0.1:0 --pid-file {}", path.display())).start(&[]);
    second.ready(1);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", second.pid()));
    assert_eq!(second.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn a_pid_file_that_cannot_be_made_is_an_error_before_anything_starts() {
    let mut endless = endless("-l {dir}/s --pid-file {dir}/no/such/pid").start(&["print=started"]);
    assert_ne!(endless.ended_clean(), 0);
    let said = endless.everything().join("\n");
    assert!(said.contains("--pid-file ") && said.contains("there is no directory"), "{said}");
    assert!(!said.contains("started") && !said.contains("listening"), "{said}");
}

#[test]
fn a_file_that_cannot_be_opened_leaves_no_socket_behind() {
    let setup = endless("-l {dir}/s --log-file {dir}/log --pid-file {dir}/pid");
    std::os::unix::fs::symlink("/nowhere/log", setup.dir().join("log")).unwrap();
    let mut endless = setup.start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 125);
    assert_eq!(endless.left(), ["log"], "{:#?}", endless.everything());
}

/// Reads the file without a pause, until told, and stops at anything that is not a whole status.
fn watch(path: &Path, end: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let (path, end): (PathBuf, _) = (path.to_owned(), Arc::clone(end));
    thread::spawn(move || {
        let mut reads = 0;
        while !end.load(Ordering::SeqCst) {
            let text = fs::read_to_string(&path).expect("it is there all the time");
            assert!(text.ends_with('\n'), "{text:?}");
            assert!(generations(&text).is_sorted(), "{text:?}");
            reads += 1;
        }
        reads
    })
}

/// The generations of a status, each with a pid behind it.
fn generations(text: &str) -> Vec<u32> {
    let line = |line: &str| {
        let (generation, pid) = line.split_once(':').unwrap_or_else(|| panic!("{line:?}"));
        assert!(pid.parse::<i32>().is_ok_and(|pid| pid > 0), "{line:?}");
        generation.parse().unwrap()
    };
    text.lines().map(line).collect()
}

#[test]
fn the_status_file_is_whole_at_any_time_and_lists_every_living_generation() {
    let options = "-l 127.0.0.1:0 --status-file {dir}/status --probation 0 --hammer never --max-retiring 20";
    // None of the old ones goes before the end.
    let mut endless = endless(options).start(&["ignore=TERM"]);
    let first = endless.ready(1);
    let path = endless.file("status");
    until("it is written", || path.exists().then_some(()));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("1:{first}\n"));
    let end = Arc::new(AtomicBool::new(false));
    let reader = watch(&path, &end);
    for generation in 2..=11 {
        let pid = endless.restart(generation);
        let line = format!("{generation}:{pid}\n");
        until("it is listed", || fs::read_to_string(&path).unwrap().ends_with(&line).then_some(()));
    }
    assert_eq!(generations(&fs::read_to_string(&path).unwrap()), (1..=11).collect::<Vec<_>>(), "10 comes after 9");
    end.store(true, Ordering::SeqCst);
    assert!(reader.join().unwrap() > 0);
    endless.signal(Signal::SIGUSR2);
    until("only the active one is left", || (generations(&fs::read_to_string(&path).unwrap()) == [11]).then_some(()));
    endless.signal(Signal::SIGTERM);
    endless.wait_with(&["target 11 ", "got SIGTERM"]);
    endless.signal(Signal::SIGTERM);
    assert_eq!(endless.ended_clean(), 137);
    assert_eq!(endless.left(), [""; 0], "removed at the end, and no fresh one left beside it");
}

#[test]
fn a_status_file_that_another_endless_writes_is_an_error_and_one_that_was_left_is_taken() {
    let status = |dir: &Path| format!("-l 127.0.0.1:0 --probation 0 --status-file {}", dir.display());
    let mut first = endless("-l 127.0.0.1:0 --status-file {dir}/status --probation 0").start(&[]);
    let mut pid = first.ready(1);
    let path = first.file("status");
    for generation in 1..=2 {
        let content = format!("{generation}:{pid}\n");
        until("it is written", || (fs::read_to_string(&path).ok()? == content).then_some(()));
        let mut second = endless(&status(&path)).start(&["print=started"]);
        assert_eq!(second.ended_clean(), 125);
        let said = second.everything().join("\n");
        assert!(said.contains(&format!("--status-file {}: it is held: another endless", path.display())), "{said}");
        assert!(said.contains("hint: ") && !said.contains("started") && !said.contains("listening"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        if generation == 1 {
            pid = first.restart(2);
            first.gone(1);
        }
    }
    first.signal(Signal::SIGKILL);
    first.ended();
    assert!(path.exists());
    let mut third = endless(&status(&path)).start(&[]);
    let content = format!("1:{}\n", third.ready(1));
    until("it is written", || (fs::read_to_string(&path).unwrap() == content).then_some(()));
    assert_eq!(third.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn of_two_that_start_at_once_one_writes_the_status_file_and_the_other_says_so() {
    let mut first = endless("-l 127.0.0.1:0 --status-file {dir}/status").start(&["wait={dir}/go"]);
    first.wait("starting generation 1");
    let path = first.file("status");
    let options = format!("-l 127.0.0.1:0 --probation 0 --status-file {}", path.display());
    let mut second = endless(&options).start(&[]);
    let content = format!("1:{}\n", second.ready(1));
    until("it is written", || (fs::read_to_string(&path).ok()? == content).then_some(()));
    first.touch("go");
    first.ready(1);
    first.wait(&format!("--status-file {} cannot be written: it is held: another endless", path.display()));
    assert_eq!(first.stop(), 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), content, "it was not removed either");
    assert_eq!(second.stop(), 0);
}

#[test]
fn a_candidate_that_fails_never_stands_in_the_status_file() {
    let mut endless = endless("-l 127.0.0.1:0 --status-file {dir}/status --probation 0").start(&["2:exit=3"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed");
    assert_eq!(fs::read_to_string(endless.file("status")).unwrap(), format!("1:{first}\n"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_is_no_file_is_neither_replaced_nor_read_once() {
    for option in ["--pid-file", "--status-file", "--env-file", "--config"] {
        let setup = endless(&format!("-l 127.0.0.1:0 {option} {{dir}}/fifo"));
        let path = setup.dir().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut endless = setup.start(&["print=started"]);
        assert_eq!(endless.ended_clean(), 2, "{option}");
        let said = endless.everything();
        assert!(said[0].contains(option) && said[0].contains(" no ") && said.len() == 2, "{said:?}");
    }
}

#[test]
fn who_reads_a_fifo_sees_no_end_before_the_first_line() {
    for option in ["--log-file", "--output", "--events"] {
        let setup = endless(&format!("-l 127.0.0.1:0 {option} {{dir}}/fifo"));
        let path = setup.dir().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
        let mut reader = open.unwrap();
        // With the first writer there is something to read, or it has gone again.
        let first = thread::spawn(move || {
            let mut set = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            poll(&mut set, PollTimeout::from(60_000u16)).unwrap();
            let mut text = [0];
            reader.read(&mut text).map(|length| (length, reader))
        });
        let mut endless = setup.start(&["print=hello", "exit=3"]);
        assert_eq!(endless.ended_clean(), 3, "{option}: {:?}", endless.everything());
        let (length, _reader) = first.join().unwrap().unwrap();
        assert_eq!(length, 1, "{option}");
    }
}

#[test]
fn a_fifo_nobody_reads_is_an_error_before_anything_runs() {
    for option in ["--log-file", "--output", "--events"] {
        let setup = endless(&format!("-l 127.0.0.1:0 {option} {{dir}}/fifo"));
        nix::unistd::mkfifo(&setup.dir().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut endless = setup.start(&["print=started"]);
        assert_eq!(endless.ended_clean(), 125, "{option}");
        let said = endless.everything().join(" ");
        assert!(said.contains(option) && said.contains("/fifo: nobody reads this FIFO"), "{said}");
        assert!(said.contains("start its reader first") && !said.contains("started"), "{said}");
    }
}
