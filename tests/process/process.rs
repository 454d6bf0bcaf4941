//! The process a copy is: its directory, environment, identity, limits, signals.

use crate::support::{Endless, Setup, copy_program, endless, example, processes, until, write_program};
use crate::upgrade::upgrade;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// What stands behind the name of the program in /proc/PID/stat; the first is the state (proc_pid_stat(5)).
fn stat(pid: Pid) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    text.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect()
}

fn limit(pid: Pid, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// A program that changes nothing of what it was given; its pid, once it is that program.
#[track_caller]
pub fn sleeper(endless: &Endless, generation: u32) -> Pid {
    let pid = endless.ready(generation);
    until("it sleeps", || processes::arguments(pid).first().is_some_and(|name| name == "sleep").then_some(pid))
}

fn sleeping(options: &str) -> (Endless, Pid) {
    let endless = endless(&format!("--ready delay=0 {options}")).start_command(&["sleep", "1000"]);
    let pid = sleeper(&endless, 1);
    (endless, pid)
}

/// Lets `link` point to another directory, in one step.
fn point(link: &Path, to: &str) {
    let fresh = link.with_extension("fresh");
    symlink(to, &fresh).unwrap();
    fs::rename(&fresh, link).unwrap();
}

#[test]
fn a_link_that_moves_leads_the_next_generation_to_the_new_place() {
    let setup = endless("-l 127.0.0.1:0 --chdir {dir}/current --probation 0");
    let target = example("target").display().to_string();
    for release in ["a", "b"] {
        let dir = setup.dir().join(release);
        fs::create_dir(&dir).unwrap();
        let script = format!("#!/bin/sh\nexec '{target}' print=release-{release} cwd\n");
        write_program(&dir.join("server"), script, 0o755);
    }
    let current = setup.dir().join("current");
    point(&current, "a");
    let mut endless = setup.start_command(&["./server"]);
    for (generation, release) in [(1, "a"), (2, "b")] {
        if generation == 2 {
            point(&current, "b");
            endless.restart(2);
        }
        endless.ready(generation);
        endless.wait_with(&[&format!("target {generation} "), &format!("release-{release}")]);
        let line = endless.wait_with(&[&format!("target {generation} "), ": cwd "]);
        assert!(line.ends_with(&format!("/{release}")), "{line}");
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn files_of_variables_are_read_again_at_every_restart() {
    let options = "-l 127.0.0.1:0 --env-file {dir}/env --env-dir {dir}/vars -e LAST=typed --unset GONE --probation 0";
    let setup = endless(options).env("GONE", "x").env("KEPT", "as it was");
    fs::write(setup.dir().join("env"), "FIRST=one\nLAST=file\n").unwrap();
    fs::create_dir(setup.dir().join("vars")).unwrap();
    fs::write(setup.dir().join("vars/SECOND"), "two\nrest\n").unwrap();
    let mut endless = setup.start(&[]);
    let variables = processes::environment(endless.ready(1));
    let shown = |names: &[&str]| names.iter().map(|name| variables.get(*name).cloned()).collect::<Vec<_>>();
    let expected = ["one", "two", "typed", "as it was"].map(|value| Some(value.to_owned()));
    assert_eq!(shown(&["FIRST", "SECOND", "LAST", "KEPT"]), expected);
    assert_eq!(variables.get("GONE"), None);
    fs::write(endless.file("env"), "FIRST=1\nTHIRD=3\n").unwrap();
    fs::remove_file(endless.file("vars/SECOND")).unwrap();
    let variables = processes::environment(endless.restart(2));
    assert_eq!((variables["FIRST"].as_str(), variables["THIRD"].as_str()), ("1", "3"));
    assert_eq!(variables.get("SECOND"), None);
    // A file that cannot be read stops the restart; the old copy goes on.
    fs::remove_file(endless.file("env")).unwrap();
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["generation 3 failed: cannot make the environment: --env-file ", "No such file", "goes on"]);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn clear_env_leaves_what_was_asked_for() {
    let mut endless =
        endless("-l 127.0.0.1:0 --clear-env -e ONLY=this --pass none --ready delay=0").start(&["print=x"]);
    let pid = endless.ready(1);
    let names: Vec<String> = processes::environment(pid).into_keys().collect();
    assert_eq!(names, ["ENDLESS_GENERATION", "ENDLESS_PID", "ENDLESS_WORKER", "NOTIFY_SOCKET", "ONLY"]);
    // Without the mark of the tests nobody else would end it.
    assert_eq!(endless.stop(), 0);
}

/// The test target where everybody may execute it, and a runtime directory that only root may enter, as /run/user/0 is.
pub fn for_others(options: &str) -> Setup {
    let setup = endless(options);
    let dir = setup.dir().to_owned();
    let runtime = dir.join("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    copy_program(&example("target"), &dir.join("target"));
    setup.env("XDG_RUNTIME_DIR", runtime.to_str().unwrap())
}

#[test]
fn a_user_without_privileges_runs_the_target_and_can_say_ready() {
    if !geteuid().is_root() {
        return;
    }
    let options = "-l 127.0.0.1:0 --user 65534 --group 12345 --supplementary 777,888 --ready notify --probation 0";
    let mut endless = for_others(options).start_command(&["{dir}/target", "notify"]);
    for generation in 1..=2 {
        let pid = if generation == 1 { endless.ready(1) } else { endless.restart(2) };
        let status = |field| processes::status(pid, field).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(status("Uid"), "65534 65534 65534 65534");
        assert_eq!(status("Gid"), "12345 12345 12345 12345");
        assert_eq!(status("Groups"), "777 888");
        for set in ["CapInh", "CapPrm", "CapEff"] {
            assert_eq!(u64::from_str_radix(&status(set), 16), Ok(0), "{set}");
        }
    }
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn groups_of_the_user_and_none() {
    if !geteuid().is_root() {
        return;
    }
    let (mut endless, pid) = sleeping("--user nobody --supplementary none");
    assert_eq!(processes::status(pid, "Groups").unwrap(), "");
    assert_eq!(processes::environment(pid)["USER"], "nobody");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn umask_niceness_limits_and_privileges_are_those_asked_for() {
    let (mut endless, pid) = sleeping("--umask 0027 --nice 3 --rlimit nofile=123:456 --rlimit core=0 --no-new-privs");
    assert_eq!(processes::status(pid, "Umask").unwrap(), "0027");
    let niceness = |pid| stat(pid)[16].parse::<i32>().unwrap();
    assert_eq!(niceness(pid), (niceness(endless.pid()) + 3).min(19));
    assert_eq!((limit(pid, "Max open files"), limit(pid, "Max core file size")), ("123 456".into(), "0 0".into()));
    assert_eq!(processes::status(pid, "NoNewPrivs").unwrap(), "1");
    assert_eq!(endless.stop(), 0);
}

/// Behind a shell that does this first.
pub fn after(script: &str, options: &str) -> Setup {
    Setup::behind(&["sh", "-c", &format!("{script}; exec \"$@\""), "sh"], options)
}

#[test]
fn the_limit_of_open_files_is_raised_for_endless_and_given_back_to_the_target() {
    let setup = after("ulimit -Sn 321; ulimit -Hn 2000", "--ready delay=0");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    let pid = sleeper(&endless, 1);
    assert_eq!(limit(endless.pid(), "Max open files"), "2000 2000");
    assert_eq!(limit(pid, "Max open files"), "321 2000");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_that_could_open_nothing_is_told_about() {
    let setup = endless("-l a=127.0.0.1:0 -l b=127.0.0.1:0 --ready notify --rlimit nofile=5:64");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    endless.wait("generation 1 can open nothing: it is handed 2 descriptors, and its soft limit of open files is 5 (");
    // Here it cannot even open its libraries.
    assert_eq!(endless.ended().code(), Some(127));
}

#[test]
fn stdin_is_inherited_or_nothing() {
    for (option, expected) in [("", "input"), ("--stdin null", "/dev/null")] {
        let setup = after("echo hello >input; exec <input", &format!("--ready delay=0 {option}"));
        let mut endless = setup.start_command(&["sleep", "1000"]);
        let pid = sleeper(&endless, 1);
        let open = processes::open_files(pid);
        assert!(open[&0].ends_with(expected), "{open:?}");
        assert_eq!(endless.stop(), 0);
    }
}

pub fn mask(pid: Pid, field: &str) -> u64 {
    u64::from_str_radix(&processes::status(pid, field).unwrap(), 16).unwrap()
}

#[test]
fn signals_are_as_endless_found_them() {
    // Whoever runs the tests may ignore some. Those between the last ordinary and the first real-time one are the C
    // library's: posix_spawn(3) has them ignored, and no program can change that.
    let (mut endless, pid) = sleeping("-l 127.0.0.1:0");
    assert_eq!(mask(pid, "SigBlk"), 0);
    assert_eq!(mask(pid, "SigCgt"), 0);
    let (pipe, private) = (1 << (nix::libc::SIGPIPE - 1), 0b11 << 31);
    assert_eq!(mask(pid, "SigIgn") & !private, mask(Pid::this(), "SigIgn") & !(pipe | private));
    assert_eq!(endless.stop(), 0);
}

/// In a directory that is reached by a link, as deploy tools have it, with a program in each release.
fn in_current(options: &str) -> Endless {
    let script = "for n in 1 2; do
            mkdir $n && cp \"$TARGET\" $n/server && echo WHO=env$n >$n/env && echo --env CONF=$n >$n/config
        done
        mkdir 1/run && ln -s 1 current && cd current && export PWD";
    let setup = after(script, options).env("TARGET", &example("target").display().to_string());
    let setup = setup.option("--hook", "begin=echo hook in $(pwd -P)");
    setup.start_command(&["./server"])
}

/// Lets the link lead to another release.
fn deploy(endless: &Endless, release: &str) {
    let fresh = endless.file("fresh");
    symlink(release, &fresh).unwrap();
    fs::rename(fresh, endless.file("current")).unwrap();
}

#[test]
fn a_working_directory_that_leads_elsewhere_is_followed() {
    let mut endless = in_current("--name target -l 127.0.0.1:0 --probation 0 --env-file env --config config");
    let runs_in = |endless: &Endless, pid: Pid, release: &str| {
        let release = endless.file(release).canonicalize().unwrap();
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), release);
        assert_eq!(fs::read_link(format!("/proc/{pid}/exe")).unwrap(), release.join("server"));
        let (environment, number) = (processes::environment(pid), release.file_name().unwrap().display());
        assert_eq!((&*environment["WHO"], &*environment["CONF"]), (&*format!("env{number}"), &*number.to_string()));
        endless.wait(&format!("hook in {}", release.display()));
    };
    let first = endless.ready(1);
    runs_in(&endless, first, "1");
    deploy(&endless, "none");
    let second = endless.restart(2);
    runs_in(&endless, second, "1");
    deploy(&endless, "2");
    let third = endless.restart(3);
    runs_in(&endless, third, "2");
    endless.wait("current leads to another directory now");
    endless.gone(2);
    // Where endless itself is from then on has no name any more.
    fs::remove_dir_all(endless.file("1")).unwrap();
    upgrade(&endless);
    let fourth = endless.restart(4);
    runs_in(&endless, fourth, "2");
    assert_eq!(endless.count("leads to another directory"), 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_endless_writes_itself_stays_where_it_is_when_the_working_directory_leads_elsewhere() {
    let files = "--pid-file run/pid --status-file run/status";
    let mut endless = in_current(&format!("--name target -l 127.0.0.1:0 --probation 0 --config config {files}"));
    endless.ready(1);
    deploy(&endless, "2");
    endless.restart(2);
    upgrade(&endless);
    endless.restart(3);
    until("the status is written", || {
        fs::read_to_string(endless.file("1/run/status")).is_ok_and(|text| text.contains("3:")).then_some(())
    });
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_working_directory_that_leads_elsewhere_is_noticed() {
    let mut endless = in_current("-l 127.0.0.1:0 --probation 0 --watch");
    endless.ready(1);
    deploy(&endless, "2");
    let second = endless.ready(2);
    let release = endless.file("2").canonicalize().unwrap();
    assert_eq!(fs::read_link(format!("/proc/{second}/cwd")).unwrap(), release);
    // Old releases are removed, and endless itself was started in one.
    endless.gone(1);
    fs::remove_dir_all(endless.file("1")).unwrap();
    fs::create_dir(endless.file("3")).unwrap();
    crate::support::copy_program(&example("target"), &endless.file("3/server"));
    deploy(&endless, "3");
    endless.ready(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_was_blocked_before_endless_is_not_blocked_in_the_target_real_time_signals_neither() {
    let setup = Setup::behind(&["env", "--block-signal=RTMIN,RTMAX,WINCH,TERM"], "--ready delay=0");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    assert_eq!(mask(sleeper(&endless, 1), "SigBlk"), 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_was_blocked_before_endless_it_hears() {
    // As a starter that reads its signals with signalfd(2) leaves them.
    let words = ["env", "--default-signal", "--block-signal=HUP,INT,TERM,CHLD,USR1,USR2,PROF"];
    let setup = Setup::behind(&words, "--on USR1=upgrade --ready delay=0 --probation 0");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    sleeper(&endless, 1);
    let blocked = mask(endless.pid(), "SigBlk");
    assert_eq!(blocked, 1 << (nix::libc::SIGPROF - 1), "what it does nothing about");
    endless.signal(Signal::SIGHUP);
    let second = sleeper(&endless, 2);
    endless.wait("generation 1 is gone");
    kill(second, Signal::SIGKILL).unwrap();
    sleeper(&endless, 3);
    endless.signal(Signal::SIGUSR1);
    endless.wait("has taken over");
    endless.signal(Signal::SIGHUP);
    sleeper(&endless, 4);
    assert_eq!(mask(endless.pid(), "SigBlk"), blocked);
    endless.signal(Signal::SIGTERM);
    assert_eq!(endless.ended_clean(), 0);
}

#[test]
fn what_endless_was_told_to_ignore_the_target_ignores_too() {
    let setup = after("trap '' HUP USR2 PIPE", "--ready delay=0 --probation 0");
    let mut endless = setup.start_command(&["sleep", "1000"]);
    let ignored = [nix::libc::SIGHUP, nix::libc::SIGUSR2, nix::libc::SIGPIPE];
    let wanted = ignored.iter().fold(0, |wanted, signal| wanted | 1 << (signal - 1));
    for generation in 1..=2 {
        if generation == 2 {
            // nohup or not: a restart was asked for.
            endless.restart(2);
        }
        let pid = sleeper(&endless, generation);
        assert_eq!(mask(pid, "SigIgn") & wanted, wanted);
        assert_eq!(mask(pid, "SigBlk"), 0);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_target_leads_a_process_group_of_its_own_in_the_same_session() {
    let (mut endless, pid) = sleeping("");
    let (group, session) = (stat(pid)[2].clone(), stat(pid)[3].clone());
    assert_eq!(group, pid.to_string());
    assert_eq!(session, stat(endless.pid())[3]);
    assert_eq!(endless.stop(), 0);
}
