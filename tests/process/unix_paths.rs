//! The files behind Unix listeners: whose they are, who may open them, when they go.

use crate::support::client::{get, greeting};
use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, leave_a_socket, until};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[track_caller]
fn generation_at(endless: &Endless, name: &str) -> u32 {
    let path = endless.file(name);
    greeting(&get(path.as_path(), "/").unwrap_or_else(|error| panic!("{error}; {:#?}", endless.said()))).0
}

#[test]
fn nothing_is_lost_under_load() {
    let mut endless = endless("-l {dir}/s --probation 0").start(&[]);
    endless.ready(1);
    let path = endless.file("s");
    let load = Load::start(path.as_path(), &[(Kind::New, 4), (Kind::KeepAlive, 4), (Kind::Slow, 4)]);
    for generation in 2..=10 {
        load.wait_for_more(50);
        endless.restart(generation);
    }
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_path_somebody_answers_is_in_use_and_left_alone() {
    let first = endless("-l {dir}/s").start(&[]);
    first.ready(1);
    let path = first.file("s");
    let inode = fs::symlink_metadata(&path).unwrap().ino();
    let mut second = endless(&format!("-l {}", path.display())).start(&["print=started"]);
    assert_eq!(second.ended_clean(), 125);
    let said = second.everything().join("\n");
    assert!(said.contains(&format!("-l {}: the address is in use by ", path.display())), "{said}");
    assert!(said.contains(&format!("endless (pid {})", first.pid())) && said.contains("hint: "), "{said}");
    assert!(!said.contains("started"), "{said}");
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
    assert_eq!(generation_at(&first, "s"), 1);
}

#[test]
fn a_socket_nobody_answers_is_replaced() {
    let setup = endless("-l {dir}/s");
    leave_a_socket(setup.dir().join("s"));
    let mut endless = setup.start(&[]);
    endless.ready(1);
    assert_eq!(generation_at(&endless, "s"), 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_killed_endless_left_is_replaced() {
    let first = endless("-l {dir}/s").start(&[]);
    first.ready(1);
    first.restart(2);
    let path = first.file("s");
    first.signal(nix::sys::signal::Signal::SIGKILL);
    until("its copies have ended", || first.others().is_empty().then_some(()));
    assert!(path.exists());
    let mut second = endless(&format!("-l {}", path.display())).start(&[]);
    second.ready(1);
    assert_eq!(greeting(&get(path.as_path(), "/").unwrap()).0, 1);
    assert_eq!(second.stop(), 0);
    assert_eq!(sockets_in(path.parent().unwrap()), 0, "private names are swept too");
}

#[test]
fn a_path_that_is_no_socket_is_never_touched() {
    let setup = endless("-l 127.0.0.1:0 -l {dir}/file");
    fs::write(setup.dir().join("file"), "precious").unwrap();
    let mut endless = setup.start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 125);
    let said = endless.everything().join("\n");
    assert!(said.contains("/file exists and is no socket") && said.contains("hint: move it away"), "{said}");
    assert!(!said.contains("started"), "{said}");
    assert_eq!(fs::read_to_string(endless.file("file")).unwrap(), "precious");
}

#[test]
fn a_path_the_old_copy_unlinks_after_the_new_one_serves_is_put_back() {
    let mut endless = endless("-l {dir}/s --probation 0 --capture never").start(&["1:unlink={dir}/s"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait_with(&["/s was unlinked by a copy; it is back in place"]);
    assert_eq!(generation_at(&endless, "s"), 2);
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.left(), [""; 0]);
}

#[test]
fn a_path_that_was_replaced_is_taken_back_at_the_next_restart() {
    let mut endless = endless("-l {dir}/s --probation 0").start(&[]);
    endless.ready(1);
    let path = endless.file("s");
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    endless.restart(2);
    endless.wait_with(&["/s was replaced by a copy; it is back in place"]);
    assert_eq!(generation_at(&endless, "s"), 2);
    drop(other);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_path_that_is_another_program_s_at_the_end_stays() {
    let mut endless = endless("-l {dir}/s").start(&[]);
    endless.ready(1);
    let path = endless.file("s");
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    let inode = fs::symlink_metadata(&path).unwrap().ino();
    assert_eq!(endless.stop(), 0);
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
    assert_eq!(sockets_in(endless.dir()), 1, "and nothing else is left");
}

fn sockets_in(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().filter_map(Result::ok).filter(is_of_a_listener).count()
}

/// Not a notify socket, that is: those are in the tests' directories, too.
fn is_of_a_listener(entry: &fs::DirEntry) -> bool {
    let notify = entry.file_name().to_str().unwrap().starts_with("endless-");
    entry.file_type().is_ok_and(|kind| kind.is_socket()) && !notify
}

/// Looks at every file of a directory without a pause, until told: the widest mode any of them had.
fn watch_modes(dir: &Path, end: &Arc<AtomicBool>) -> thread::JoinHandle<u32> {
    let (dir, end) = (dir.to_owned(), Arc::clone(end));
    thread::spawn(move || {
        let mut widest = 0;
        while !end.load(Ordering::SeqCst) {
            for entry in fs::read_dir(&dir).unwrap().filter_map(Result::ok).filter(is_of_a_listener) {
                if let Ok(found) = fs::symlink_metadata(entry.path()) {
                    widest |= found.permissions().mode() & 0o777;
                }
            }
        }
        widest
    })
}

#[test]
fn a_mode_is_never_wider_than_asked_for() {
    let setup = endless("-l {dir}/s,mode=0600 --probation 0");
    let end = Arc::new(AtomicBool::new(false));
    let watch = watch_modes(setup.dir(), &end);
    let mut endless = setup.start(&[]);
    endless.ready(1);
    for generation in 2..=6 {
        endless.restart(generation);
        let found = fs::symlink_metadata(endless.file("s")).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "generation {generation}");
    }
    assert_eq!(endless.stop(), 0);
    end.store(true, Ordering::SeqCst);
    assert_eq!(watch.join().unwrap() & !0o600, 0);
}

#[test]
fn owner_and_mode_are_those_asked_for_in_every_generation() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut endless = endless("-l {dir}/s,mode=0660,user=65534,group=12345 --probation 0").start(&[]);
    endless.ready(1);
    for generation in 1..=2 {
        if generation == 2 {
            endless.restart(2);
        }
        let found = fs::symlink_metadata(endless.file("s")).unwrap();
        assert_eq!((found.uid(), found.gid(), found.permissions().mode() & 0o777), (65534, 12345, 0o660));
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_socket_beside_the_working_directory_is_found_by_a_relative_path() {
    let mut endless = endless("-l unix:s --chdir / --probation 0").start(&["cwd"]);
    endless.ready(1);
    endless.wait("target 1 ");
    endless.restart(2);
    assert_eq!(generation_at(&endless, "s"), 2);
    assert_eq!(endless.stop(), 0);
    assert_eq!(sockets_in(endless.dir()), 0);
}
