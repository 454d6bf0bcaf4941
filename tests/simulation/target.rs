//! What kind of policy a life is lived under, and what kind of program each of its generations is.

use crate::dice::Dice;
use endless::plan::{Drain, DrainMode, Lifecycle, Respawn};
use endless::words::{Exit, Failure, Sig};
use std::time::Duration;

/// A duration in milliseconds.
pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A policy in which every option takes its unusual values often.
pub fn policy(dice: &mut Dice) -> Lifecycle {
    Lifecycle {
        ready_timeout: dice.pick(&[None, Some(ms(200)), Some(ms(1000)), Some(ms(5000))]),
        probation: dice.pick(&[ms(0), ms(100), ms(2000)]),
        supersede: dice.pick(&[None, Some(ms(0)), Some(ms(300)), Some(ms(5000))]),
        max_retiring: dice.pick(&[1, 2, 8]),
        drain: Drain {
            mode: dice.pick(&[DrainMode::Off, DrainMode::Queue, DrainMode::Quiet, DrainMode::Soft]),
            limit: dice.pick(&[ms(0), ms(100), ms(1000), ms(10_000)]),
        },
        hammer: dice.pick(&[None, Some(ms(0)), Some(ms(100)), Some(ms(1000)), Some(ms(60_000))]),
        watchdog: dice.pick(&[None, None, None, Some(ms(2000))]),
        respawn: dice.pick(&[Respawn::OnFailure, Respawn::OnFailure, Respawn::Always, Respawn::Never]),
        respawn_limit: dice.pick(&[None, Some((1, ms(1000))), Some((2, ms(60_000))), Some((5, ms(60_000)))]),
        rereads: dice.chance(30),
    }
}

/// How a start goes.
#[derive(Debug, Clone)]
pub enum Start {
    /// The target is executed.
    Works,
    /// No process could be made.
    NotMade,
    /// A process was made and could not become the target; true: its end is told as well.
    NotExecuted(bool),
}

/// What the main process does when it gets its stop signal.
#[derive(Debug, Clone)]
pub enum OnStop {
    /// It ends this much later.
    Ends(u64, Exit),
    /// Nothing: it ignores the signal, or it is frozen.
    Ignores,
    /// It is stuck in an accept and ends when its seats are shut down.
    Stuck(u64),
}

/// What the rest of the tree does when the main process has ended.
#[derive(Debug, Clone)]
pub enum Rest {
    /// There is none: the tree is gone this much later.
    Nobody(u64),
    /// Survivors, which end by themselves after this long.
    Lingers(u64),
    /// Survivors, which end this long after the stop signal.
    WaitsForStop(u64),
    /// Survivors that ignore the stop signal.
    WaitsForKill,
}

/// One generation's program. Times are milliseconds.
#[derive(Debug, Clone)]
pub struct Nature {
    /// How long the start takes and how it goes.
    pub start: (u64, Start),
    /// How long after its start it is ready. None: it hangs.
    pub ready: Option<u64>,
    /// How long after its start it ends by itself.
    pub end: Option<(u64, Exit)>,
    /// How long after it began to serve it stops to say that it is alive. None: it never does.
    pub silent: Option<u64>,
    /// How much more time it asks for when it was started, and when it was told to stop. None: it does not ask.
    pub more: Option<u64>,
    /// How long after it began to serve, and after it was told to stop, it says that it is stuck. None: it never does.
    pub trips: Option<u64>,
    /// What it does with a stop signal.
    pub on_stop: OnStop,
    /// What its children do.
    pub rest: Rest,
    /// How long its drain takes. None: for ever.
    pub drained: Option<u64>,
    /// How long SIGKILL takes: until the main process has ended, and then until the tree is gone.
    pub killed: (u64, u64),
}

/// Short and long delays, in ticks of the grid, short ones more often.
const DELAYS: [u64; 12] = [0, 0, 0, 1, 1, 2, 3, 5, 10, 20, 40, 100];

impl Nature {
    /// A good server: it becomes ready within the shortest `--ready-timeout`, serves and ends when told to.
    pub fn healthy(dice: &mut Dice, grid: u64) -> Nature {
        Nature {
            start: (dice.below(2) * grid, Start::Works),
            ready: Some(dice.below(3) * grid),
            end: None,
            silent: None,
            more: None,
            trips: None,
            on_stop: OnStop::Ends(dice.below(4) * grid, dice.pick(&[Exit::Code(0), Exit::Signal(Sig::TERM)])),
            rest: Rest::Nobody(dice.below(2) * grid),
            drained: Some(dice.pick(&[0, 0, 1, 2, 5, 100]) * grid),
            killed: (dice.below(2) * grid, dice.below(2) * grid),
        }
    }

    /// Any server, good or bad. Where nothing would ever end a hanging start (`may_hang` is false), none hangs.
    pub fn any(dice: &mut Dice, grid: u64, may_hang: bool) -> Nature {
        let mut nature = Nature::healthy(dice, grid);
        let delay = |dice: &mut Dice| dice.pick(&DELAYS) * grid;
        if dice.chance(20) {
            nature.start.1 = dice.pick(&[Start::NotMade, Start::NotExecuted(false), Start::NotExecuted(true)]);
        }
        nature.start.0 = delay(dice);
        nature.ready = if may_hang && dice.chance(15) { None } else { Some(delay(dice)) };
        if dice.chance(35) {
            let after = dice.pick(&[0, nature.ready.unwrap_or(0), nature.ready.unwrap_or(0)]);
            nature.end = Some((after + delay(dice), any_exit(dice)));
        }
        nature.silent = if dice.chance(30) { Some(delay(dice)) } else { None };
        nature.more = if dice.chance(20) { Some(delay(dice)) } else { None };
        nature.trips = if dice.chance(10) { Some(delay(dice)) } else { None };
        nature.on_stop = match dice.below(5) {
            0 => OnStop::Ignores,
            1 => OnStop::Stuck(delay(dice)),
            _ => OnStop::Ends(delay(dice), any_exit(dice)),
        };
        nature.rest = match dice.below(8) {
            0 => Rest::Lingers(delay(dice)),
            1 => Rest::WaitsForStop(delay(dice)),
            2 => Rest::WaitsForKill,
            _ => Rest::Nobody(delay(dice).min(5 * grid)),
        };
        nature.drained = if dice.chance(30) { None } else { Some(delay(dice)) };
        nature
    }

    /// Why its start fails, where it does.
    pub fn start_failure(&self) -> Option<Failure> {
        match self.start.1 {
            Start::Works => None,
            Start::NotMade => Some(Failure::NotMade { step: "fork".into(), errno: 11 }),
            Start::NotExecuted(told) => {
                Some(Failure::NotExecuted { step: "execute /srv/app".into(), errno: if told { 2 } else { 13 } })
            }
        }
    }
}

fn any_exit(dice: &mut Dice) -> Exit {
    dice.pick(&[Exit::Code(0), Exit::Code(1), Exit::Code(3), Exit::Signal(Sig(11)), Exit::Signal(Sig::TERM)])
}
