//! Far more restart requests than there can be restarts.

use crate::Result;
use crate::figures::Row;
use crate::launcher::{Kind, Running, Tools, free_address};
use crate::load::{self, Load};
use crate::system::{self, until};
use std::thread::sleep;
use std::time::Duration;

const SIGNALS: usize = 200;
const POLL: Duration = Duration::from_millis(5);

/// What is there when the storm is over.
struct Aftermath {
    generations: usize,
    /// The one that is left was started after the last signal.
    newest: bool,
    zombies: usize,
    leaked: i64,
    lost: usize,
    answered: u64,
}

impl Aftermath {
    fn calm(&self) -> bool {
        self.generations == 1 && self.newest && self.zombies == 0 && self.leaked <= 0 && self.lost == 0
    }

    fn text(&self) -> String {
        let newest = if self.newest { "started after the last signal" } else { "**older than the last signal**" };
        format!(
            "{} live, {newest}, {} zombies, {:+} fds, {} lost of {}",
            self.generations, self.zombies, self.leaked, self.lost, self.answered
        )
    }
}

pub fn measure(tools: &Tools) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, pause) in [("at once", Duration::ZERO), ("5 ms apart", Duration::from_millis(5))] {
        let own = storm(tools, Kind::Endless, pause)?;
        let mut row = Row::new(format!("{SIGNALS} SIGHUPs {name}"))
            .endless(own.text())
            .promise("1 live, newest, 0 zombies, 0 fds, 0 lost", own.calm());
        if tools.starter.is_some() {
            row = row.starter(
                storm(tools, Kind::Starter, pause).map_or_else(|error| error.to_string(), |storm| storm.text()),
            );
        }
        rows.push(row);
    }
    Ok(rows)
}

fn storm(tools: &Tools, by: Kind, pause: Duration) -> Result<Aftermath> {
    let address = free_address();
    let stamps = tools.stamps(&format!("storm-{}", address.port()));
    let options = "--ready notify --probation 0";
    let mut command = tools.launch(by, &[address.to_string()], options, &tools.target("serve ready grace"))?;
    command.env("BENCH_STAMPS", &stamps.file);
    let mut launcher = Running::start(command, tools, &format!("storm-{by:?}-{}", pause.as_millis()))?;
    let first = launcher.first_answer(address, POLL)?.pid;
    // One ordinary restart first: what a restart leaves open for good is no leak of the storm.
    launcher.hang_up();
    launcher.answer_of_other_than(&[first], address, POLL)?;
    settle(&launcher);
    let files = system::open_files(launcher.pid()) as i64;

    let load = Load::start(address, &[(load::Kind::New, 4)]);
    let mut last_signal = 0;
    for _ in 0..SIGNALS {
        last_signal = system::now();
        launcher.hang_up();
        if !pause.is_zero() {
            sleep(pause);
        }
    }
    sleep(Duration::from_millis(100));
    settle(&launcher);
    let tally = load.finish();
    sleep(Duration::from_millis(300)); // nobody asks any more: what was open for a client is closed
    let (zombies, live): (Vec<u32>, Vec<u32>) =
        system::children(launcher.pid()).into_iter().partition(|&pid| system::state(pid) == Some('Z'));
    Ok(Aftermath {
        generations: live.len(),
        newest: live.iter().all(|&pid| stamps.of("main", pid).is_some_and(|when| when > last_signal)),
        zombies: zombies.len(),
        leaked: system::open_files(launcher.pid()) as i64 - files,
        lost: tally.lost(),
        answered: tally.answered,
    })
}

/// Waits until one and the same child is all there is, for longer than Server::Starter's interval.
fn settle(launcher: &Running) {
    let (mut known, mut since) = (Vec::new(), system::now());
    until(Duration::from_secs(10), Duration::from_millis(20), || {
        let children = system::children(launcher.pid());
        if children != known || children.len() != 1 {
            (known, since) = (children, system::now());
        }
        (system::now() - since > 1_200_000_000).then_some(())
    });
}
