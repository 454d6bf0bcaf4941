//! What signals to endless do, and the hooks around them.

use crate::support::{Endless, Setup, endless, processes, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

#[test]
fn three_signals_stop_it() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut endless = endless("-l 127.0.0.1:0").start(&[]);
        endless.ready(1);
        endless.signal(signal);
        assert_eq!(endless.ended_clean(), 0, "{signal}");
        // The copy is told by its own stop signal, whatever endless was told by.
        assert!(endless.everything().join("\n").contains("got SIGTERM"), "{signal}");
    }
}

#[test]
fn usr2_hammers_what_retires_and_nothing_else() {
    let setup = endless("-l 127.0.0.1:0 --probation 0 --hammer never");
    let mut endless = setup.option("--hook", "post:USR2=echo hook: $ENDLESS_REASON").start(&["1:ignore=TERM"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGUSR2);
    endless.wait("hammer not carried out: nothing is retiring");
    endless.wait("hook: nothing is retiring");
    assert_eq!(endless.ask(), (1, first));
    let second = endless.restart(2);
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    endless.signal(Signal::SIGUSR2);
    endless.wait(&format!("[STOP - Hammer Time] Forcefully shutting down generation 1 (pid {first})"));
    endless.wait("generation 1 is gone");
    endless.wait("hook: done");
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn usr1_and_tstp_run_hooks_and_do_nothing_else() {
    let setup = endless("-l 127.0.0.1:0").option("--hook", "post:USR1=echo hook one $ENDLESS_SIGNAL");
    let mut endless = setup.option("--hook", "pre:TSTP=echo hook two $ENDLESS_SIGNAL").start(&[]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGUSR1);
    endless.wait("hook one SIGUSR1");
    endless.signal(Signal::SIGTSTP);
    endless.wait("hook two SIGTSTP");
    assert_eq!(endless.ask(), (1, first));
    assert_eq!(endless.stop(), 0);
    let said = endless.everything().join("\n");
    assert!(!said.contains("got SIGUSR1") && !said.contains("got SIGTSTP"), "the copy is not told: {said}");
}

#[test]
fn the_first_real_time_signal_can_be_one_of_endless() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --on RTMIN=restart").start(&[]);
    endless.ready(1);
    // SAFETY: kill(2) with a realtime signal, which nix's Signal cannot name.
    assert_eq!(unsafe { nix::libc::kill(endless.pid().as_raw(), nix::libc::SIGRTMIN()) }, 0);
    endless.ready(2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn on_gives_signals_other_actions() {
    let options = "-l 127.0.0.1:0 --probation 0 --on USR1=restart --on WINCH=forward --on HUP=ignore \
                   --on RTMIN+1=forward=USR2 --on INT=hammer --on ALRM=stop";
    let mut endless = endless(options).start(&[]);
    endless.ready(1);
    endless.signal(Signal::SIGUSR1);
    endless.ready(2);
    endless.wait("generation 1 is gone");
    endless.signal(Signal::SIGWINCH);
    endless.wait_with(&["target 2 ", "got SIGWINCH"]);
    // SAFETY: kill(2) with a realtime signal, which nix's Signal cannot name.
    let sent = unsafe { nix::libc::kill(endless.pid().as_raw(), nix::libc::SIGRTMIN() + 1) };
    assert_eq!(sent, 0);
    endless.wait_with(&["target 2 ", "got SIGUSR2"]);
    endless.signal(Signal::SIGHUP);
    endless.wait("SIGHUP from pid");
    endless.signal(Signal::SIGINT);
    endless.wait("hammer not carried out: nothing is retiring");
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.count("starting generation"), 2);
    endless.signal(Signal::SIGALRM);
    assert_eq!(endless.ended_clean(), 0);
}

#[test]
fn what_cannot_be_forwarded_is_said_and_not_called_done() {
    let setup = endless("-l 127.0.0.1:0 --on USR1=forward").option("--hook", "post:USR1=echo post $ENDLESS_REASON");
    let mut endless = setup.start(&["wait=now", "notify"]);
    endless.wait("waits for now");
    endless.signal(Signal::SIGUSR1);
    endless.wait("forward not carried out: nothing serves");
    endless.wait("post nothing serves");
    let said = endless.order("signal USR1");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("nothing serves"), "{said:?}");
    fs::write(endless.file("now"), "").unwrap();
    endless.ready(1);
    assert_eq!(endless.order("signal USR1").code, 0);
    assert_eq!(endless.stop(), 0);
}

fn state(pid: Pid) -> String {
    processes::status(pid, "State").unwrap_or_default()
}

#[test]
fn suspend_stops_everything_and_cont_continues_it() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --on TSTP=suspend").start(&[]);
    let first = endless.ready(1);
    for round in 1..=2 {
        endless.signal(Signal::SIGTSTP);
        for pid in [endless.pid(), first] {
            until("it is stopped", || state(pid).starts_with('T').then_some(()));
        }
        endless.signal(Signal::SIGCONT);
        endless.wait_count("got SIGCONT", round);
        assert_eq!(endless.ask(), (1, first));
    }
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn hooks_run_where_there_are_too_many_addresses_to_tell() {
    let name = "x".repeat(50);
    let options: String = (0..1900).map(|number| format!("-l {{dir}}/{name}{number} ")).collect();
    let mut endless = endless(&options).option("--hook", "begin=echo addresses are \"$ENDLESS_ADDR\".").start(&[]);
    endless.wait("addresses are .");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn nothing_comes_due_while_everything_is_suspended() {
    let mut endless = endless("-l 127.0.0.1:0 --watchdog 3s --on TSTP=suspend").start(&["alive=100"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGTSTP);
    until("it is stopped", || state(endless.pid()).starts_with('T').then_some(()));
    let since = std::time::Instant::now();
    until("the watchdog's time is over", || (since.elapsed().as_secs() >= 4).then_some(()));
    endless.signal(Signal::SIGCONT);
    endless.wait("got SIGCONT");
    assert_eq!(endless.ask(), (1, first));
    endless.restart(2);
    assert_eq!(endless.count("stuck"), 0);
    assert_eq!(endless.stop(), 0);
}

/// A hook that prints what it finds in its environment.
fn telling(setup: Setup, point: &str) -> Setup {
    let variables = "signal=$ENDLESS_SIGNAL gen=$ENDLESS_GENERATION child=$ENDLESS_CHILD_PID old=$ENDLESS_OLD_PID";
    setup.option("--hook", &format!("{point}=echo \"hook {point} {variables} addr=$ENDLESS_ADDR pid=$ENDLESS_PID.\""))
}

#[test]
fn hooks_are_told_what_happens_and_run_in_order() {
    let mut setup = endless("-l 127.0.0.1:0 -l {dir}/s --probation 0");
    for point in ["pre:HUP", "begin", "ready", "post:HUP", "retired", "pre:TERM", "post:TERM", "exit"] {
        setup = telling(setup, point);
    }
    let mut endless = setup.start(&[]);
    let first = endless.ready(1);
    let end = format!("addr={} {} pid={}.", endless.address(0), endless.file("s").display(), endless.pid());
    endless.wait(&format!("hook begin signal= gen=1 child= old= {end}"));
    endless.wait(&format!("hook ready signal= gen=1 child={first} old= {end}"));
    let second = endless.restart(2);
    endless.wait(&format!("hook pre:HUP signal=SIGHUP gen=1 child={first} old= {end}"));
    endless.wait(&format!("hook begin signal= gen=2 child= old={first} {end}"));
    endless.wait(&format!("hook ready signal= gen=2 child={second} old={first} {end}"));
    endless.wait(&format!("hook post:HUP signal=SIGHUP gen=2 child={second} old= {end}"));
    endless.wait("hook retired signal= gen=1 ");
    assert_eq!(endless.stop(), 0);
    let said = endless.everything();
    let hooks: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("hook ")?.split(' ').next()).collect();
    let place =
        |point: &str| hooks.iter().rposition(|one| *one == point).unwrap_or_else(|| panic!("{point}: {said:#?}"));
    for (earlier, later) in [("pre:HUP", "begin"), ("begin", "ready"), ("pre:TERM", "post:TERM"), ("pre:TERM", "exit")]
    {
        assert!(place(earlier) < place(later), "{earlier} before {later}: {hooks:?}");
    }
}

#[test]
fn hooks_of_one_point_run_one_after_the_other() {
    let setup = endless("-l 127.0.0.1:0").option("--hook", "begin=sleep 0.2; echo hook first");
    let mut endless = setup.option("--hook", "begin=echo hook second").start(&[]);
    endless.ready(1);
    let said = endless.said();
    let place = |what: &str| said.iter().position(|line| line.contains(what)).unwrap();
    assert!(place("hook first") < place("hook second") && place("hook second") < place("target 1 "), "{said:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_failing_pre_hook_stops_the_restart_before_anything_is_touched() {
    let setup = endless("-l 127.0.0.1:0 --probation 0").option("--hook", "pre:HUP=test -e {dir}/good");
    let mut endless = setup.start(&[]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["hook pre:HUP", "failed: exit status 1"]);
    endless.wait("restart not carried out: ");
    assert_eq!(endless.ask(), (1, first));
    assert_eq!(endless.count("starting generation"), 1);
    endless.touch("good");
    endless.restart(2);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn check_is_a_pre_hook_of_the_restart() {
    let setup = endless("-l 127.0.0.1:0 --probation 0").option("--check", "echo checked; test -e {dir}/good");
    let mut endless = setup.start(&[]);
    endless.ready(1);
    assert!(!endless.said().contains(&"checked".to_owned()), "not before the first start");
    endless.signal(Signal::SIGHUP);
    endless.wait("restart not carried out: ");
    endless.touch("good");
    endless.restart(2);
    assert_eq!(endless.said().iter().filter(|line| *line == "checked").count(), 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_failing_begin_hook_fails_the_attempt_and_tells_the_failed_hook_why() {
    let setup = endless("-l 127.0.0.1:0 --probation 0").option("--hook", "begin=test $ENDLESS_GENERATION != 2");
    let setup = setup.option("--hook", "failed=echo hook failed $ENDLESS_GENERATION: $ENDLESS_REASON.");
    let mut endless = setup.start(&[]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["generation 2 failed: ", "goes on"]);
    endless.wait_with(&["hook failed 2: ", "begin"]);
    assert_eq!(endless.count("target 2 "), 0);
    assert_eq!(endless.ask().0, 1);
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stop_can_be_vetoed_once() {
    let mut endless = endless("-l 127.0.0.1:0").option("--hook", "pre:TERM=false").start(&[]);
    endless.ready(1);
    endless.signal(Signal::SIGTERM);
    endless.wait("stop not carried out: ");
    assert_eq!(endless.ask().0, 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_example_with_hooks_does_what_it_says() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hooks.sh");
    let setup = Setup::line(&format!("sh {script} {}", crate::support::example("target").display()));
    let mut endless = setup.env("ENDLESS", crate::support::ENDLESS).env("LISTEN", "127.0.0.1:0").start_line();
    endless.wait("hook: generation 1 begins on 127.0.0.1:");
    endless.ready(1);
    assert_eq!(fs::read_to_string(endless.file("simple_server.pid")).unwrap(), format!("{}\n", endless.pid()));
    let second = endless.restart(2);
    endless.wait("hook: a restart was asked for");
    endless.wait(&format!("hook: the restart is over, generation 2 serves (pid {second})"));
    endless.wait("has finished its last request");
    endless.signal(Signal::SIGUSR1);
    endless.wait("hook: SIGUSR1, which means nothing to endless itself");
    endless.touch("broken");
    endless.signal(Signal::SIGHUP);
    endless.wait("the file ./broken says no");
    endless.wait("restart not carried out: ");
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
    assert!(!endless.file("simple_server.pid").exists());
}

#[test]
fn a_hook_that_hangs_is_killed_and_meanwhile_everything_goes_on() {
    let setup = endless("-l 127.0.0.1:0 --probation 0 --hook-timeout 5s");
    let mut endless = setup.option("--hook", "pre:HUP=echo hook began; sleep 1000").start(&[]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("hook began");
    endless.signal(Signal::SIGUSR2);
    endless.wait("hammer not carried out: nothing is retiring");
    assert_eq!(endless.ask().0, 1);
    endless.wait_with(&["hook pre:HUP", "killed after 5s (--hook-timeout)"]);
    endless.wait("restart not carried out: ");
    assert_eq!(endless.ask().0, 1);
    // The shell's own child is killed with it.
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_signal_that_comes_before_there_are_handlers_is_acted_upon_when_there_are() {
    for _ in 0..5 {
        let mut endless = endless("-l 127.0.0.1:0 --probation 0 --pid-file {dir}/pid").start(&[]);
        // Without a pause: what is aimed at lasts a millisecond.
        while !endless.file("pid").exists() {
            thread::yield_now();
        }
        endless.signal(Signal::SIGHUP);
        endless.wait("SIGHUP from pid");
        endless.ready(2);
        assert_eq!(endless.stop(), 0);
        assert_eq!(endless.left(), Vec::<String>::new());
    }
}

/// Sends SIGHUP to every child as soon as it appears, until it has executed its program.
fn pester_children(endless: &Endless, end: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let (parent, end) = (endless.pid(), Arc::clone(end));
    let own = fs::read_link(format!("/proc/{parent}/exe")).unwrap();
    thread::spawn(move || {
        let (mut known, mut sent) = (HashSet::new(), 0);
        while !end.load(Ordering::SeqCst) {
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                while known.insert(pid) || fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own) {
                    sent += usize::from(kill(Pid::from_raw(pid), Signal::SIGHUP).is_ok());
                }
            }
        }
        sent
    })
}

#[test]
fn signals_to_a_child_that_is_not_yet_the_target_reach_nobody() {
    // Started as by nohup, so that the target lives when a signal comes a moment after it was executed.
    let setup = Setup::behind(&["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"], "-l 127.0.0.1:0 --probation 0");
    let mut endless = setup.start_command(&["python3", "-c", ACCEPT]);
    endless.ready(1);
    let end = Arc::new(AtomicBool::new(false));
    let pester = pester_children(&endless, &end);
    for generation in 2..=12 {
        endless.restart(generation);
    }
    end.store(true, Ordering::SeqCst);
    assert!(pester.join().unwrap() > 0);
    assert_eq!(endless.count("SIGHUP from pid"), 11, "{:#?}", endless.said());
    assert_eq!(endless.count("failed"), 0);
    assert_eq!(endless.stop(), 0);
}

/// A server that knows nothing of signals.
const ACCEPT: &str = "import socket\ns = socket.socket(fileno=3)\nwhile True: s.accept()[0].close()";
