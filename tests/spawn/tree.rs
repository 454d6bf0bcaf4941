//! Whole trees: found when they left the group, attributed when they are orphans, and signalled to the last one.

use crate::support::{Start, end_of, turn, until};
use endless::spawn::{ProcessTable, Tree, become_subreaper, reap_all};
use endless::sys::process;
use endless::words::{Exit, GenerationId, Sig};
use nix::unistd::Pid;
use std::ffi::CString;

/// A started copy of generation `number`, with what every copy has in its environment.
fn copy(number: u32, script: &str) -> Tree {
    become_subreaper().unwrap();
    let mut start = Start::shell(script);
    start.envp.push(CString::new(format!("ENDLESS_PID={}", Pid::this())).unwrap());
    start.envp.push(CString::new(format!("ENDLESS_GENERATION={number}")).unwrap());
    let launched = start.launch(&[]).unwrap();
    Tree::new(launched.pid, GenerationId(number))
}

fn names(tree: &mut Tree) -> Vec<String> {
    let mut names: Vec<_> = tree.members(&ProcessTable::read()).into_iter().map(|member| member.name).collect();
    names.sort_unstable();
    names
}

/// Waits until the tree is these programs.
fn grown(tree: &mut Tree, wanted: &[&str]) {
    until("the tree has grown", || (names(tree) == wanted).then_some(()));
}

/// Kills the tree and waits for all of it.
fn ends(tree: &mut Tree) {
    assert_eq!(tree.kill_tree(Sig::KILL), []);
    until("the tree is gone", || {
        let _ = reap_all();
        (!tree.alive()).then_some(())
    });
    assert_eq!(names(tree), [""; 0]);
}

#[test]
fn one_process() {
    let _turn = turn();
    let mut tree = copy(1, "exec sleep 60");
    grown(&mut tree, &["sleep"]);
    assert!(tree.alive());
    tree.signal_main(Sig::TERM).unwrap();
    assert_eq!(end_of(tree.main()), Exit::Signal(Sig::TERM));
    assert!(!tree.alive());
    assert_eq!(tree.signal_main(Sig::TERM), Err(nix::errno::Errno::ESRCH));
    assert_eq!(tree.kill_tree(Sig::KILL), []);
}

#[test]
fn a_zombie_is_not_alive() {
    let _turn = turn();
    let mut tree = copy(1, "exit 3");
    until("it has ended", || (process::child_state(tree.main()) == process::ChildState::Ended).then_some(()));
    assert!(!tree.alive());
    assert_eq!(end_of(tree.main()), Exit::Code(3));
}

#[test]
fn a_grandchild_in_a_session_of_its_own_that_ignores_term() {
    let _turn = turn();
    let mut tree = copy(1, "setsid sh -c 'trap \"\" TERM; sleep 61 & wait; wait; exec sleep 62' & sleep 60");
    grown(&mut tree, &["sh", "sh", "sleep", "sleep"]);
    assert_eq!(tree.kill_tree(Sig::TERM), []);
    assert_eq!(end_of(tree.main()), Exit::Signal(Sig::TERM));
    grown(&mut tree, &["sh", "sleep"]);
    assert!(tree.alive(), "what ignores SIGTERM");
    ends(&mut tree);
}

#[test]
fn an_orphan_never_seen_before_is_known_by_its_environment() {
    let _turn = turn();
    let mut tree = copy(7, "setsid sleep 60 & until grep -q sleep /proc/$!/comm; do :; done");
    let mut other = copy(8, "exec sleep 60");
    assert_eq!(end_of(tree.main()), Exit::Code(0));
    assert!(tree.alive());
    assert_eq!(names(&mut tree), ["sleep"]);
    assert_eq!(names(&mut other).len(), 1, "not of the other copy");
    other.signal_main(Sig::KILL).unwrap();
    end_of(other.main());
    assert!(!other.alive());
    ends(&mut tree);
}

#[test]
fn an_orphan_without_environment_is_known_by_its_session() {
    let _turn = turn();
    let mut tree = copy(1, "env -i setsid sleep 60 & wait");
    grown(&mut tree, &["sh", "sleep"]);
    tree.signal_main(Sig::TERM).unwrap();
    assert_eq!(end_of(tree.main()), Exit::Signal(Sig::TERM));
    assert!(tree.alive());
    ends(&mut tree);
}

#[test]
fn an_orphan_in_the_group_is_known_by_it() {
    let _turn = turn();
    let mut tree = copy(1, "env -i sleep 60 & exit 0");
    assert_eq!(end_of(tree.main()), Exit::Code(0));
    assert!(tree.alive());
    ends(&mut tree);
}

#[test]
fn an_orphan_that_tells_nothing_belongs_to_nobody() {
    let _turn = turn();
    let mut tree = copy(1, "env -i setsid sleep 60 & until grep -q sleep /proc/$!/comm; do :; done");
    assert_eq!(end_of(tree.main()), Exit::Code(0));
    assert!(!tree.alive());
    let table = ProcessTable::read();
    let left: Vec<_> = table.children(Pid::this()).filter(|child| child.living).collect();
    let [orphan] = left[..] else { panic!("{left:?}") };
    process::send(orphan.pid, 9).unwrap();
    assert_eq!(end_of(orphan.pid), Exit::Signal(Sig::KILL));
}

#[test]
fn a_hook_is_no_orphan() {
    let _turn = turn();
    let tree = &mut copy(1, "exit 0");
    end_of(tree.main());
    let env = [
        ("ENDLESS_PID".into(), Pid::this().to_string().into()),
        ("ENDLESS_GENERATION".into(), "1".into()),
        ("ENDLESS_REASON".into(), "".into()),
    ];
    let hook = endless::spawn::launch_shell("exec sleep 60", &env, &endless::spawn::Inherited::default()).unwrap();
    assert!(!tree.alive());
    process::send(hook, 9).unwrap();
    end_of(hook);
}

#[test]
fn what_multiplies_while_it_is_killed() {
    let _turn = turn();
    let mut tree = copy(1, "while :; do setsid sh -c 'sleep 60 & sleep 60' & sleep 0.001; done");
    until("there are many", || (names(&mut tree).len() > 30).then_some(()));
    ends(&mut tree);
}

#[test]
fn a_real_time_signal_is_an_end_like_others() {
    let _turn = turn();
    let tree = copy(1, "exec sleep 60");
    tree.signal_main(Sig(40)).unwrap();
    assert_eq!(end_of(tree.main()), Exit::Signal(Sig(40)));
}

#[test]
fn a_stop_is_no_end() {
    let _turn = turn();
    let mut tree = copy(1, "exec sleep 60");
    tree.signal_main(Sig::STOP).unwrap();
    until("it is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", tree.main())).unwrap();
        stat.contains(") T ").then_some(())
    });
    assert_eq!(reap_all(), []);
    assert!(tree.alive());
    ends(&mut tree);
}
