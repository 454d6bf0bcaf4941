//! What the child is: its group, environment, directory, mask, limits, identity.

use crate::support::{Start, end_of, field, report, turn};
use endless::plan::{Identity, Rlimit, StdinFrom};
use endless::spawn::{Inherited, launch_shell};
use endless::words::Exit;
use nix::unistd::geteuid;

#[test]
fn it_leads_a_group_and_knows_its_pid() {
    let _turn = turn();
    let mut start = Start::shell("echo $$ $LISTEN_PID $A; cut -d' ' -f5 /proc/$$/stat");
    start.listen_pid = true;
    start.envp.push(c"A=b".into());
    let (pid, text, exit) = start.output(&[]);
    assert_eq!(text, format!("{pid} {pid} b\n{pid}\n"));
    assert_eq!(exit, Exit::Code(0));
}

#[test]
fn without_listen_pid_there_is_none() {
    let _turn = turn();
    let (_, text, _) = Start::new(&["/usr/bin/env"]).output(&[]);
    assert_eq!(text, "PATH=/usr/bin:/bin\n");
}

#[test]
fn directory_mask_niceness_limits_and_privileges() {
    let _turn = turn();
    let mut start = Start::shell("pwd; umask; nice; ulimit -n; ulimit -Hn; ulimit -c; grep NoNewPrivs /proc/$$/status");
    start.process.chdir = Some("/usr".into());
    start.process.umask = Some(0o27);
    start.process.nice = Some(3);
    start.process.no_new_privs = true;
    start.process.rlimits = vec![
        Rlimit { resource: 7, soft: Some(100), hard: Some(200) },
        Rlimit { resource: 4, soft: Some(0), hard: None },
    ];
    let (_, text, _) = start.output(&[]);
    assert_eq!(text, "/usr\n0027\n3\n100\n200\n0\nNoNewPrivs:\t1\n");
}

#[test]
fn empty_stdin() {
    let _turn = turn();
    let mut start = Start::shell("readlink /proc/$$/fd/0; cat");
    start.process.stdin = StdinFrom::Null;
    assert_eq!(start.output(&[]).1, "/dev/null\n");
}

#[test]
fn another_identity() {
    let _turn = turn();
    if !geteuid().is_root() {
        return;
    }
    let mut start = Start::new(&["/bin/cat", "/proc/self/status"]);
    start.process.identity = Some(Identity { uid: 1234, gid: 2345, groups: vec![2345, 3456], account: None });
    let (_, text, _) = start.output(&[]);
    assert_eq!(field(&text, "Uid"), "1234\t1234\t1234\t1234");
    assert_eq!(field(&text, "Gid"), "2345\t2345\t2345\t2345");
    assert_eq!(field(&text, "Groups"), "2345 3456");
    assert_eq!(field(&text, "CapEff"), "0000000000000000");
}

#[test]
fn a_helper_runs_by_the_shell() {
    let _turn = turn();
    let inherited = Inherited::default();
    let script = "test \"$A\" = 'b c' && test -z \"$(cat)\" && test $$ = $(cut -d' ' -f5 /proc/$$/stat) && exit 9";
    let env = [("A".into(), "b c".into()), ("PATH".into(), "/usr/bin:/bin".into())];
    let pid = launch_shell(script, &env, &inherited).unwrap();
    assert_eq!(end_of(pid), Exit::Code(9));
}

#[test]
fn its_name_is_the_targets_before_it_executes() {
    let _turn = turn();
    let launched = Start::new(&["/nonexistent/app"]).launch(&[]).unwrap();
    assert!(report(&launched.report).is_err());
    // What has ended and was not waited for keeps its name.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", launched.pid)).unwrap();
    assert!(stat.starts_with(&format!("{} (app) ", launched.pid)), "{stat}");
    end_of(launched.pid);
}
