//! wrk as the client: as many requests as the machine can do, and nobody who pauses.

use crate::row::named;
use crate::support::{Endless, until};
use crate::trial::{Started, start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

fn rate(at: SocketAddr, more: &[&str]) -> f64 {
    let text = printed(wrk(at, 32, 1, more));
    line(&text, "Requests/sec").and_then(|line| line.split_whitespace().last()?.parse().ok()).expect(&text)
}

/// The mean of ratios, and its standard error.
fn mean(ratios: &[f64]) -> (f64, f64) {
    let number = f64::from(u32::try_from(ratios.len()).unwrap());
    let mean = ratios.iter().sum::<f64>() / number;
    let squares = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>();
    (mean, (squares / (number - 1.0) / number).sqrt())
}

fn is_filtered(endless: &Endless) -> bool {
    let pid = endless.ready(1);
    let mode = until("its status can be read", || crate::support::processes::status(pid, "Seccomp"));
    mode == "2"
}

/// The same server three times, once with the filter: rounds of a second, taking turns. The two without say what chance does.
#[test]
#[ignore = "measures; needs wrk and an idle machine"]
fn capture_costs_a_busy_server_nothing() {
    let mut slow = Vec::new();
    for (name, more) in [("nginx, 2 workers", &[][..]), ("nginx, 2 workers", CLOSE), ("Go, static", &[])] {
        let never = &[("ENDLESS_CAPTURE", "never")][..];
        let mut servers = [start(named(name), &[]), start(named(name), never), start(named(name), never)];
        assert!(is_filtered(&servers[0].endless) && !is_filtered(&servers[1].endless));
        let (mut with, mut chance) = (Vec::new(), Vec::new());
        for round in 0..30 {
            let mut rates = [0.0; 3];
            for turn in 0..3 {
                let which = (turn + round) % 3;
                rates[which] = rate(servers[which].at, more);
            }
            with.push(rates[0] / rates[1]);
            chance.push(rates[2] / rates[1]);
        }
        let ((with, error), (chance, noise)) = (mean(&with), mean(&chance));
        let kind = if more.is_empty() { "kept" } else { "new" };
        println!(
            "| {name} | {kind} | with / without {with:.3} ± {error:.3} | without / without {chance:.3} ± {noise:.3} |"
        );
        if with + 2.0 * (error + noise) < 0.99 {
            slow.push(format!("{name}, {kind}: {with:.3} ± {error:.3}"));
        }
        servers.iter_mut().for_each(|server| assert_eq!(server.endless.stop(), 0));
    }
    assert!(slow.is_empty(), "{slow:?}");
}
