//! One random life from `Begin` to `Finish`: some chaos, then a storm of restarts in a calm world, then a stop.

use crate::dice::Dice;
use crate::ledger::{Broken, Kept, Ledger, promise};
use crate::tally::Tally;
use crate::target::policy;
use crate::world::World;
use endless::plan::SignalAction;
use endless::supervisor::{Action, Event, Supervisor, Wait};
use endless::words::{Moment, Sig};
use std::time::Duration;

/// More steps than any life needs that does not spin.
const MOST_STEPS: u64 = 5_000;

/// One life.
pub struct Life {
    world: World,
    ledger: Ledger,
    supervisor: Supervisor,
    /// Every step in words; None unless it is to be told.
    trace: Option<Vec<String>>,
    tally: Tally,
}

/// How a life went.
pub struct Lived {
    pub kept: Kept,
    pub trace: Vec<String>,
    pub steps: u64,
    pub tally: Tally,
}

fn moment(at: u64) -> Moment {
    Moment(Duration::from_millis(at))
}

/// Lives the life of this seed.
pub fn live(seed: u64, told: bool) -> Lived {
    let mut dice = Dice::new(seed);
    let policy = policy(&mut dice);
    let may_hang = policy.ready_timeout.is_some() || policy.supersede.is_some();
    let grid = dice.pick(&[10, 50]);
    let mut life = Life {
        supervisor: Supervisor::new(policy.clone(), seed),
        trace: told.then(|| vec![format!("grid {grid} ms, {policy:?}")]),
        ledger: Ledger::new(policy.clone()),
        world: World::new(dice, grid, may_hang, policy.clone()),
        tally: Tally::default(),
    };
    let kept = life.whole(seed % 24);
    life.tally.life(&life.ledger);
    Lived { kept, trace: life.trace.unwrap_or_default(), steps: life.ledger.step, tally: life.tally }
}

impl Life {
    fn whole(&mut self, size: u64) -> Kept {
        self.step(Event::Begin)?;
        self.plan_requests(size);
        let until = 2_000 + 1_000 * size;
        self.run(until, size)?;
        self.world.forget_requests();
        self.calm()?;
        self.end()?;
        self.silence()
    }

    /// Requests at random times, many of them together.
    fn plan_requests(&mut self, size: u64) {
        let dice = &mut self.world.dice;
        let count = dice.below(size + 1);
        let moments: Vec<u64> = (0..3).map(|_| dice.below(100 * size + 1) * self.world.grid).collect();
        for _ in 0..count {
            let at = match self.world.dice.chance(60) {
                true => self.world.dice.pick(&moments),
                false => self.world.dice.below(100 * size + 1) * self.world.grid,
            };
            self.ask_something(at);
        }
    }

    fn ask_something(&mut self, at: u64) {
        let dice = &mut self.world.dice;
        let (what, signal) = match dice.below(100) {
            0..60 => (SignalAction::Restart, Sig::HUP),
            60..70 => (SignalAction::Stop, dice.pick(&[Sig::TERM, Sig::INT])),
            70..80 => (SignalAction::Hammer, Sig::USR2),
            80..86 => (SignalAction::Forward(Sig::USR1), Sig::USR1),
            86..92 => (SignalAction::Upgrade, Sig(30)),
            92..94 => (SignalAction::Reopen, Sig::USR1),
            94..96 => (SignalAction::Suspend, Sig::TSTP),
            _ => (SignalAction::Ignore, Sig::TSTP),
        };
        let signal = Some(signal).filter(|_| dice.chance(60));
        self.world.ask(at, what, signal);
    }

    /// Runs until the world is at rest, the time is over, or endless has finished.
    fn run(&mut self, until: u64, restlessness: u64) -> Kept {
        while self.ledger.finished.is_none() {
            let Some(next) = self.next_time() else { return self.ledger.at_rest() };
            if next > until {
                return Ok(());
            }
            if next > self.world.now {
                self.ledger.before(moment(next))?;
                self.world.now = next + self.stall();
            }
            let event = self.next_event();
            if restlessness > 0 && event != Event::Tick && self.world.dice.chance(restlessness / 6) {
                self.ask_something(self.world.now);
            }
            self.step(event)?;
            promise(7, self.ledger.step < MOST_STEPS, || "it spins".into())?;
        }
        Ok(())
    }

    /// Now and then the machine was busy, and everything is late.
    fn stall(&mut self) -> u64 {
        let late =
            if !self.world.calm && self.world.dice.chance(1) { self.world.dice.pick(&[1, 5, 20, 200]) } else { 0 };
        late * self.world.grid
    }

    /// The next point on the grid at which something happens.
    fn next_time(&self) -> Option<u64> {
        let tick = self.deadline();
        let owed = self.world.next_due();
        let next = tick.into_iter().chain(owed).min()?;
        Some(next.max(self.world.now))
    }

    /// The supervisor's deadline, rounded up to the grid.
    fn deadline(&self) -> Option<u64> {
        let micros = self.supervisor.next_deadline()?.0.as_micros();
        let grid = u128::from(self.world.grid);
        u64::try_from(micros.div_ceil(1000 * grid) * grid).ok()
    }

    /// What happens now. When a deadline and an event coincide, chance decides.
    fn next_event(&mut self) -> Event {
        let now = self.world.now;
        let tick = self.deadline().is_some_and(|due| due <= now);
        let owed = self.world.next_due().is_some_and(|due| due <= now);
        let stray = self.world.dice.chance(2);
        if !owed || stray || (tick && self.world.dice.chance(50)) {
            return Event::Tick;
        }
        self.world.take().unwrap_or(Event::Tick)
    }

    /// One event, everything the supervisor does about it, and the promises.
    fn step(&mut self, event: Event) -> Kept {
        let now = moment(self.world.now);
        if self.world.dice.chance(5) {
            self.written_and_read();
        }
        self.ledger.note(now, &event);
        let actions = self.supervisor.handle(now, event.clone());
        self.tell(&event, &actions);
        for action in &actions {
            self.tally.action(action, &self.ledger);
            self.ledger.check(action)?;
            self.world.act(action);
        }
        self.ledger.after_step(&event, self.supervisor.next_deadline())
    }

    /// An upgrade of endless, at any moment: the supervisor that was written down and read again is the same.
    fn written_and_read(&mut self) {
        let written = serde_json::to_string(&self.supervisor).unwrap();
        self.supervisor = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&self.supervisor).unwrap(), written);
    }

    fn tell(&mut self, event: &Event, actions: &[Action]) {
        let Some(trace) = &mut self.trace else { return };
        let done: Vec<String> = actions.iter().filter(|one| !matches!(one, Action::Report(_))).map(brief).collect();
        trace.push(format!("{:>7} ms  {:<44} -> {}", self.world.now, format!("{event:?}"), done.join(", ")));
    }

    /// In a calm world a storm of restarts ends with one active generation, started after the last request.
    fn calm(&mut self) -> Kept {
        self.world.calm = true;
        if self.ledger.finished.is_some() || self.ledger.stop_maybe() {
            return Ok(());
        }
        let storm = 1 + self.world.dice.below(12);
        let apart = self.world.dice.below(3) * self.world.grid;
        let signal = Some(Sig::HUP).filter(|_| self.world.dice.chance(50));
        for number in 1..=storm {
            self.world.ask(self.world.now + number * apart, SignalAction::Restart, signal);
        }
        self.run(self.world.now + 200_000, 0)?;
        if self.ledger.finished.is_some() || self.ledger.stop_maybe() || self.stuck() || self.ending() {
            return Ok(());
        }
        self.one_active()
    }

    /// A candidate that hangs and that nothing ends: the policy says to wait for it.
    fn stuck(&self) -> bool {
        self.ledger.candidate().is_some() && self.ledger.policy.ready_timeout.is_none()
    }

    /// Nothing serves, and the policy waits for what is left before it exits.
    fn ending(&self) -> bool {
        self.ledger.serving().is_none() && self.ledger.may_end()
    }

    /// Promise 3, after the storm.
    fn one_active(&self) -> Kept {
        let last = self
            .ledger
            .asked
            .values()
            .filter(|asked| asked.request.what == SignalAction::Restart)
            .map(|asked| asked.step);
        let last = last.max().unwrap_or(0);
        // With a watchdog there always is a next sign of life.
        let watched = self.ledger.policy.watchdog.is_some();
        let rest = !self.world.owes_more_than_pings() && (watched || self.supervisor.next_deadline().is_none());
        promise(7, rest, || "not at rest long after the storm".into())?;
        let living = self.ledger.generations.values().filter(|seen| !seen.gone && !seen.told());
        promise(3, living.count() == 1, || "not exactly one generation after the storm".into())?;
        let serving = self.ledger.serving().and_then(|id| self.ledger.generations.get(&id));
        let fresh = serving.is_some_and(|seen| seen.spawned_at_step >= last);
        promise(3, fresh, || format!("the active generation is older than the last request (step {last})"))
    }

    /// A stop, and where nothing hammers by itself, a second one.
    fn end(&mut self) -> Kept {
        for _ in 0..2 {
            let signal = Some(Sig::TERM).filter(|_| self.world.dice.chance(50));
            if self.ledger.finished.is_some() {
                return Ok(());
            }
            self.world.ask_waiting(self.world.now, SignalAction::Stop, signal, Wait::Nobody);
            self.run(self.world.now + 300_000, 0)?;
        }
        promise(8, self.ledger.finished.is_some(), || "two stops and no Finish".into())
    }

    /// After Finish nothing is done, whatever still arrives.
    fn silence(&mut self) -> Kept {
        while let Some(event) = self.world.take().filter(|event| !matches!(event, Event::Request(_))) {
            self.step(event)?;
        }
        self.step(Event::Tick)
    }
}

/// An action in a few words.
fn brief(action: &Action) -> String {
    match action {
        Action::RunHooks { run, point, .. } => format!("RunHooks({}, {point})", run.0),
        Action::Spawn { generation, seats } => format!("Spawn({generation}, {seats:?})"),
        Action::Answer(ticket, outcome) => format!("Answer({}, {outcome:?})", ticket.0),
        other => format!("{other:?}").replace("GenerationId", ""),
    }
}

/// The number of the promise and the story of its breach.
pub fn describe(seed: u64, broken: &Broken, trace: &[String]) -> String {
    let from = trace.len().saturating_sub(80);
    let cut = if from > 0 { format!("  ... {from} steps before\n") } else { String::new() };
    format!("promise {} broken in life {seed}: {}\n{cut}{}\n", broken.0, broken.1, trace[from..].join("\n"))
}
