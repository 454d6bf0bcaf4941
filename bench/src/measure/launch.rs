//! What a launcher adds to a start: from its exec to main() of the target.

use crate::Result;
use crate::figures::{Row, Samples, short};
use crate::launcher::{Kind, Running, Tools, free_address};
use std::process::Command;
use std::time::Duration;

pub fn measure(tools: &Tools, samples: usize, starter_samples: usize) -> Result<Row> {
    let (mut bare, mut least, mut own) = (Samples::default(), Samples::default(), Samples::default());
    let address = free_address();
    let stamp = tools.target("stamp");
    // Taking turns, so that whatever else the machine does hits all three alike.
    for _ in 0..samples {
        let mut command = Command::new(&tools.target);
        command.arg("stamp");
        bare.0.push(until_main(tools, command)?);
        let mut command = Command::new(&tools.target);
        command.arg("launch").arg(address.port().to_string()).args(&stamp);
        least.0.push(until_main(tools, command)?);
        own.0.push(until_main(tools, tools.launch(Kind::Endless, &[address.to_string()], "", &stamp)?)?);
    }
    let mut starter = Samples::default();
    for _ in 0..if tools.starter.is_some() { starter_samples } else { 0 } {
        starter.0.push(until_main(tools, tools.launch(Kind::Starter, &[address.to_string()], "", &stamp)?)?);
    }
    let factor = own.median() / bare.median();
    Ok(Row::new("launch: exec → main() of the target")
        .endless(format!("{} = {factor:.2} × bare", own.text()))
        .starter(starter.text())
        .bare(format!("{}; through the least launcher {}", bare.text(), short(least.median())))
        .target("≤ 2.5 × bare", factor <= 2.5))
}

/// Starts it and returns how long it took until the target's main() ran.
fn until_main(tools: &Tools, mut command: Command) -> Result<u64> {
    let stamps = tools.stamps("launch");
    command.env("BENCH_STAMPS", &stamps.file);
    let mut running = Running::start(command, tools, "launch")?;
    // The time is in the stamp, so there is no hurry to see it, and asking seldom leaves the processors alone.
    let (patience, pause) = (Duration::from_secs(5), Duration::from_millis(1));
    let main = crate::system::until(patience, pause, || stamps.all("main").first().copied());
    let (_, when) = main.ok_or_else(|| running.failure("main() of the target did not run within 5 s"))?;
    running.wait(Duration::from_millis(50)); // else it is stopped: Server::Starter would start the target again for ever
    Ok(when.saturating_sub(running.started))
}
