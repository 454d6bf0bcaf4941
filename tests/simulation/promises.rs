//! The promises an action can break, checked at each action.

use crate::ledger::{Kept, Ledger, Owned, Seen, promise};
use endless::plan::{Respawn, SignalAction};
use endless::supervisor::{Action, HookRun, Outcome, Seats, StopReason, Ticket, Wait};
use endless::words::{GenerationId, HookPoint};
use std::time::Duration;

impl Ledger {
    /// Checks an action against the book, then writes it down.
    pub fn check(&mut self, action: &Action) -> Kept {
        let report = matches!(action, Action::Report(_));
        promise(8, self.finished.is_none() || report, || "something was done after Finish".into())?;
        match action {
            Action::RunHooks { run, point, .. } => self.hooks_run(*run, *point),
            Action::Spawn { generation, seats } => self.spawn(*generation, *seats),
            Action::Steer(id) => self.steer(*id),
            Action::Drain(id) => self.drain(*id),
            Action::Stop(id, reason) => self.stop(*id, *reason),
            Action::ShutSeats(id) => self.shut(*id),
            Action::Kill(id) => self.kill(*id),
            Action::Release(id) => self.release(*id),
            Action::Forward(id, _) => self.forward(*id),
            Action::Answer(ticket, outcome) => self.answer(*ticket, outcome),
            Action::Report(_) | Action::Reread | Action::Upgrade | Action::Reopen | Action::Suspend => Ok(()),
            Action::Finish(code) => self.finish(*code),
        }
    }

    fn hooks_run(&mut self, run: HookRun, point: HookPoint) -> Kept {
        let fresh = self.hooks.insert(run, point).is_none();
        promise(0, fresh, || format!("hook run {} was used twice", run.0))
    }

    fn spawn(&mut self, id: GenerationId, seats: Seats) -> Kept {
        let first = self.generations.is_empty();
        let newest = self.generations.keys().next_back().is_none_or(|newest| *newest < id);
        promise(0, newest, || format!("generation {id} is spawned after a newer one"))?;
        promise(5, self.stop_since.is_none(), || format!("generation {id} is started after a stop"))?;
        promise(9, !self.dark, || format!("generation {id} is started after the listeners were closed"))?;
        promise(3, self.candidate().is_none(), || format!("generation {id} is a second candidate"))?;
        promise(0, self.begins > 0, || format!("generation {id} is started although no begin hooks agreed"))?;
        self.begins -= 1;
        if !first && !self.restart_wanted() {
            self.spawn_unasked(id)?;
        }
        self.give_seats(id, seats, first)?;
        self.generations.insert(id, Seen::new(self.now, self.step));
        Ok(())
    }

    /// A start nobody asked for: only when nothing serves, and as `--respawn` says.
    fn spawn_unasked(&self, id: GenerationId) -> Kept {
        promise(3, self.serving().is_none(), || format!("generation {id}: nobody asked for it and another serves"))?;
        let allowed = match self.policy.respawn {
            Respawn::Never => false,
            Respawn::Always => true,
            Respawn::OnFailure => !self.clean_end || self.codes.first() != Some(&0),
        };
        let soonest = self.last_end.map(|end| end + Duration::from_millis(100));
        let early = soonest.is_some_and(|soonest| self.now < soonest);
        promise(7, !early, || format!("generation {id} is a respawn without its delay"))?;
        promise(5, allowed, || format!("generation {id} is a respawn against --respawn"))?;
        promise(5, !self.gave_up, || format!("generation {id} is a respawn over --respawn-limit"))
    }

    fn give_seats(&mut self, id: GenerationId, seats: Seats, first: bool) -> Kept {
        let Seats::Of(from) = seats else {
            let queue = self.steered.filter(|_| self.serving().is_none());
            let lost = queue.filter(|queue| self.generations[queue].seats == Owned::Here);
            if first {
                self.steered = Some(id);
            }
            return promise(9, lost.is_none(), || format!("generation {id} leaves the queue of an ended one behind"));
        };
        let steered = self.steered == Some(from);
        let Some(owner) = self.generations.get_mut(&from) else {
            return promise(0, false, || format!("seats of {from}, which never was"));
        };
        promise(0, owner.ended(), || format!("generation {id} takes the seats of {from}, which lives"))?;
        promise(0, owner.seats == Owned::Here, || format!("generation {from} has no seats to give to {id}"))?;
        promise(9, !owner.shut, || format!("generation {id} takes the seats of {from}, which were shut down"))?;
        owner.seats = Owned::Moved;
        if steered {
            self.steered = Some(id);
        }
        Ok(())
    }

    /// Nothing is done to what is gone, killed, or was never there.
    fn present(&mut self, id: GenerationId, what: &str) -> Result<&mut Seen, crate::ledger::Broken> {
        let there = self.generations.get_mut(&id).filter(|seen| !seen.gone);
        let Some(seen) = there else {
            return Err(crate::ledger::Broken(5, format!("{what} generation {id}, which is gone")));
        };
        promise(5, seen.kill.is_none(), || format!("{what} generation {id}, which was killed"))?;
        Ok(seen)
    }

    fn steer(&mut self, id: GenerationId) -> Kept {
        let nobody = self.serving().is_none();
        let now = self.now;
        let seen = self.present(id, "steer to")?;
        promise(10, !seen.ended(), || format!("new connections go to generation {id}, which has ended"))?;
        promise(2, !seen.told(), || format!("new connections go to generation {id}, which was told to stop"))?;
        let ready = seen.ready.is_some();
        promise(1, ready || nobody, || format!("new connections go to generation {id}, which is not ready"))?;
        // Handed back: its retirement has not taken place.
        seen.drain = None;
        seen.alive = seen.alive.map(|_| now);
        promise(0, self.steered != Some(id), || format!("new connections go to generation {id} already"))?;
        self.steered = Some(id);
        Ok(())
    }

    /// Promises 1 and 2: what serves is not taken away before another has the new connections.
    fn spared(&self, id: GenerationId, what: &str) -> Kept {
        let takes_it_away = self.generations[&id].serving() && !self.stop_maybe();
        let other = self.steered.filter(|other| *other != id && self.generations[other].serving());
        promise(2, !takes_it_away || other.is_some(), || format!("{what} generation {id}, the only one that serves"))
    }

    fn drain(&mut self, id: GenerationId) -> Kept {
        let now = self.now;
        self.spared(id, "drain")?;
        self.guarded(id)?;
        let seen = self.present(id, "drain")?;
        promise(0, seen.drain.is_none(), || format!("generation {id} is drained twice"))?;
        promise(0, seen.serving(), || format!("generation {id} is drained and does not serve"))?;
        seen.drain = Some(now);
        Ok(())
    }

    fn stop(&mut self, id: GenerationId, reason: StopReason) -> Kept {
        let now = self.now;
        let asked = self.stop_maybe() || !self.codes.is_empty();
        promise(2, reason != StopReason::Stopped || asked, || format!("generation {id} is stopped and nobody asked"))?;
        self.present(id, "stop")?;
        if reason == StopReason::Stopped && self.stop_maybe() {
            self.stop_now();
        }
        self.spared(id, "stop")?;
        if reason == StopReason::Retired {
            self.guarded(id)?;
        }
        let seen = self.present(id, "stop")?;
        if reason == StopReason::Survived {
            promise(0, seen.ended(), || format!("generation {id} lives and its survivors are stopped"))?;
            promise(5, seen.survived.is_none(), || format!("survivors of generation {id} are stopped twice"))?;
            seen.survived = Some(now);
            return Ok(());
        }
        promise(5, !seen.ended(), || format!("stop generation {id}, which has ended"))?;
        let retired = reason == StopReason::Stopped && seen.stop.is_some() && !seen.stopped_too;
        promise(5, seen.stop.is_none() || retired, || format!("generation {id} is stopped twice"))?;
        seen.stopped_too = reason == StopReason::Stopped;
        seen.stop.get_or_insert(now);
        Ok(())
    }

    /// The probation: the newest guard is kept whole until it is over, or until another success makes a new guard.
    fn guarded(&self, id: GenerationId) -> Kept {
        let Some(active) = self.steered.filter(|_| !self.stop_maybe()) else { return Ok(()) };
        let begun = self.generations[&active].ready.unwrap_or(self.now);
        let over = self.now.since(begun) >= self.policy.probation;
        let newer_guard =
            self.generations.range(id..active).skip(1).any(|(_, seen)| seen.ready.is_some() && !seen.ended());
        let draining = self.generations[&id].drain.is_some();
        promise(1, over || newer_guard || draining, || {
            format!("generation {id} retires before the probation of {active} is over")
        })
    }

    fn shut(&mut self, id: GenerationId) -> Kept {
        let queue = self.steered == Some(id) && !self.stop_maybe() && self.codes.is_empty();
        promise(9, !queue, || format!("the seats of {id} are shut down and new connections go there"))?;
        let seen = self.present(id, "shut the seats of")?;
        promise(0, seen.stop.is_some(), || format!("the seats of {id} are shut down before its stop signal"))?;
        promise(9, seen.seats == Owned::Here, || format!("the seats of {id} are shut down; a successor has them"))?;
        seen.shut = true;
        Ok(())
    }

    fn kill(&mut self, id: GenerationId) -> Kept {
        let now = self.now;
        self.present(id, "kill")?;
        let stuck = self.stuck(id);
        if !stuck {
            self.spared(id, "kill")?;
            self.patient(id)?;
        }
        let seen = self.seen(id);
        seen.kill = Some(now);
        seen.killed_alive = !seen.ended();
        if stuck {
            self.note_stuck(now);
        }
        let seen = self.seen(id);
        if seen.ready.is_none() && seen.exited.is_none() {
            self.ended_with(125);
        }
        Ok(())
    }

    /// It has the new connections, and has not said in time that it is alive, or has said that it is stuck.
    fn stuck(&self, id: GenerationId) -> bool {
        let seen = &self.generations[&id];
        let silent = self.policy.watchdog.zip(seen.alive).is_some_and(|(interval, alive)| self.now >= alive + interval);
        (silent || seen.tripped) && seen.serving() && self.steered == Some(id)
    }

    /// The hammer comes when its time has come, when somebody asks for it, or when too many retire.
    fn patient(&self, id: GenerationId) -> Kept {
        let seen = &self.generations[&id];
        let begun = seen.retiring();
        let due = begun.is_some_and(|begun| self.policy.hammer.is_some_and(|hammer| self.now >= begun + hammer));
        let failed = seen.ready.is_none();
        let retiring = self.generations.values().filter(|seen| seen.retiring().is_some()).count();
        let oldest = self.generations.range(..id).all(|(_, older)| older.retiring().is_none());
        let surplus = oldest && retiring > self.policy.max_retiring;
        let asked = self.hammer_now && begun.is_some();
        let stop_twice = self.stops_asked >= 2;
        promise(2, due || failed || surplus || asked || stop_twice, || {
            format!("generation {id} is killed before its time")
        })
    }

    fn release(&mut self, id: GenerationId) -> Kept {
        let steered = self.steered == Some(id);
        let Some(seen) = self.generations.get_mut(&id) else {
            return promise(0, false, || format!("seats of {id}, which never was, are released"));
        };
        promise(9, seen.gone, || format!("the seats of {id} are released and it is not gone"))?;
        promise(0, seen.seats == Owned::Here, || format!("the seats of {id} are not its own to release"))?;
        seen.seats = Owned::Released;
        self.dark |= steered;
        Ok(())
    }

    fn forward(&mut self, id: GenerationId) -> Kept {
        let seen = self.present(id, "forward to")?;
        promise(5, !seen.ended(), || format!("forward to generation {id}, which has ended"))
    }

    fn answer(&mut self, ticket: Ticket, outcome: &Outcome) -> Kept {
        let Some(asked) = self.asked.get_mut(&ticket) else {
            return promise(8, false, || format!("ticket {} is answered and was never asked", ticket.0));
        };
        promise(8, !asked.answered, || format!("ticket {} is answered twice", ticket.0))?;
        asked.answered = true;
        let done = matches!(outcome, Outcome::Done(_)) && asked.request.what != SignalAction::Stop;
        let signal = asked.request.signal.filter(|_| done);
        let asks = signal.filter(|_| self.bereft < asked.step);
        let skipped = asks.filter(|signal| self.agreed.get(signal).is_none_or(|step| *step < asked.step));
        promise(0, skipped.is_none(), || format!("ticket {} is done without the pre hooks of its signal", ticket.0))?;
        let wait = asked.request.wait;
        let (Outcome::Done(generation), SignalAction::Restart, step) = (outcome, asked.request.what, asked.step) else {
            return Ok(());
        };
        let seen = generation.and_then(|id| self.generations.get(&id));
        let good = seen.is_some_and(|seen| seen.spawned_at_step >= step && seen.ready.is_some());
        let replaced = wait == Wait::Gone && self.steered > *generation;
        let alive = replaced || seen.is_some_and(|seen| !seen.ended());
        promise(8, alive, || format!("restart {} is done by {generation:?}, which has ended", ticket.0))?;
        let older = generation.and_then(|id| self.generations.range(..id).find(|(_, seen)| !seen.gone));
        let early = older.filter(|_| wait == Wait::Gone).map(|(id, _)| id);
        promise(8, early.is_none(), || format!("restart {} is done and {early:?} is not gone", ticket.0))?;
        promise(3, good, || format!("restart {} is done by {generation:?}, started before it was asked for", ticket.0))
    }

    fn finish(&mut self, code: u8) -> Kept {
        for (id, seen) in &self.generations {
            promise(8, seen.gone, || format!("Finish while generation {id} is not gone"))?;
            promise(9, seen.seats != Owned::Here, || {
                format!("Finish and the seats of generation {id} are not released")
            })?;
        }
        let open = self.unanswered().next().map(|asked| asked.request);
        promise(8, open.is_none(), || format!("Finish without an answer to {open:?}"))?;
        let expected = self.expected_codes();
        promise(8, expected.contains(&code), || format!("Finish with {code}; expected one of {expected:?}"))?;
        self.finished = Some(code);
        Ok(())
    }

    /// The exit statuses SPEC allows here.
    fn expected_codes(&self) -> Vec<u8> {
        let ended_before = self.codes.first().copied();
        let Some(served) = self.served_at_stop else {
            // Nothing served: a stop gives 0, an end of its own the code of that end.
            let stopped = (self.stops_asked > 0).then_some(0);
            return stopped.into_iter().chain(ended_before).collect();
        };
        let seen = &self.generations[&served];
        match seen.kill {
            Some(_) if seen.killed_alive => vec![137],
            Some(_) => vec![0, 137],
            None => vec![0],
        }
    }
}
