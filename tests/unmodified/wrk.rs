//! wrk as the client: as many requests as the machine can do, and nobody who pauses.

use crate::row::named;
use crate::support::{Endless, processes, until};
use crate::trial::{Started, start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const CLOSE: &[&str] = &["-H", "Connection: close"];

/// At work.
fn wrk(at: SocketAddr, connections: u32, seconds: u32, more: &[&str]) -> Child {
    let mut command = Command::new("wrk");
    command.args(["-t2", &format!("-c{connections}"), &format!("-d{seconds}s")]).args(more);
    command.arg(format!("http://{at}/")).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("wrk is installed")
}

fn printed(wrk: Child) -> String {
    String::from_utf8(wrk.wait_with_output().unwrap().stdout).unwrap()
}

/// The line of wrk's with this in it.
fn line<'a>(text: &'a str, with: &str) -> Option<&'a str> {
    text.lines().map(str::trim).find(|line| line.contains(with))
}

/// wrk says nothing of errors when there were none.
fn hundred_restarts(name: &str) {
    let Started { mut endless, at, .. } = start(named(name), &[]);
    let load = wrk(at, 64, 600, CLOSE);
    for generation in 2..=101 {
        endless.restart(generation);
        endless.gone(generation - 1);
    }
    kill(Pid::from_raw(load.id().cast_signed()), Signal::SIGINT).unwrap();
    let text = printed(load);
    let errors = ["Socket errors", "Non-2xx"].iter().filter_map(|word| line(&text, word)).collect::<Vec<_>>();
    let (all, rate) = (line(&text, " requests in ").unwrap(), line(&text, "Requests/sec").unwrap());
    println!("| {name} | 100 restarts | {all} | {rate} | errors: {errors:?} |");
    assert!(errors.is_empty(), "{name}: {errors:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
#[ignore = "measures; needs wrk"]
fn a_hundred_restarts_of_go_under_wrk_lose_nothing() {
    hundred_restarts("Go, static");
}

#[test]
#[ignore = "measures; needs wrk"]
fn a_hundred_restarts_of_nginx_under_wrk_lose_nothing() {
    hundred_restarts("nginx, 2 workers");
}

/// Processor time the server has used, in nanoseconds (proc(5), schedstat), all threads of all its processes.
fn used(endless: &Endless) -> f64 {
    let threads = |pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    processes::descendants(endless.pid()).into_iter().flat_map(threads).filter_map(of).sum()
}

/// Over a second at full speed: how long a request takes on average, as wrk sees it, and how much processor time the server
/// needs for it, each in the unit of its own.
fn costs(server: &Started, more: &[&str]) -> [f64; 2] {
    let before = used(&server.endless);
    let text = printed(wrk(server.at, 32, 1, more));
    let number = |line: &str, at: usize| line.split_whitespace().nth(at)?.parse::<f64>().ok();
    let requests = line(&text, " requests in ").and_then(|line| number(line, 0)).expect(&text);
    let rate = line(&text, "Requests/sec").and_then(|line| number(line, 1)).expect(&text);
    [1.0 / rate, (used(&server.endless) - before) / requests]
}

/// The median of ratios, and the half of the middle half's width divided by the root of their number.
fn middle(mut ratios: Vec<f64>) -> (f64, f64) {
    ratios.sort_by(f64::total_cmp);
    let at = |part: usize| ratios[ratios.len() * part / 4];
    let number = f64::from(u32::try_from(ratios.len()).unwrap());
    (at(2), (at(3) - at(1)) / 2.0 / number.sqrt())
}

fn is_filtered(endless: &Endless) -> bool {
    let pid = endless.ready(1);
    let mode = until("its status can be read", || processes::status(pid, "Seccomp"));
    mode == "2"
}

/// The same server three times, once with the filter, in rounds of a second, taking turns: requests in a second, and the
/// server's processor time for each, which says more on a machine that others use, too. The two without the filter say what
/// chance does.
#[test]
#[ignore = "measures for some minutes; needs wrk"]
fn capture_costs_a_busy_server_little() {
    let mut slow = Vec::new();
    for (name, more) in [("nginx, 2 workers", &[][..]), ("nginx, 2 workers", CLOSE), ("Go, static", &[])] {
        let never = &[("ENDLESS_CAPTURE", "never")][..];
        let mut servers = [start(named(name), &[]), start(named(name), never), start(named(name), never)];
        assert!(is_filtered(&servers[0].endless) && !is_filtered(&servers[1].endless));
        let mut rounds = Vec::new();
        for round in 0..20 {
            let mut taken = [[0.0; 2]; 3];
            for turn in 0..3 {
                let which = (turn + round) % 3;
                taken[which] = costs(&servers[which], more);
            }
            rounds.push(taken);
        }
        // As speeds: what the server without the filter costs to what the other costs.
        let speed = |other: usize, what: usize| {
            middle(rounds.iter().map(|taken| taken[1][what] / taken[other][what]).collect())
        };
        let kind = if more.is_empty() { "kept" } else { "new" };
        let cells: Vec<String> = [speed(0, 0), speed(2, 0), speed(0, 1), speed(2, 1)]
            .iter()
            .map(|(middle, error)| format!("{middle:.3} ± {error:.3}"))
            .collect();
        println!("| {name}, {kind} connections | {} |", cells.join(" | "));
        // Far below what the kernel needs to look at a call: something else is wrong.
        if speed(0, 1).0 < 0.9 {
            slow.push(format!("{name}, {kind}: {}", cells[2]));
        }
        servers.iter_mut().for_each(|server| assert_eq!(server.endless.stop(), 0));
    }
    assert!(slow.is_empty(), "{slow:?}");
}
