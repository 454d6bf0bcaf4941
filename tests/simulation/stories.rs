//! The stories everybody should know, as tables: when, what happens, and everything that is done about it.
//!
//! Hooks agree at once and are left out, unless a story is about them; so are reports. A deadline that no row attends to is
//! an error, so the tables show every timer too.

use crate::target::ms;
use crate::teller::{Teller, tell};
use endless::plan::{Drain, DrainMode, Lifecycle, Respawn};
use endless::supervisor::Supervisor;
use endless::words::Moment;
use std::time::Duration;

/// The defaults of the command line, with a drain the story ends.
fn defaults() -> Lifecycle {
    Lifecycle {
        ready_timeout: Some(ms(90_000)),
        probation: ms(2000),
        supersede: Some(ms(5000)),
        max_retiring: 8,
        drain: Drain { mode: DrainMode::Quiet, limit: ms(10_000) },
        hammer: Some(ms(60_000)),
        watchdog: None,
        respawn: Respawn::OnFailure,
        respawn_limit: Some((5, ms(60_000))),
        rereads: false,
    }
}

/// Like the defaults, without drain and probation.
pub fn plain() -> Lifecycle {
    Lifecycle { probation: ms(0), drain: Drain { mode: DrainMode::Off, limit: ms(0) }, ..defaults() }
}

#[test]
fn first_start_restart_and_stop() {
    tell(
        defaults(),
        "    0 | begin     | spawn 1
             1 | started 1 |
            10 | ready 1   |
          1000 | HUP       | spawn 2
          1001 | started 2 |
          1010 | ready 2   | steer 2
          3010 | tick      | drain 1, answer 1 done 2
          3020 | drained 1 | stop 1 retired
          3030 | exit 1 0  | stop 1 survived
          3030 | gone 1    | release 1
          9000 | TERM      | stop 2 stopped
          9010 | exit 2 0  | stop 2 survived
          9010 | gone 2    | release 2, answer 2 done, finish 0",
    );
}

#[test]
fn a_first_start_that_fails_ends_endless_with_its_code() {
    for (event, rest, code) in [("exit 1 3", "kill 1", 3), ("exit 1 0", "kill 1", 125), ("missing 1", "", 127)] {
        let story = format!("0 | begin | spawn 1 \n 5 | {event} | {rest} \n 5 | gone 1 | release 1, finish {code}");
        tell(defaults(), &story);
    }
}

#[test]
fn a_candidate_that_dies_hangs_or_is_missing_leaves_the_active_one_untouched() {
    tell(
        defaults(),
        "    0 | begin     | spawn 1
            10 | ready 1   |
          1000 | restart   | spawn 2
          1010 | exit 2 1  | kill 2, answer 1 failed: it ended before it was ready (exit status 1)
          1020 | gone 2    | release 2
          2000 | restart   | spawn 3
          2000 | missing 3 | answer 2 failed: cannot execute /srv/app: No such file or directory
          2000 | gone 3    | release 3
          3000 | restart   | spawn 4
         93000 | tick      | kill 4, answer 3 failed: it was not ready after 1m 30s
         93010 | exit 4 KILL |
         93010 | gone 4    | release 4
         94000 | restart   | spawn 5
         94010 | ready 5   | steer 5",
    );
}

#[test]
fn requests_during_a_restart_are_one_request() {
    tell(
        plain(),
        "    0 | begin   | spawn 1
            10 | ready 1 |
           100 | restart | spawn 2
           110 | restart |
           120 | restart |
           200 | ready 2 | steer 2, answer 1 done 2, stop 1 retired, spawn 3
           210 | ready 3 | steer 3, answer 2 done 3, answer 3 done 3, stop 2 retired",
    );
}

#[test]
fn a_restart_that_would_hammer_one_waits_a_little_for_room() {
    let drain = Drain { mode: DrainMode::Quiet, limit: ms(10_000) };
    tell(
        Lifecycle { drain, max_retiring: 1, ..plain() },
        "    0 | begin     | spawn 1
            10 | ready 1   |
           100 | restart   | spawn 2
           110 | ready 2   | steer 2, answer 1 done 2, drain 1
           120 | restart   |
           130 | restart   |
           400 | drained 1 | stop 1 retired
           650 | tick      | shut 1
           700 | exit 1 0  | stop 1 survived
           700 | gone 1    | release 1, spawn 3
           710 | ready 3   | steer 3, answer 2 done 3, answer 3 done 3, drain 2
           800 | restart   |
          1710 | tick      | spawn 4
          1720 | ready 4   | steer 4, answer 4 done 4, drain 3, kill 2",
    );
}

#[test]
fn a_hung_candidate_gives_way_to_the_next_request() {
    tell(
        plain(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | restart     | spawn 2
          2000 | restart     |
          6000 | tick        | kill 2, answer 1 failed: a newer restart took its place, spawn 3
          6010 | exit 2 KILL |
          6010 | gone 2      | release 2
         20000 | restart     | kill 3, answer 2 failed: a newer restart took its place, spawn 4
         20010 | ready 4     | steer 4, answer 3 done 4, stop 1 retired",
    );
}

#[test]
fn a_restart_after_a_crash_is_done_when_its_probation_is_over_too() {
    let crash = "    0 | begin       | spawn 1
                     1 | started 1   |
                    10 | ready 1     |
                  1000 | exit 1 SEGV | stop 1 survived
                  1000 | gone 1      |
                  1010 | restart     | spawn 2 on the seats of 1
                  1011 | started 2   |
                  1020 | ready 2     |";
    tell(defaults(), &format!("{crash}\n 3020 | tick | answer 1 done 2"));
    let failed = "answer 1 failed: it ended before the restart was over (killed by SIGSEGV)";
    tell(defaults(), &format!("{crash}\n 1500 | exit 2 SEGV | stop 2 survived, {failed}"));
}

#[test]
fn a_crash_in_probation_hands_the_listeners_back() {
    tell(
        defaults(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | restart     | spawn 2
          1010 | ready 2     | steer 2
          2010 | exit 2 SEGV | stop 2 survived, steer 1, answer 1 failed: it ended before the restart was over (killed by SIGSEGV)
          2010 | gone 2      | release 2
          5000 | restart     | spawn 3
          5010 | ready 3     | steer 3
          7010 | tick        | drain 1, answer 2 done 3",
    );
}

#[test]
fn a_crash_while_the_older_one_drains_hands_back_too_and_forgets_the_drain() {
    tell(
        Lifecycle { probation: ms(0), ..defaults() },
        "    0 | begin     | spawn 1
            10 | ready 1   |
          1000 | restart   | spawn 2
          1010 | ready 2   | steer 2, answer 1 done 2, drain 1
          1020 | exit 2 1  | stop 2 survived, steer 1
          1020 | gone 2    | release 2
          1030 | drained 1 |
         99000 | tick      |",
    );
}

#[test]
fn what_ignores_its_stop_signal_is_woken_and_hammered() {
    tell(
        plain(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | restart     | spawn 2
          1010 | ready 2     | steer 2, answer 1 done 2, stop 1 retired
          1260 | tick        | shut 1
         61010 | tick        | kill 1
         61020 | exit 1 KILL |
         61020 | gone 1      | release 1",
    );
}

#[test]
fn the_hammer_can_be_asked_for() {
    tell(
        Lifecycle { hammer: None, ..plain() },
        "    0 | begin   | spawn 1
            10 | ready 1 |
           500 | hammer  | answer 1 done 1
          1000 | restart | spawn 2
          1010 | ready 2 | steer 2, answer 2 done 2, stop 1 retired
          1260 | tick    | shut 1
         99000 | hammer  | kill 1, answer 3 done 2",
    );
}

#[test]
fn a_second_stop_hammers() {
    tell(
        plain(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | TERM        | stop 1 stopped
          1250 | tick        | shut 1
          1300 | TERM        | kill 1
          1310 | exit 1 KILL |
          1310 | gone 1      | release 1, answer 1 done, answer 2 done, finish 137",
    );
}

#[test]
fn a_stop_is_vetoed_once_and_a_restart_always() {
    tell(
        plain(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
           100 | HUP-vetoed  | answer 1 failed: no
           200 | HUP-vetoed  | answer 2 failed: no
           300 | TERM-vetoed | answer 3 failed: no
           400 | TERM-vetoed | stop 1 stopped
           410 | exit 1 TERM | stop 1 survived
           410 | gone 1      | release 1, answer 4 done, finish 0",
    );
}

#[test]
fn a_stop_during_a_start_ends_it() {
    tell(
        defaults(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | restart     | spawn 2
          1005 | stop        | answer 1 failed: endless is stopping, stop 1 stopped, stop 2 stopped
          1010 | ready 2     |
          1020 | exit 2 TERM | stop 2 survived
          1020 | gone 2      | release 2
          1030 | exit 1 0    | stop 1 survived
          1030 | gone 1      | release 1, answer 2 done, finish 0",
    );
}

#[test]
fn survivors_are_stopped_and_hammered() {
    tell(
        Lifecycle { respawn: Respawn::Never, ..defaults() },
        "    0 | begin    | spawn 1
            10 | ready 1  |
          1000 | exit 1 4 | stop 1 survived
         61000 | tick     | kill 1
         61010 | gone 1   | release 1, finish 4",
    );
}

#[test]
fn what_a_stopped_main_process_leaves_behind_is_stopped_and_hammered_too() {
    tell(
        plain(),
        "    0 | begin       | spawn 1
            10 | ready 1     |
          1000 | restart     | spawn 2
          1010 | ready 2     | steer 2, answer 1 done 2, stop 1 retired
          1020 | exit 1 TERM | stop 1 survived
          1260 | tick        | shut 1
         61010 | tick        | kill 1
         61020 | gone 1      | release 1",
    );
}

#[test]
fn a_clean_exit_ends_endless_and_a_crash_does_not() {
    tell(
        defaults(),
        "    0 | begin    | spawn 1
            10 | ready 1  |
          1000 | exit 1 0 | stop 1 survived
          1000 | gone 1   | release 1, finish 0",
    );
}

#[test]
fn a_crashed_generation_is_started_again_on_its_seats_until_the_limit() {
    let mut supervisor = Supervisor::new(Lifecycle { respawn_limit: Some((3, ms(60_000))), ..defaults() }, 7);
    let mut told = Teller::default();
    let mut now = Moment(ms(0));
    assert_eq!(told.step(&mut supervisor, now, "begin"), "spawn 1");
    for (id, usual) in [(1, 100), (2, 200), (3, 400)] {
        assert_eq!(told.step(&mut supervisor, now, &format!("ready {id}")), "");
        let crash = told.step(&mut supervisor, now, &format!("exit {id} 9"));
        assert_eq!(crash, format!("stop {id} survived"));
        assert_eq!(told.step(&mut supervisor, now, &format!("gone {id}")), "");
        let due = supervisor.next_deadline().unwrap();
        assert!(delayed(due.since(now), usual), "respawn {id} after {:?}, usually {usual} ms", due.since(now));
        now = due;
        let next = format!("spawn {} on the seats of {id}", id + 1);
        assert_eq!(told.step(&mut supervisor, now, "tick"), next);
    }
    assert_eq!(told.step(&mut supervisor, now, "ready 4"), "");
    assert_eq!(told.step(&mut supervisor, now, "exit 4 9"), "stop 4 survived");
    assert_eq!(told.step(&mut supervisor, now, "gone 4"), "release 4, finish 9");
}

#[test]
fn after_a_minute_of_service_the_delay_is_the_first_one_again_however_often_it_was_restarted() {
    let mut supervisor = Supervisor::new(Lifecycle { respawn_limit: None, ..plain() }, 7);
    let mut told = Teller::default();
    let mut run = |at: u64, event: &str| {
        told.step(&mut supervisor, Moment(ms(at)), event);
        supervisor.next_deadline().map(|due| due.since(Moment(ms(at))))
    };
    for (at, event) in [(0, "begin"), (10, "ready 1"), (20, "exit 1 9")] {
        run(at, event);
    }
    assert!(delayed(run(20, "gone 1").unwrap(), 100));
    for (at, event) in [(200, "tick"), (210, "ready 2"), (59_000, "restart"), (59_010, "ready 3"), (59_020, "exit 2 0")]
    {
        run(at, event);
    }
    run(59_020, "gone 2");
    run(60_300, "exit 3 9");
    assert!(delayed(run(60_300, "gone 3").unwrap(), 100));
    run(60_600, "tick");
    run(60_610, "ready 4");
    run(60_620, "exit 4 9");
    assert!(delayed(run(60_620, "gone 4").unwrap(), 200));
}

/// A delay with its jitter.
fn delayed(delay: Duration, usual: u64) -> bool {
    (ms(usual / 2)..=ms(usual * 3 / 2)).contains(&delay)
}

#[test]
fn a_client_waits_for_active_for_the_probation_or_until_the_old_one_is_gone() {
    tell(
        defaults(),
        "    0 | begin          | spawn 1
            10 | ready 1        |
          1000 | restart-active | spawn 2
          1001 | restart-gone   |
          1010 | ready 2        | steer 2, answer 1 done 2, spawn 3
          1020 | exit 3 1       | kill 3, answer 2 failed: it ended before it was ready (exit status 1)
          1030 | gone 3         | release 3
          3010 | tick           | drain 1
          4000 | restart-gone   | spawn 4
          4010 | ready 4        | steer 4
          6010 | tick           | drain 2
          6020 | drained 2      | stop 2 retired
          6030 | exit 2 0       | stop 2 survived
          6030 | gone 2         | release 2
          7000 | hammer-gone    | kill 1
          7001 | exit 1 KILL    |
          7010 | gone 1         | release 1, answer 3 done 4, answer 4 done 4",
    );
}

#[test]
fn a_restart_that_waits_for_the_old_one_is_done_though_a_later_one_fails() {
    tell(
        defaults(),
        "    0 | begin        | spawn 1
            10 | ready 1      |
          1000 | restart-gone | spawn 2
          1010 | ready 2      | steer 2
          3010 | tick         | drain 1
          4000 | restart      | spawn 3
          4010 | ready 3      | steer 3
          5000 | exit 3 1     | stop 3 survived, steer 2, answer 2 failed: it ended before the restart was over (exit status 1)
          5000 | gone 3       | release 3
          6000 | drained 1    | stop 1 retired
          6010 | exit 1 0     | stop 1 survived
          6010 | gone 1       | release 1, answer 1 done 2",
    );
}

#[test]
fn an_end_while_a_restart_waits_for_room_is_followed_by_that_restart() {
    let drain = Drain { mode: DrainMode::Quiet, limit: ms(10_000) };
    tell(
        Lifecycle { drain, max_retiring: 1, ..plain() },
        "    0 | begin     | spawn 1
            10 | ready 1   |
           100 | restart   | spawn 2
           110 | ready 2   | steer 2, answer 1 done 2, drain 1
           120 | drained 1 | stop 1 retired
           130 | restart   |
           200 | exit 2 0  | stop 2 survived, spawn 3 on the seats of 2
           200 | gone 2    |
           220 | ready 3   | answer 2 done 3
           370 | tick      | shut 1
           380 | exit 1 0  | stop 1 survived
           380 | gone 1    | release 1",
    );
}

#[test]
fn a_restart_that_waits_for_the_old_one_fails_when_the_old_one_serves_again() {
    tell(
        defaults(),
        "    0 | begin        | spawn 1
            10 | ready 1      |
          1000 | restart-gone | spawn 2
          1010 | ready 2      | steer 2
          3010 | tick         | drain 1
          4000 | exit 2 1     | stop 2 survived, steer 1, answer 1 failed: it ended before the restart was over (exit status 1)
          4010 | gone 2       | release 2
          5000 | restart-gone | spawn 3
          5010 | ready 3      | steer 3
          6000 | stop-client  | answer 2 failed: endless is stopping, stop 1 stopped, stop 3 stopped
          6001 | stop-client  |
          6010 | exit 1 0     | stop 1 survived
          6010 | gone 1       | release 1
          6011 | exit 3 0     | stop 3 survived
          6011 | gone 3       | release 3, answer 3 done, answer 4 done, finish 0",
    );
}

#[test]
fn a_restart_reads_the_configuration_again_and_a_broken_one_stops_it() {
    tell(
        Lifecycle { rereads: true, ..plain() },
        "    0 | begin          | spawn 1
            10 | ready 1        |
          1000 | restart-broken | read, answer 1 failed: a quote is not closed
          2000 | restart-mended | read, spawn 2
          2010 | ready 2        | steer 2, answer 2 done 2, stop 1 retired
          2260 | tick           | shut 1
          3010 | tick           | kill 1
          3011 | exit 1 KILL    |
          3011 | gone 1         | release 1
          4000 | exit 2 1       | stop 2 survived
          4001 | gone 2         |
          4107 | tick           | spawn 3 on the seats of 2",
    );
}

#[test]
fn a_copy_that_misses_its_watchdog_is_killed_and_replaced_like_one_that_has_crashed() {
    let mut supervisor = Supervisor::new(Lifecycle { watchdog: Some(ms(1000)), ..plain() }, 7);
    let mut told = Teller::default();
    let rows = [
        (0, "begin", "spawn 1"),
        (10, "ready 1", ""),
        (900, "alive 1", ""),
        (1900, "tick", "kill 1"),
        (1910, "exit 1 KILL", ""),
        (1910, "gone 1", ""),
    ];
    for (at, event, expected) in rows {
        assert_eq!(told.step(&mut supervisor, Moment(ms(at)), event), expected, "at {at}");
    }
    let due = supervisor.next_deadline().unwrap();
    assert!(delayed(due.since(Moment(ms(1900))), 100));
    assert_eq!(told.step(&mut supervisor, due, "tick"), "spawn 2 on the seats of 1");
}

#[test]
fn a_copy_that_is_stuck_in_its_probation_gives_the_listeners_back() {
    tell(
        Lifecycle { watchdog: Some(ms(1000)), ..defaults() },
        "    0 | begin     | spawn 1
            10 | ready 1   |
           900 | alive 1   |
          1000 | restart   | spawn 2
          1010 | ready 2   | steer 2
          2010 | tick      | kill 2, steer 1, answer 1 failed: it ended before the restart was over (killed by SIGKILL)
          2020 | exit 2 KILL |
          2020 | gone 2    | release 2
          3010 | tick      | kill 1",
    );
}

#[test]
fn a_copy_that_says_so_while_it_is_stopped_is_not_started_again() {
    tell(
        Lifecycle { watchdog: Some(ms(1000)), ..plain() },
        "    0 | begin       | spawn 1
            10 | ready 1     |
            20 | TERM        | stop 1 stopped
            30 | stuck 1     |
            40 | exit 1 0    | stop 1 survived
            40 | gone 1      | release 1, answer 1 done, finish 0",
    );
}

#[test]
fn a_copy_that_says_so_is_stuck_at_once_when_there_is_a_watchdog() {
    tell(
        plain(),
        "    0 | begin   | spawn 1
            10 | ready 1 |
            20 | stuck 1 |",
    );
    tell(
        Lifecycle { watchdog: Some(ms(1000)), respawn: Respawn::Never, ..plain() },
        "    0 | begin       | spawn 1
            10 | ready 1     |
            20 | stuck 1     | kill 1
            30 | exit 1 KILL |
            30 | gone 1      | release 1, finish 137",
    );
}

#[test]
fn a_copy_may_ask_for_more_time_to_start_and_to_go() {
    tell(
        Lifecycle { ready_timeout: Some(ms(1000)), hammer: Some(ms(2000)), ..plain() },
        "    0 | begin        | spawn 1
           900 | more 1 500   |
          1300 | more 1 10    |
          1390 | ready 1      |
          2000 | restart      | spawn 2
          2100 | ready 2      | steer 2, answer 1 done 2, stop 1 retired
          2350 | tick         | shut 1
          4000 | more 1 1000  |
          4900 | more 2 90000 |
          5000 | tick         | kill 1",
    );
}
