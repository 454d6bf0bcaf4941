//! From the signal to the first answer of the new copy, and to the stop signal of the old one.

use crate::Result;
use crate::figures::{Row, Samples, short};
use crate::launcher::{Kind, Running, Stamps, Tools, free_address};
use crate::system::{self, until};
use std::thread::sleep;
use std::time::Duration;

/// How often the impatient client asks.
const POLL: Duration = Duration::from_micros(100);

/// What was measured of one launcher.
#[derive(Default)]
struct Restarts {
    /// SIGHUP to the first answer of a new process.
    answer: Samples,
    /// SIGHUP to the SIGTERM the old process got.
    stop: Samples,
}

pub fn measure(tools: &Tools, samples: usize, starter_samples: usize) -> Result<Vec<Row>> {
    let bare = bare(tools, samples)?;
    let ready = restarts(tools, Kind::Endless, "--ready notify --probation 0", "serve ready grace", samples)?;
    let probe = restarts(tools, Kind::Endless, "--ready accept --probation 0", "serve grace", samples)?;
    let starter = match tools.starter {
        Some(_) => restarts(tools, Kind::Starter, "", "serve grace", starter_samples)?,
        None => Restarts::default(),
    };
    Ok(vec![
        Row::new("signal → first answer of the new copy, READY=1")
            .endless(ready.answer.text())
            .starter(format!("{} (blind)", starter.answer.text()))
            .bare(format!("{} (fork → answer)", bare.text()))
            .target("≤ 2 ms", ready.answer.median() <= 2.0),
        Row::new("signal → first answer of the new copy, probe")
            .endless(probe.answer.text())
            .target("≤ 3 ms", probe.answer.median() <= 3.0),
        Row::new("signal → stop signal of the old copy, --probation 0")
            .endless(format!("{}; probe {}", ready.stop.text(), short(probe.stop.median())))
            .starter(starter.stop.text())
            .target("≤ 150 ms", ready.stop.median().max(probe.stop.median()) <= 150.0),
    ])
}

fn restarts(tools: &Tools, by: Kind, options: &str, target: &str, samples: usize) -> Result<Restarts> {
    let address = free_address();
    let stamps = tools.stamps(&format!("latency-{}", address.port()));
    let mut command = tools.launch(by, &[address.to_string()], options, &tools.target(target))?;
    command.env("BENCH_STAMPS", &stamps.file);
    let mut launcher = Running::start(command, tools, &format!("latency-{by:?}-{}", address.port()))?;
    let mut old = launcher.first_answer(address, POLL)?.pid;
    let mut measured = Restarts::default();
    sleep(Duration::from_millis(if by == Kind::Starter { 1100 } else { 100 }));
    for _ in 0..samples {
        let asked = system::now();
        launcher.hang_up();
        let new = launcher.answer_of_other_than(&[old], address, POLL)?.pid;
        measured.answer.0.push(system::now() - asked);
        let stopped =
            stop_of(&stamps, old).ok_or_else(|| launcher.failure("the old copy got no SIGTERM within 5 s"))?;
        measured.stop.0.push(stopped.saturating_sub(asked));
        old = new;
        sleep(Duration::from_millis(60)); // whatever is still to be put away
    }
    Ok(measured)
}

fn stop_of(stamps: &Stamps, pid: u32) -> Option<u64> {
    until(Duration::from_secs(5), Duration::from_millis(2), || stamps.of("term", pid))
}

/// The floor: start the target that binds for itself, and ask until it answers.
fn bare(tools: &Tools, samples: usize) -> Result<Samples> {
    let address = "127.1.0.1:20000".parse()?;
    let mut measured = Samples::default();
    for _ in 0..samples {
        let mut command = std::process::Command::new(&tools.target);
        command.args(["bind", "1", "grace"]);
        let mut target = Running::start(command, tools, "latency-bare")?;
        target.first_answer(address, POLL)?;
        measured.0.push(system::now() - target.started);
    }
    Ok(measured)
}
