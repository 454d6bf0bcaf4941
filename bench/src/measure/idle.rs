//! What a launcher costs while nothing happens.

use crate::Result;
use crate::figures::Row;
use crate::launcher::{Kind, Running, Tools, free_address};
use crate::system;
use std::thread::sleep;
use std::time::Duration;

pub fn measure(tools: &Tools, watched: Duration) -> Result<Vec<Row>> {
    let kinds = if tools.starter.is_some() { &[Kind::Endless, Kind::Starter][..] } else { &[Kind::Endless] };
    let mut running = Vec::new();
    for &kind in kinds {
        let address = free_address();
        let command = tools.launch(kind, &[address.to_string()], "", &tools.target("serve grace"))?;
        let mut launcher = Running::start(command, tools, &format!("idle-{kind:?}"))?;
        launcher.first_answer(address, Duration::from_millis(2))?;
        running.push(launcher);
    }
    sleep(Duration::from_millis(2500)); // past probation and whatever settles
    let before: Vec<u64> = running.iter().map(|launcher| system::switches(launcher.pid())).collect();
    sleep(watched);
    let wakeups: Vec<u64> =
        running.iter().zip(before).map(|(launcher, before)| system::switches(launcher.pid()) - before).collect();
    let memory: Vec<u64> = running.iter().map(|launcher| system::pss_kib(launcher.pid())).collect();
    let text = |values: &[u64], index: usize, unit: &str| {
        values.get(index).map_or("–".to_owned(), |value| format!("{value}{unit}"))
    };
    Ok(vec![
        Row::new("memory idle, one listener (PSS)")
            .endless(text(&memory, 0, " KiB"))
            .starter(text(&memory, 1, " KiB"))
            .target("≤ 1000 KiB", memory[0] > 0 && memory[0] <= 1000),
        Row::new(format!("wakeups while idle, {} s", watched.as_secs()))
            .endless(text(&wakeups, 0, ""))
            .starter(text(&wakeups, 1, ""))
            .target("0", wakeups[0] == 0),
    ])
}
