//! The world: targets, hooks and people. It carries out actions and owes events.

use crate::dice::Dice;
use crate::target::{Nature, OnStop, Rest, Start};
use endless::plan::{Lifecycle, SignalAction};
use endless::supervisor::{Action, Event, HookRun, Request, StopReason, Ticket, Wait, Word};
use endless::words::{Exit, GenerationId, HookPoint, ReadySign, Sig};
use std::collections::BTreeMap;
use std::time::Duration;

/// When an event arrives: the time in milliseconds, chance among those of the same time, order of creation.
type Key = (u64, u64, u64);

/// One generation's processes.
struct Target {
    nature: Nature,
    main_ended: bool,
    serves_since: Option<u64>,
    told: bool,
}

/// Everything outside the supervisor.
pub struct World {
    /// The time in milliseconds, always on the grid.
    pub now: u64,
    /// The clock's resolution in milliseconds.
    pub grid: u64,
    /// In a calm world new targets are healthy and hooks agree.
    pub calm: bool,
    /// How many of a hundred targets are healthy in a world that is not calm; of first ones more, so that lives are long.
    pub good: u64,
    /// True when a candidate that hangs is ended by the policy.
    pub may_hang: bool,
    /// What the configuration says.
    policy: Lifecycle,
    /// How often a healthy target says that it is alive, in milliseconds.
    ping: Option<u64>,
    /// The world's chance.
    pub dice: Dice,
    queue: BTreeMap<Key, Event>,
    targets: BTreeMap<GenerationId, Target>,
    made: u64,
    tickets: u64,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(mut dice: Dice, grid: u64, may_hang: bool, policy: Lifecycle) -> World {
        World {
            now: 0,
            grid,
            calm: false,
            good: dice.pick(&[0, 30, 60, 90]),
            may_hang,
            ping: policy.watchdog.and_then(|interval| u64::try_from(interval.as_millis() / 2).ok()),
            policy,
            dice,
            queue: BTreeMap::new(),
            targets: BTreeMap::new(),
            made: 0,
            tickets: 0,
        }
    }

    /// When the next owed event arrives.
    pub fn next_due(&self) -> Option<u64> {
        self.queue.keys().next().map(|key| key.0)
    }

    /// True when anything is owed beside signs of life.
    pub fn owes_more_than_pings(&self) -> bool {
        self.queue.values().any(|event| !matches!(event, Event::Heard(..)))
    }

    /// Takes the next owed event.
    pub fn take(&mut self) -> Option<Event> {
        let (_, event) = self.queue.pop_first()?;
        if let Event::Exited(generation, _) | Event::NotStarted(generation, _) = &event {
            self.targets.get_mut(generation).unwrap().main_ended = true;
        }
        if let Event::Ready(generation, _) | Event::Heard(generation, Word::Alive) = &event {
            self.ping(*generation);
        }
        if let Event::Ready(generation, _) = &event {
            self.trip(*generation);
        }
        Some(event)
    }

    /// A target that serves says again and again that it is alive, until it falls silent, ends or is told to.
    fn ping(&mut self, generation: GenerationId) {
        let Some(interval) = self.ping else { return };
        let target = self.targets.get_mut(&generation).unwrap();
        let since = *target.serves_since.get_or_insert(self.now);
        let silent = target.nature.silent.is_some_and(|after| self.now >= since + after);
        if !silent && !target.main_ended && !target.told {
            self.owe(self.now + interval / self.grid * self.grid, Event::Heard(generation, Word::Alive));
        }
    }

    /// A target says that it is stuck, whatever it has said before.
    fn trip(&mut self, generation: GenerationId) {
        if let Some(after) = self.targets.get(&generation).and_then(|target| target.nature.trips) {
            self.owe(self.now + after, Event::Heard(generation, Word::Stuck));
        }
    }

    fn ask_for_time(&mut self, generation: GenerationId) {
        if let Some(more) = self.targets.get(&generation).and_then(|target| target.nature.more) {
            let due = self.now + self.grid;
            self.owe(due, Event::Heard(generation, Word::MoreTime(Duration::from_millis(more))));
        }
    }

    /// Throws away the requests that have not arrived.
    pub fn forget_requests(&mut self) {
        self.queue.retain(|_, event| !matches!(event, Event::Request(_)));
    }

    /// Owes an event that concerns no generation.
    pub fn owe(&mut self, due: u64, event: Event) {
        self.made += 1;
        let chance = self.dice.below(4);
        self.queue.insert((due, chance, self.made), event);
    }

    /// Somebody will ask for this.
    pub fn ask(&mut self, due: u64, what: SignalAction, signal: Option<Sig>) {
        let wait = self.dice.pick(&[Wait::Nobody, Wait::Active, Wait::Done, Wait::Gone]);
        self.ask_waiting(due, what, signal, wait);
    }

    /// The same, and who waits for what.
    pub fn ask_waiting(&mut self, due: u64, what: SignalAction, signal: Option<Sig>, wait: Wait) {
        self.tickets += 1;
        self.owe(due, Event::Request(Request { ticket: Ticket(self.tickets), what, signal, wait }));
    }

    /// Carries out one action.
    pub fn act(&mut self, action: &Action) {
        match action {
            Action::RunHooks { run, point, .. } => self.run_hooks(*run, *point),
            Action::Reread => self.reread(),
            Action::Upgrade => self.upgrade(),
            Action::Spawn { generation, .. } => self.spawn(*generation),
            Action::Drain(generation) => self.drain(*generation),
            Action::Stop(generation, reason) => self.stop(*generation, *reason),
            Action::ShutSeats(generation) => self.shut(*generation),
            Action::Kill(generation) => self.kill(*generation),
            _ => {}
        }
    }

    fn run_hooks(&mut self, run: HookRun, point: HookPoint) {
        let delay = self.dice.pick(&[0, 0, 0, 0, 1, 2, 10, 50]) * self.grid;
        let veto = match point {
            HookPoint::Pre(_) => 20,
            _ => 8,
        };
        let no = !self.calm && self.dice.chance(veto);
        let result = if no { Err("the hook said no".to_owned()) } else { Ok(()) };
        self.owe(self.now + delay, Event::HooksDone { run, result });
    }

    fn reread(&mut self) {
        let delay = self.dice.pick(&[0, 0, 1, 10]) * self.grid;
        let broken = !self.calm && self.dice.chance(20);
        let result = if broken { Err("a quote is not closed".to_owned()) } else { Ok(Box::new(self.policy.clone())) };
        self.owe(self.now + delay, Event::Reread(result));
    }

    /// It takes its time, and the new program may be a broken one.
    fn upgrade(&mut self) {
        let delay = self.dice.pick(&[0, 1, 10, 50]) * self.grid;
        let broken = !self.calm && self.dice.chance(30);
        let result = if broken { Err("it cannot read the state".to_owned()) } else { Ok(()) };
        self.owe(self.now + delay, Event::Upgraded(result));
    }

    fn spawn(&mut self, generation: GenerationId) {
        let good = if self.targets.is_empty() { 80 } else { self.good };
        let healthy = self.calm || self.dice.chance(good);
        let nature = match healthy {
            true => Nature::healthy(&mut self.dice, self.grid),
            false => Nature::any(&mut self.dice, self.grid, self.may_hang),
        };
        self.spawn_as(generation, nature);
    }

    /// Starts this kind of target.
    pub fn spawn_as(&mut self, generation: GenerationId, nature: Nature) {
        let answered = self.now + nature.start.0;
        let failure = nature.start_failure();
        let kind = nature.start.1.clone();
        let (ready, end) = (nature.ready, nature.end);
        let gone = answered + nature.killed.1;
        self.targets.insert(generation, Target { nature, main_ended: false, serves_since: None, told: false });
        if let Some(failure) = failure {
            self.owe_of(generation, answered, Event::NotStarted(generation, failure));
            if let Start::NotExecuted(true) = kind {
                self.owe_of(generation, answered, Event::Exited(generation, Exit::Code(127)));
            }
            self.end_tree(generation, gone);
            return;
        }
        self.owe_of(generation, answered, Event::Started(generation));
        self.ask_for_time(generation);
        if let Some(ready) = ready {
            self.owe_of(generation, answered + ready, Event::Ready(generation, ReadySign::Notified));
        }
        if let Some((end, exit)) = end {
            self.end_main(generation, answered + end, exit);
        }
    }

    fn drain(&mut self, generation: GenerationId) {
        let Some(after) = self.targets.get(&generation).and_then(|target| target.nature.drained) else { return };
        let due = self.now + after;
        let gone = self.queued(generation, |event| matches!(event, Event::Gone(_)));
        if gone.is_none_or(|key| due < key.0) {
            self.owe(due, Event::Drained(generation));
        }
    }

    fn stop(&mut self, generation: GenerationId, reason: StopReason) {
        self.ask_for_time(generation);
        self.trip(generation);
        let Some(target) = self.targets.get_mut(&generation) else { return };
        target.told = true;
        if target.main_ended || reason == StopReason::Survived {
            if let Rest::WaitsForStop(after) = target.nature.rest {
                self.end_tree(generation, self.now + after);
            }
        } else if let OnStop::Ends(after, exit) = target.nature.on_stop {
            self.end_main(generation, self.now + after, exit);
        }
    }

    fn shut(&mut self, generation: GenerationId) {
        let Some(target) = self.targets.get(&generation) else { return };
        if let (OnStop::Stuck(after), false) = (&target.nature.on_stop, target.main_ended) {
            self.end_main(generation, self.now + after, Exit::Code(0));
        }
    }

    fn kill(&mut self, generation: GenerationId) {
        let Some(target) = self.targets.get_mut(&generation) else { return };
        target.told = true;
        let (main, tree) = target.nature.killed;
        if matches!(target.nature.start.1, Start::Works) {
            self.end_main(generation, self.now + main, Exit::Signal(Sig::KILL));
        }
        self.end_tree(generation, self.now + main + tree);
    }

    /// The main process ends at `due`, unless it does earlier already. What it would have done later does not happen;
    /// what is on its way by then still arrives.
    fn end_main(&mut self, generation: GenerationId, due: u64, exit: Exit) {
        let earlier = self.queued(generation, |event| matches!(event, Event::Exited(..)));
        let target = &self.targets[&generation];
        if target.main_ended || earlier.is_some_and(|key| key.0 <= due) {
            return;
        }
        let rest = target.nature.rest.clone();
        let started = self.queued(generation, |event| matches!(event, Event::Started(_)));
        self.queue.retain(|key, event| key.0 <= due || of(event) != Some(generation) || drained(event));
        if started.is_some_and(|key| key.0 > due) {
            self.owe_of(generation, due, Event::Started(generation));
        }
        self.owe_of(generation, due, Event::Exited(generation, exit));
        match rest {
            Rest::Nobody(after) | Rest::Lingers(after) => self.end_tree(generation, due + after),
            Rest::WaitsForStop(_) | Rest::WaitsForKill => {}
        }
    }

    /// The last process of the tree ends at `due`, unless it does earlier already.
    fn end_tree(&mut self, generation: GenerationId, due: u64) {
        let earlier = self.queued(generation, |event| matches!(event, Event::Gone(_)));
        if earlier.is_some_and(|key| key.0 <= due) {
            return;
        }
        self.queue.retain(|_, event| *event != Event::Gone(generation));
        self.owe_of(generation, due, Event::Gone(generation));
        let gone = self.queued(generation, |event| matches!(event, Event::Gone(_)));
        self.queue.retain(|key, event| *event != Event::Drained(generation) || Some(*key) < gone);
    }

    /// Owes an event of a generation, after those of it that are owed already.
    fn owe_of(&mut self, generation: GenerationId, due: u64, event: Event) {
        self.made += 1;
        let key = (due, self.dice.below(4), self.made);
        let last = self.queued(generation, |event| !drained(event)).unwrap_or(key);
        self.queue.insert(key.max((last.0, last.1, self.made)), event);
    }

    /// The last owed event of this generation and kind.
    fn queued(&self, generation: GenerationId, kind: impl Fn(&Event) -> bool) -> Option<Key> {
        let mut owed = self.queue.iter().rev();
        owed.find(|(_, event)| of(event) == Some(generation) && kind(event)).map(|(key, _)| *key)
    }
}

/// What is not part of a life's row: it may come at any time.
fn drained(event: &Event) -> bool {
    matches!(event, Event::Drained(_) | Event::Heard(..))
}

/// The generation an event is about.
pub fn of(event: &Event) -> Option<GenerationId> {
    match event {
        Event::Started(generation)
        | Event::NotStarted(generation, _)
        | Event::Ready(generation, _)
        | Event::Exited(generation, _)
        | Event::Gone(generation)
        | Event::Heard(generation, _)
        | Event::Drained(generation) => Some(*generation),
        Event::Begin | Event::Request(_) | Event::HooksDone { .. } | Event::Reread(_) => None,
        Event::Upgraded(_) | Event::Tick => None,
    }
}
