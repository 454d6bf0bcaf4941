//! Very many listeners.

use crate::Result;
use crate::figures::{Row, Samples};
use crate::launcher::{Kind, Running, Tools};
use crate::system::{self, limit_files, reachable_limit};
use std::net::SocketAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const LISTENERS: usize = 10_000;
const POLL: Duration = Duration::from_micros(500);
/// The hard limit under which it must work: not enough for a second set of seats.
const TIGHT: u64 = 20_000;
/// Enough for seats.
const WIDE: u64 = 65_536;
/// As many listeners as have seats under the tight limit, where it cannot be raised.
const FEWER: usize = 5_000;

/// The address of a listener: 1000 ports each on 127.1.0.1, 127.1.1.1, ..., below the ports clients are given.
/// targets/target.c counts the same way.
fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([127, 1, (index / 1000) as u8, 1], 20_000 + (index % 1000) as u16))
}

/// First start and restarts, both until the last listener answers.
#[derive(Default)]
struct Times {
    start: Samples,
    restart: Samples,
}

pub fn measure(tools: &Tools, rounds: usize) -> Result<Vec<Row>> {
    let wide = reachable_limit(WIDE);
    let seats = if wide >= WIDE { LISTENERS } else { FEWER };
    let mut rows = Vec::new();
    for (name, count, option, files, restart) in [
        ("seats", seats, "", wide, None),
        ("share=yes, limit 20000", LISTENERS, ",share=yes", TIGHT, Some(30.0)),
        ("limit 20000", LISTENERS, "", TIGHT, Some(30.0)),
    ] {
        let bare = bare(tools, count, rounds)?;
        let least = restart.map(|_| least(tools, count, rounds)).transpose()?;
        let measured = rounds_of(tools, count, option, files, rounds);
        rows.extend(pair(&format!("{count} listeners, {name}"), measured, &bare, least.zip(restart)));
    }
    Ok(rows)
}

/// The two rows of one setting. A failure is a line of the table: the other lines still count. `shared`: what a restart
/// with shared sockets takes the least launcher, and how many milliseconds it may take.
fn pair(name: &str, measured: Result<Times>, bare: &Samples, shared: Option<(Samples, f64)>) -> [Row; 2] {
    let start = Row::new(format!("{name}: first answer on the last")).bare(bare.text());
    let again = Row::new(format!("{name}: restart"));
    let (again, limit, target) = match shared {
        Some((least, millis)) => {
            (again.bare(format!("through the least launcher {}", least.text())), millis, format!("≤ {millis} ms"))
        }
        None => (again, 2.0 * bare.median(), "≤ 2 × bare start".to_owned()),
    };
    match measured {
        Ok(times) => [
            start.endless(times.start.text()).target("≤ 1.5 × bare", times.start.median() <= 1.5 * bare.median()),
            again.endless(times.restart.text()).target(target, times.restart.median() <= limit),
        ],
        Err(error) => {
            eprintln!("{name}: {error}");
            let why = error.to_string().lines().next().unwrap_or_default().to_owned();
            [start.endless(&*why).promise("≤ 1.5 × bare", false), again.endless(why).promise(target, false)]
        }
    }
}

fn rounds_of(tools: &Tools, count: usize, option: &str, files: u64, rounds: usize) -> Result<Times> {
    let listen: Vec<String> = (0..count).map(|index| format!("{}{option}", address(index))).collect();
    let last = address(count - 1);
    let mut times = Times::default();
    for round in 0..rounds {
        let target = tools.target("serve ready grace");
        let mut command = tools.launch(Kind::Endless, &listen, "--ready notify --probation 0", &target)?;
        limit_files(&mut command, files);
        let mut launcher = Running::start(command, tools, &format!("scale-{files}{option}-{round}"))?;
        let first = launcher.first_answer(last, POLL)?.pid;
        times.start.0.push(system::now() - launcher.started);
        restart(&mut launcher, first, last, &mut times.restart)?;
    }
    Ok(times)
}

fn restart(launcher: &mut Running, mut old: u32, last: SocketAddr, times: &mut Samples) -> Result<()> {
    for _ in 0..3 {
        sleep(Duration::from_millis(500)); // until the old copy is gone and its sockets are closed
        let asked = system::now();
        launcher.hang_up();
        old = launcher.answer_of_other_than(&[old], last, POLL)?.pid;
        times.0.push(system::now() - asked);
    }
    Ok(())
}

/// What restarts take where a launcher does nothing but fork and exec.
fn least(tools: &Tools, count: usize, rounds: usize) -> Result<Samples> {
    let (last, mut samples) = (address(count - 1), Samples::default());
    for _ in 0..rounds {
        let mut command = Command::new(&tools.target);
        command.arg("relaunch").arg(count.to_string());
        limit_files(&mut command, TIGHT);
        let mut launcher = Running::start(command, tools, "scale-least")?;
        let first = launcher.first_answer(last, POLL)?.pid;
        restart(&mut launcher, first, last, &mut samples)?;
    }
    Ok(samples)
}

fn bare(tools: &Tools, count: usize, rounds: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..rounds.max(3) {
        let mut command = Command::new(&tools.target);
        command.arg("bind").arg(count.to_string()).arg("grace");
        limit_files(&mut command, TIGHT);
        let mut target = Running::start(command, tools, "scale-bare")?;
        target.first_answer(address(count - 1), POLL)?;
        samples.0.push(system::now() - target.started);
    }
    Ok(samples)
}
