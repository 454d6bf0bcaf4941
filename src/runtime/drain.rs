//! Generations that get no new connections: watching for the end of their drain, and saying what they are waited for.

use super::copy::{Copy, Drain, Progress};
use super::{Runtime, clock};
use crate::listener::DrainWatch;
use crate::notice::{Level, Notice};
use crate::plan::DrainMode;
use crate::spawn::ProcessTable;
use crate::supervisor::Event;
use crate::words::{GenerationId, Moment};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// After the flip the old generation keeps what it was just given for at least this long: a connection that was accepted
/// at that moment has its request read before the stop signal comes.
const LEAST_DRAIN: Duration = Duration::from_millis(100);
/// The pause between two looks at queues, before the second look that finds nothing left, and before the first of all: it
/// walks the kernel's table of connections, which takes milliseconds, and the first clients of the new generation shall not
/// wait for that.
const SHORT_PAUSE: Duration = Duration::from_millis(10);
/// The pause between two looks at connections; where they are to be closed between two requests it has to be shorter.
const PAUSE: Duration = Duration::from_millis(50);
const SOFT_PAUSE: Duration = Duration::from_millis(5);
/// What processes have open is read again after this long.
const OPEN_HOLDS: Duration = Duration::from_secs(1);
/// A pause is at least this many times as long as the processor needed for the look before it: many connections take long
/// to look at.
const PAUSES_PER_LOOK: u32 = 5;
/// A drain that lasts this long is worth a look at which connections are not its own at all.
const LONG_DRAIN: Duration = Duration::from_millis(300);
/// How often a terminal shows what is waited for.
const PROGRESS: Duration = Duration::from_secs(5);

/// What is told once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ToldOnce {
    blind: bool,
    not_soft: bool,
    /// Since the status file could be written.
    #[serde(default)]
    pub(super) no_status: bool,
}

impl Runtime {
    /// The flip. What the generation before it has shortly after is what its drain will wait for.
    pub(super) fn steer(&mut self, to: GenerationId) {
        if self.supervisor.active().is_none() {
            // What served has ended, and `to` is not ready yet.
            self.listeners.bequeath(to);
            self.forget_own_sockets();
        }
        let notices = self.listeners.steer(to);
        let since = clock::now();
        for copy in self.copies.values_mut() {
            if copy.generation == to {
                (copy.drain, copy.progress) = (None, None);
            } else if copy.drain.is_none() && copy.watch.is_none() {
                copy.drain = Some(Drain::new(since));
            }
        }
        self.tell_all(notices);
    }

    /// The supervisor wants to know when the drain is over.
    pub(super) fn drain(&mut self, generation: GenerationId) {
        self.begin_progress(generation);
        match self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) {
            Some(drain) if self.listeners.has_own_seats(generation) => {
                drain.asked = Some(clock::now());
                drain.next = Some(drain.since + SHORT_PAUSE);
            }
            _ => self.events.push_back(Event::Drained(generation)),
        }
    }

    /// Writes down what a generation has at this moment.
    fn begin_watch(&mut self, generation: GenerationId) {
        let mut watch = self.listeners.begin_drain(generation);
        let others = self.copies.values().filter_map(|copy| copy.drain.as_ref()?.watch.as_ref());
        let others: HashSet<u64> = others.flat_map(DrainWatch::cookies).collect();
        if let Some(copy) = self.copies.get_mut(&generation).filter(|_| watch.shares(&others)) {
            watch.share(&others, &copy.tree.sockets(&ProcessTable::read()));
        }
        let looks = matches!(self.plan.lifecycle.drain.mode, DrainMode::Quiet | DrainMode::Soft);
        let blind = looks && watch.blind();
        if blind && !std::mem::replace(&mut self.told.blind, true) {
            let text = "connections cannot be looked at (sock_diag(7)): old copies are only waited for until their queues \
                        are empty";
            self.tell(&Notice::Note { level: Level::Problem, text: text.to_owned() });
        }
        if let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) {
            drain.watch = Some(watch);
        }
    }

    pub(super) fn look_at_drains(&mut self, now: Moment) {
        let due = self.copies.values().filter(|copy| copy.drain.as_ref().is_some_and(|drain| drain.due(now)));
        for generation in due.map(|copy| copy.generation).collect::<Vec<_>>() {
            if self.copies.get(&generation).is_some_and(Copy::unwatched) {
                self.begin_watch(generation);
            }
            if self.drain_over(generation, now) {
                self.drain_ended(generation, now);
            }
        }
        self.tell_progress(now);
    }

    /// Over when two looks in a row find nothing left, and not before [`LEAST_DRAIN`]. Otherwise says when to look again.
    fn drain_over(&mut self, generation: GenerationId, now: Moment) -> bool {
        let mode = self.plan.lifecycle.drain.mode;
        let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) else { return false };
        let (Some(_), Some(watch)) = (drain.asked, &mut drain.watch) else {
            drain.next = None;
            return false;
        };
        let first = drain.since + (LEAST_DRAIN - SHORT_PAUSE);
        if now < first || !watch.queue_over(&self.listeners) {
            drain.quiet = 0;
            drain.next = Some((now + SHORT_PAUSE).max(first));
            return false;
        }
        let used = clock::used();
        let quiet = mode == DrainMode::Queue || self.connections_quiet(generation, now);
        let (looked, cost) = (clock::now(), clock::used().saturating_sub(used));
        let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) else { return false };
        drain.quiet = if quiet { drain.quiet + 1 } else { 0 };
        let pause = match mode {
            _ if quiet => SHORT_PAUSE,
            DrainMode::Soft => SOFT_PAUSE,
            _ => PAUSE,
        };
        drain.next = Some(looked + pause.max(cost * PAUSES_PER_LOOK));
        drain.quiet >= 2 && looked.since(drain.since) >= LEAST_DRAIN
    }

    /// Whether no connection of the generation is in the middle of a request. With `soft`, the quiet ones are made to end.
    fn connections_quiet(&mut self, generation: GenerationId, now: Moment) -> bool {
        let soft = self.plan.lifecycle.drain.mode == DrainMode::Soft;
        let patience = self.patience(generation, now);
        let Some(copy) = self.copies.get_mut(&generation) else { return false };
        let Some(drain) = copy.drain.as_mut() else { return false };
        let Some(watch) = drain.watch.as_mut() else { return false };
        let known = drain.open.as_ref().is_some_and(|(at, _)| now.since(*at) < OPEN_HOLDS);
        if soft && !known && watch.closable() > 0 {
            // Before the look: it takes longer than a client may pause.
            drain.open = Some((now, copy.tree.sockets(&ProcessTable::read())));
        }
        let waits = watch.look(now, patience);
        let mut quiet = waits.quiet();
        if soft {
            let open = drain.open.as_ref().map_or(&[][..], |(_, open)| open);
            let refused = watch.half_close(now, patience, open).err();
            quiet &= watch.closable() == 0 && !watch.closing(now);
            if let Some(errno) = refused {
                self.tell_not_soft(errno);
            }
        }
        if !waits.quiet() {
            self.search_others(generation, now);
        }
        quiet
    }

    fn tell_not_soft(&mut self, errno: Errno) {
        if !std::mem::replace(&mut self.told.not_soft, true) {
            let why = errno.desc();
            let text =
                format!("connections of a copy cannot be closed halfway ({why}): --drain soft does what quiet does");
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    /// A connection that was silent for longer than the drain may last, when it began, is not waited for.
    fn patience(&self, generation: GenerationId, now: Moment) -> Duration {
        let asked = self.copies.get(&generation).and_then(|copy| copy.drain.as_ref()?.asked);
        self.plan.lifecycle.drain.limit + asked.map(|asked| now.since(asked)).unwrap_or_default()
    }

    /// Connections that came in the moment of a flip may be another generation's: after a while that is looked up, once.
    fn search_others(&mut self, generation: GenerationId, now: Moment) {
        let long = |drain: &Drain| !drain.searched && drain.asked.is_some_and(|asked| now.since(asked) >= LONG_DRAIN);
        if !self.copies.get(&generation).and_then(|copy| copy.drain.as_ref()).is_some_and(long) {
            return;
        }
        let table = ProcessTable::read();
        let others = self.copies.values_mut().filter(|copy| copy.generation != generation);
        let open: Vec<_> = others.flat_map(|copy| copy.tree.sockets(&table)).collect();
        if let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) {
            drain.searched = true;
            drain.watch.iter_mut().for_each(|watch| watch.forget(&open));
        }
    }

    fn drain_ended(&mut self, generation: GenerationId, now: Moment) {
        let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) else { return };
        drain.next = None;
        let took = drain.asked.map(|asked| now.since(asked)).unwrap_or_default();
        self.tell(&Notice::Drained { generation, took });
        self.events.push_back(Event::Drained(generation));
    }

    /// The stop signal is about to be sent. When the drain was not over, its limit was, and what that cuts is told.
    pub(super) fn end_drain(&mut self, generation: GenerationId) {
        let now = clock::now();
        let (patience, limit) = (self.patience(generation, now), self.plan.lifecycle.drain.limit);
        let Some(drain) = self.copies.get_mut(&generation).and_then(|copy| copy.drain.as_mut()) else { return };
        let unfinished = drain.next.take().is_some() && drain.asked.is_some();
        if let (true, Some(watch)) = (unfinished, &mut drain.watch) {
            let waits = watch.look(now, patience);
            self.tell(&Notice::DrainLimit { generation, limit, waits });
        }
    }

    /// From now on a terminal shows every 5 s what the generation is waited for.
    pub(super) fn begin_progress(&mut self, generation: GenerationId) {
        if !self.reporter.on_terminal() {
            return;
        }
        let now = clock::now();
        if let Some(copy) = self.copies.get_mut(&generation) {
            copy.drain.get_or_insert_with(|| Drain::new(now));
            copy.progress.get_or_insert(Progress { since: now, next: now + PROGRESS });
        }
    }

    fn tell_progress(&mut self, now: Moment) {
        let limit = self.plan.lifecycle.drain.limit;
        let mut notices = Vec::new();
        for copy in self.copies.values_mut() {
            let Some(progress) = copy.progress.as_mut().filter(|progress| progress.next <= now) else { continue };
            progress.next = now + PROGRESS;
            let one = self.supervisor.generations().find(|one| one.id == copy.generation && one.retiring());
            if let (Some(one), Some(watch)) = (one, copy.drain.as_mut().and_then(|drain| drain.watch.as_mut())) {
                notices.push(Notice::Waiting {
                    generation: copy.generation,
                    waits: watch.look(now, limit + now.since(progress.since)),
                    since: now.since(progress.since),
                    hammer: one.hammer_at.map(|at| at.since(now)),
                });
            }
        }
        self.tell_all(notices);
    }
}

impl Copy {
    fn unwatched(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.watch.is_none())
    }
}

impl Drain {
    /// What a generation has is written down shortly.
    fn new(since: Moment) -> Drain {
        let next = Some(since + SHORT_PAUSE);
        Drain { since, watch: None, asked: None, next, quiet: 0, searched: false, open: None }
    }

    fn due(&self, now: Moment) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}
