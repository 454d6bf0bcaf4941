//! What a launcher adds to a start: from its exec to main() of the target.

use crate::Result;
use crate::figures::{Row, Samples, short};
use crate::launcher::{Kind, Running, Tools, free_address};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn measure(tools: &Tools, samples: usize, starter_samples: usize) -> Result<[Row; 2]> {
    let usual = Turns::take(tools, &tools.linked, samples)?;
    let fixed = Turns::take(tools, &tools.target, samples)?;
    let mut starter = Samples::default();
    for _ in 0..if tools.starter.is_some() { starter_samples } else { 0 } {
        starter.0.push(until_main(
            tools,
            tools.launch(Kind::Starter, &[free_address().to_string()], "", &stamp(&tools.linked))?,
        )?);
    }
    Ok([usual.row("launch: exec → main() of the target").starter(starter.text()), fixed.row("launch: a static target")])
}

/// One target, started in three ways that take turns, so that whatever else the machine does hits all alike.
#[derive(Default)]
struct Turns {
    bare: Samples,
    least: Samples,
    own: Samples,
}

impl Turns {
    fn take(tools: &Tools, target: &Path, samples: usize) -> Result<Turns> {
        let (mut turns, address, stamp) = (Turns::default(), free_address(), stamp(target));
        for _ in 0..samples {
            let mut command = Command::new(target);
            command.arg("stamp");
            turns.bare.0.push(until_main(tools, command)?);
            let mut command = Command::new(&tools.target);
            command.arg("launch").arg(address.port().to_string()).args(&stamp);
            turns.least.0.push(until_main(tools, command)?);
            turns.own.0.push(until_main(tools, tools.launch(Kind::Endless, &[address.to_string()], "", &stamp)?)?);
        }
        Ok(turns)
    }

    fn row(&self, name: &str) -> Row {
        let factor = self.own.median() / self.bare.median();
        Row::new(name)
            .endless(format!("{} = {factor:.2} × bare", self.own.text()))
            .bare(format!("{}; through the least launcher {}", self.bare.text(), short(self.least.median())))
            .target("≤ 2.5 × bare", factor <= 2.5)
    }
}

fn stamp(target: &Path) -> [String; 2] {
    [target.display().to_string(), "stamp".to_owned()]
}

/// Starts it and returns how long it took until the target's main() ran.
fn until_main(tools: &Tools, mut command: Command) -> Result<u64> {
    let stamps = tools.stamps("launch");
    command.env("BENCH_STAMPS", &stamps.file);
    let mut running = Running::start(command, tools, "launch")?;
    // The time is in the stamp, so there is no hurry to see it: asking again when it is long over leaves the processors alone.
    let (patience, pause) = (Duration::from_secs(5), Duration::from_millis(10));
    let main = crate::system::until(patience, pause, || stamps.all("main").first().copied());
    let (_, when) = main.ok_or_else(|| running.failure("main() of the target did not run within 5 s"))?;
    running.wait(Duration::from_millis(50)); // else it is stopped: Server::Starter would start the target again for ever
    Ok(when.saturating_sub(running.started))
}
