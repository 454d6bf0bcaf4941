//! `--watch`: what changes, however it does, brings one restart; what is ignored brings none.

use crate::support::{Endless, Setup, endless, example, until, write_program};
use crate::upgrade;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const START: &str = "-l 127.0.0.1:0 --probation 0";

/// A program that becomes the test target, put at a path as most tools do it: written beside it, then renamed.
fn put_program(at: &Path, version: &str) {
    let text = format!("#!/bin/sh\nexec {} env=LISTEN_FDS # {version}\n", example("target").display());
    let fresh = at.with_extension("fresh");
    write_program(&fresh, text, 0o755);
    fs::rename(&fresh, at).unwrap();
}

/// By a process of its own: a child that another thread is just starting would have the file open for a while, and the change
/// is over when nobody has.
fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let put = Command::new("sh").args(["-c", "printf %s \"$1\" >\"$0\""]).arg(path).arg(text).status().unwrap();
    assert!(put.success(), "{put}");
}

/// An endless that watches `src` in its directory, which has a .gitignore.
fn watches_src(options: &str) -> Endless {
    let setup = endless(&format!("{START} --watch {{dir}}/src {options}"));
    write(&setup.dir().join("src/deep/main.c"), "");
    write(&setup.dir().join("src/.gitignore"), "/target\n*.tmp\n");
    let endless = setup.start(&[]);
    endless.ready(1);
    endless
}

/// The files that have changed, as the log names them, without the test's directory.
fn changed(endless: &Endless) -> Vec<String> {
    let before = format!("{}/", endless.dir().canonicalize().unwrap().display());
    let name = |line: &String| Some(line.split_once(&before)?.1.split_once(" has changed: ")?.0.to_owned());
    endless.said().iter().filter_map(name).collect()
}

#[test]
fn the_program_may_be_replaced_in_any_way() {
    let setup = endless(&format!("{START} --watch"));
    let dir = setup.dir().to_owned();
    for release in ["1", "2"] {
        fs::create_dir_all(dir.join(release)).unwrap();
        put_program(&dir.join(release).join("app"), release);
    }
    symlink("1", dir.join("current")).unwrap();
    let mut endless = setup.start_command(&["{dir}/current/app"]);
    endless.ready(1);
    // Renamed over, written in place, another name of a file, gone for a while, and the directory on the way to it.
    put_program(&dir.join("1/app"), "renamed");
    endless.ready(2);
    // By a process of its own: see `write_program`.
    let again = "text=$(cat \"$0\"); echo \"$text\" >\"$0\"";
    assert!(Command::new("sh").args(["-c", again]).arg(dir.join("1/app")).status().unwrap().success());
    endless.ready(3);
    fs::rename(dir.join("1/app"), dir.join("1/kept")).unwrap();
    fs::hard_link(dir.join("1/kept"), dir.join("1/app")).unwrap();
    endless.ready(4);
    fs::remove_file(dir.join("1/app")).unwrap();
    put_program(&dir.join("2/app"), "of the next release");
    endless.settle();
    put_program(&dir.join("1/app"), "back");
    endless.ready(5);
    symlink("2", dir.join("next")).unwrap();
    fs::rename(dir.join("next"), dir.join("current")).unwrap();
    endless.ready(6);
    put_program(&dir.join("2/app"), "where it leads to now");
    endless.ready(7);
    let here = ["1/app", "1/app", "1/app", "1/app", "current", "2/app"];
    assert_eq!(changed(&endless), here, "{:#?}", endless.said());
    assert_eq!(endless.count(" failed"), 0, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

/// Waits until this has changed so many times, and a restart has come of it.
#[track_caller]
fn restarts_for(endless: &Endless, name: &str, times: usize) {
    let path = endless.dir().canonicalize().unwrap().join(name);
    endless.wait_count(&format!("{} has changed: restart", path.display()), times);
    endless.ready(u32::try_from(changed(endless).len()).unwrap() + 1);
}

#[test]
fn a_directory_counts_with_all_that_comes_into_it_but_what_gitignore_names() {
    let mut endless = watches_src("");
    let src = endless.file("src");
    for number in 0..100 {
        write(&src.join(format!("target/out{number}")), "made");
        write(&src.join(format!("deep/{number}.tmp")), "");
    }
    fs::rename(src.join("deep/7.tmp"), src.join("deep/8.tmp")).unwrap();
    write(&src.join("one/two/three/new.c"), "");
    endless.ready(2);
    // By a process of its own: a child of another test could inherit one of the files from us, and close it after the last.
    let script = "i=0; while [ $i -lt 300 ]; do : > $i.c; i=$((i + 1)); done";
    let writer = Command::new("sh").args(["-c", script]).current_dir(src.join("one/two/three")).status();
    assert!(writer.unwrap().success());
    restarts_for(&endless, "src/one/two/three/299.c", 1);
    fs::rename(src.join("one"), src.join("moved")).unwrap();
    restarts_for(&endless, "src/moved", 1);
    write(&src.join("moved/two/three/7.c"), "x");
    restarts_for(&endless, "src/moved/two/three/7.c", 1);
    fs::remove_dir_all(src.join("moved")).unwrap();
    restarts_for(&endless, "src/moved", 2);
    write(&src.join(".gitignore"), "*.c\n");
    restarts_for(&endless, "src/.gitignore", 1);
    write(&src.join("deep/main.c"), "ignored now");
    fs::remove_dir_all(&src).unwrap();
    fs::create_dir(&src).unwrap();
    // It is watched again once the second one is answered.
    endless.settle();
    endless.settle();
    write(&src.join("main.c"), "ignored no more");
    restarts_for(&endless, "src/main.c", 1);
    let named = changed(&endless);
    let ignored = |name: &&String| name.contains("target") || name.contains(".tmp") || name.ends_with("deep/main.c");
    assert_eq!(named.iter().find(ignored), None, "{:#?}", endless.said());
    assert!(named.len() < 30, "many changes at once are one: {named:#?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_socket_that_takes_a_path_is_no_change() {
    let mut endless = watches_src("");
    let beside = endless.file("beside");
    let _listener = std::os::unix::net::UnixListener::bind(&beside).unwrap();
    fs::rename(&beside, endless.file("src/ipc")).unwrap();
    let since = std::time::Instant::now();
    until("a restart would have come", || (since.elapsed().as_secs() >= 2).then_some(()));
    assert_eq!(changed(&endless), [""; 0], "{:#?}", endless.said());
    write(&endless.file("src/deep/main.c"), "x");
    endless.ready(2);
    endless.settle();
    assert_eq!(changed(&endless), ["src/deep/main.c"], "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_command_runs_first_and_its_failure_keeps_the_old_copy() {
    let setup = endless(&format!("{START} --watch {{dir}}/src"));
    write(&setup.dir().join("src/main.c"), "");
    let slow = setup.dir().join("slow");
    // It waits at the pipe, where there is one, until somebody opens the other end.
    let build =
        "test ! -e {dir}/slow || { touch {dir}/builds; read line <{dir}/slow; }; ! grep -q wrong {dir}/src/main.c";
    let mut endless = setup.option("--watch-exec", build).start(&[]);
    let first = endless.ready(1);
    let main = endless.file("src/main.c");
    write(&main, "wrong");
    endless.wait("hook --watch-exec");
    endless.wait_with(&["restart not carried out", "exit status 1; generation 1 goes on"]);
    assert_eq!(endless.ask(), (1, first));
    // What changes while it runs makes it run again.
    mkfifo(&slow, Mode::S_IRWXU).unwrap();
    write(&main, "right");
    until("it builds", || endless.file("builds").exists().then_some(()));
    write(&main, "better");
    let other_end = fs::OpenOptions::new().write(true).open(&slow).unwrap();
    fs::remove_file(&slow).unwrap();
    drop(other_end);
    endless.ready(2);
    endless.ready(3);
    assert_eq!(endless.count("main.c has changed: --watch-exec runs"), 3, "{:#?}", endless.said());
    // One that does not end is no reason to stay.
    mkfifo(&slow, Mode::S_IRWXU).unwrap();
    fs::remove_file(endless.file("builds")).unwrap();
    write(&main, "more");
    until("it builds", || endless.file("builds").exists().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_endless_and_its_listeners_write_there_is_no_change() {
    let options = "--status-file {dir}/src/status --pid-file {dir}/src/app.pid --control {dir}/src/c --log-file {dir}/src/l \
                   --output {dir}/src/o --events {dir}/src/e -l {dir}/src/s --watch {dir}/src";
    let setup = endless(&format!("{START} {options}"));
    fs::create_dir(setup.dir().join("src")).unwrap();
    let mut endless = setup.start(&[]);
    let log = || fs::read_to_string(endless.file("src/l")).unwrap_or_default();
    let wait = |part: &str| until(part, || log().contains(part).then_some(()));
    wait(" is ready after ");
    endless.signal(Signal::SIGHUP);
    wait("]: generation 1 is gone");
    write(&endless.file("src/real"), "");
    wait("]: generation 2 is gone");
    let changes: Vec<String> = log().lines().filter(|line| line.contains("has changed")).map(str::to_owned).collect();
    assert!(changes.len() == 1 && changes[0].contains("/src/real has changed: restart"), "{changes:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn it_goes_on_after_an_upgrade_and_follows_the_configuration() {
    let setup = endless("--probation 0 --config {dir}/config");
    let config = |watch: &str| format!("-l 127.0.0.1:0 --watch {watch}");
    let dir = setup.dir().to_owned();
    let (one, two) = (dir.join("one"), dir.join("two"));
    write(&one, "");
    write(&two, "");
    write(&dir.join("config"), &config("one"));
    let mut endless = setup.start(&[]);
    endless.ready(1);
    upgrade::upgrade(&endless);
    write(&one, "changed");
    endless.ready(2);
    write(&dir.join("config"), &config("two"));
    endless.restart(3);
    endless.gone(2);
    write(&one, "nobody looks");
    write(&two, "changed");
    endless.ready(4);
    write(&dir.join("config"), &config("three"));
    write(&two, "again");
    endless.wait_with(&["--watch three", "No such file or directory"]);
    assert_eq!(changed(&endless), ["one", "two", "two"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn too_many_directories_are_refused_before_anything_starts() {
    let shell = "echo 3 >/proc/sys/user/max_inotify_watches && exec \"$@\"";
    let words = ["unshare", "--user", "--map-root-user", "sh", "-c", shell, "sh"];
    let setup = Setup::behind(&words, &format!("{START} --watch {{dir}}/src"));
    for number in 0..4 {
        fs::create_dir_all(setup.dir().join(format!("src/{number}"))).unwrap();
    }
    let mut endless = setup.start(&[]);
    let code = endless.ended_clean();
    let said = endless.said().join("\n");
    if said.contains("unshare: ") || said.contains("sh: ") {
        eprintln!("skipped: no user namespace here: {said}");
        return;
    }
    assert_eq!(code, 125, "{said}");
    assert!(said.contains("--watch: ") && said.contains("fs.inotify.max_user_watches"), "{said}");
    assert!(!said.contains("starting generation"), "{said}");
}

#[test]
fn a_build_that_goes_on_is_no_reason_to_stay() {
    let setup = endless(&format!("{START} --respawn never --watch {{dir}}/src")).option("--watch-exec", "sleep 1000");
    write(&setup.dir().join("src/main.c"), "");
    let mut endless = setup.start(&["crash={dir}/now"]);
    endless.ready(1);
    write(&endless.file("src/main.c"), "x");
    endless.wait("--watch-exec runs");
    endless.touch("now");
    assert_eq!(endless.ended_clean(), 9);
}
