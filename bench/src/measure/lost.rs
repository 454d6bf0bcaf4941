//! Requests lost in many restarts under load.

use crate::Result;
use crate::figures::Row;
use crate::launcher::{Kind, Running, Tools, free_address};
use crate::load::{self, Load, Tally};
use crate::system::until;
use std::thread::sleep;
use std::time::Duration;

const EVERYBODY: [(load::Kind, usize); 3] = [(load::Kind::KeepAlive, 8), (load::Kind::New, 8), (load::Kind::Slow, 8)];
const NEWCOMERS: [(load::Kind, usize); 1] = [(load::Kind::New, 8)];
const POLL: Duration = Duration::from_millis(2);

/// What a series of restarts cost.
struct Series {
    restarts: usize,
    /// Restarts after which no new process answered in time.
    missed: usize,
    tally: Tally,
}

impl Series {
    fn text(&self) -> String {
        let Tally { answered, races, .. } = self.tally;
        let missed = if self.missed > 0 { format!(", {} restarts without effect", self.missed) } else { String::new() };
        let lost = self.tally.lost();
        let kinds = if lost > 0 { format!(" {:?}", self.tally.ways()) } else { String::new() };
        let races = if races > 0 { format!(", {races} raced") } else { String::new() };
        format!("**{lost}**{kinds} of {answered} in {}{races}{missed}", self.restarts)
    }

    /// The text for a server that dies on the spot: what it had accepted is its own loss.
    fn text_before_accept(&self) -> String {
        let (before, all) = (self.tally.lost_before_accept(), self.tally.lost());
        format!("**{before}** of {} in {} (cut after accept: {})", self.tally.answered, self.restarts, all - before)
    }
}

/// The rows; `restarts` for endless and for Server::Starter, which needs at least a second for each.
pub fn measure(tools: &Tools, restarts: usize, starter_restarts: usize) -> Result<Vec<Row>> {
    let graceful = tools.simple_server();
    let own = series(tools, Kind::Endless, &graceful, &EVERYBODY, restarts)?;
    let mut first = Row::new("lost requests: simple_server, 8 keep-alive + 8 new + 8 slow clients")
        .endless(own.text())
        .promise("0", own.tally.lost() == 0 && own.missed == 0);
    let abrupt = tools.target("serve");
    let own = series(tools, Kind::Endless, &abrupt, &NEWCOMERS, restarts)?;
    let mut second = Row::new("lost before accept: server dies on SIGTERM, 8 new clients")
        .endless(own.text_before_accept())
        .promise("0", own.tally.lost_before_accept() == 0 && own.missed == 0);
    if tools.starter.is_some() {
        first = first.starter(series(tools, Kind::Starter, &graceful, &EVERYBODY, starter_restarts)?.text());
        second = second.starter(
            series(tools, Kind::Starter, &abrupt, &NEWCOMERS, (starter_restarts / 3).max(3))?.text_before_accept(),
        );
    }
    Ok(vec![first, second])
}

fn series(
    tools: &Tools,
    by: Kind,
    target: &[String],
    clients: &[(load::Kind, usize)],
    restarts: usize,
) -> Result<Series> {
    let address = free_address();
    let command = tools.launch(by, &[address.to_string()], "", target)?;
    let mut launcher = Running::start(command, tools, &format!("lost-{by:?}-{}", address.port()))?;
    launcher.first_answer(address, POLL)?;
    let settle = Duration::from_millis(if by == Kind::Starter { 1100 } else { 250 });
    sleep(settle);
    let load = Load::start(address, clients);
    until(Duration::from_secs(5), POLL, || (load.seen.count() > 0).then_some(()));
    let mut missed = 0;
    for _ in 0..restarts {
        let before = load.seen.count();
        launcher.hang_up();
        if until(Duration::from_secs(5), POLL, || (load.seen.count() > before).then_some(())).is_none() {
            missed += 1;
        }
        if missed > 3 {
            return Err(launcher.failure("restarts have no effect"));
        }
        sleep(settle);
    }
    sleep(Duration::from_millis(1500)); // the last of the old copies goes under load, too
    Ok(Series { restarts, missed, tally: load.finish() })
}
