//! All listeners together: what the runtime asks for.

use super::bound::{Bound, BoundAddress};
use super::captured::Captured;
use super::change::Sets;
use super::error::BindError;
use super::inherited::Inherited;
use super::limit;
use super::port::{Circumstances, Listener, Made, Port};
use super::programs::Programs;
use super::said;
use super::steered::{NOBODY, Steered};
use super::substitute::Substitute;
use super::unbound::Unbound;
use crate::notice::Notice;
use crate::plan::ListenerSpec;
use crate::sys::socket::accept_queue;
use crate::words::{Failure, GenerationId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Every listener of the plan, in `-l` order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listeners {
    pub(super) list: Vec<Listener>,
    pub(super) sets: Sets,
    /// The generation new connections go to; 0 before the first.
    pub(super) steered_to: GenerationId,
    /// The ports a generation has asked for by itself: those it listens on without having asked were chosen by the kernel.
    pub(super) asked: BTreeSet<(GenerationId, u16)>,
    /// Sockets that were made for copies, which have not listened on them yet.
    pub(super) substitutes: Vec<Substitute>,
    /// Of copies that are not known to serve yet: there are none while endless is upgraded.
    #[serde(skip)]
    pub(super) unbound: Vec<Unbound>,
    /// What a copy has just been refused, and the listener in its way.
    #[serde(skip)]
    pub(super) strange: Option<(Rc<str>, BoundAddress)>,
}

impl Listeners {
    /// Binds all listeners, or none. Each gets its first socket, listening already, so that clients wait in its queue
    /// until the first generation serves. `passed` is what [`super::inherited`] returned.
    ///
    /// # Errors
    /// The first listener that cannot be bound, and why.
    pub fn bind(specs: &[ListenerSpec], passed: &[Inherited]) -> Result<(Listeners, Vec<Notice>), BindError> {
        Listeners::bind_within(specs, passed, limit::hard())
    }

    /// The same under a given hard limit of open files.
    pub(super) fn bind_within(
        specs: &[ListenerSpec],
        passed: &[Inherited],
        files: u64,
    ) -> Result<(Listeners, Vec<Notice>), BindError> {
        let crowded = !limit::room_for_seats(specs.len(), files);
        let around = Circumstances { passed, crowded, programs: Rc::new(Programs::new(specs.len())) };
        let list = Vec::with_capacity(specs.len());
        let sets = Sets { plan: (0..specs.len()).collect(), ..Sets::default() };
        let (substitutes, unbound) = (Vec::new(), Vec::new());
        let mut listeners =
            Listeners { list, sets, steered_to: NOBODY, asked: BTreeSet::new(), substitutes, unbound, strange: None };
        let mut sharing = Vec::with_capacity(specs.len());
        for spec in specs {
            match Listener::bind(spec, &around) {
                Ok((listener, shares)) => {
                    listeners.list.push(listener);
                    sharing.push(shares);
                }
                Err(problem) => {
                    listeners.close();
                    return Err(BindError { flag: spec.flag.to_string(), problem });
                }
            }
        }
        let notices = said::opened(&listeners.list, &sharing);
        Ok((listeners, notices))
    }

    /// After an upgrade of endless: what is not carried over is made again.
    pub fn resume(&mut self) {
        let programs = Rc::new(Programs::new(self.list.len()));
        for listener in &mut self.list {
            if let Port::Steered(steered) = &mut listener.port {
                steered.put_by(&programs);
            }
        }
    }

    /// Whether any listener is one that is handed to the copies.
    #[must_use]
    pub fn any_handed(&self) -> bool {
        self.list.iter().any(|listener| !listener.is_captured())
    }

    /// What is bound, in `-l` order; then what copies have bound.
    pub fn addresses(&self) -> impl Iterator<Item = &Bound> {
        let captured = self.list.iter().filter(|listener| listener.is_captured() && !listener.is_vacant());
        self.planned_addresses().chain(captured.map(|listener| &listener.bound))
    }

    /// What the plan has bound, in `-l` order.
    pub fn planned_addresses(&self) -> impl Iterator<Item = &Bound> {
        self.sets.plan.iter().map(|at| &self.list[at].bound)
    }

    /// Makes a seat for a generation at every listener. The first generation takes the sockets that were bound; a later
    /// one gets no connection before [`Listeners::steer`].
    ///
    /// # Errors
    /// The listener where none could be made. Nothing is left of those made before it.
    pub fn make_seats(&mut self, generation: GenerationId) -> Result<(), Failure> {
        self.recount(|steered| steered.seat(NOBODY).is_none());
        let mut made = Vec::with_capacity(self.sets.plan.iter().len());
        for at in self.sets.plan.iter() {
            let listener = &mut self.list[at];
            match listener.make() {
                Ok(seat) => made.push((at, seat)),
                Err(problem) => {
                    let error = problem.at_seat(&listener.bound.flag);
                    made.into_iter().for_each(|(_, seat)| discard(seat));
                    return Err(error);
                }
            }
        }
        for (at, seat) in made {
            self.list[at].give(generation, seat);
        }
        self.sets.of.insert(generation, self.sets.plan.clone());
        Ok(())
    }

    /// Makes the seats of a generation that has ended, with everybody who waits in their queues, those of another. What
    /// the copy changed about them is put back, but for O_NONBLOCK where they are `held` by a process it has left.
    ///
    /// # Errors
    /// A listener the ended one did not have, and where no seat could be made.
    pub fn move_seats(&mut self, from: GenerationId, to: GenerationId, held: bool) -> Result<(), Failure> {
        self.forget_unfinished(from);
        let had = self.sets.of.remove(&from).unwrap_or_default();
        self.sets.of.insert(to, self.sets.plan.clone());
        for at in 0..self.list.len() {
            let (wanted, inherited) = (self.has(to, at), self.list[at].address.is_none() || had.contains(at));
            let listener = &mut self.list[at];
            match (wanted, inherited) {
                (true, true) => {
                    listener.rename(from, to);
                    listener.restore(to, held);
                }
                (true, false) => {
                    let made = listener.make().map_err(|problem| problem.at_seat(&listener.bound.flag))?;
                    listener.give(to, made);
                }
                (false, true) => self.give_up(at, from),
                (false, false) => {}
            }
        }
        self.close_unused();
        Ok(())
    }

    /// A generation's sockets in `-l` order, shared ones included.
    #[must_use]
    pub fn seats(&self, generation: GenerationId) -> Vec<BorrowedFd<'_>> {
        let own = self.sets.of.get(&generation).unwrap_or(&self.sets.plan).iter();
        own.filter_map(|at| self.list[at].seat(generation)).collect()
    }

    /// True when at least one listener has a seat that only this generation uses.
    #[must_use]
    pub fn has_own_seats(&self, generation: GenerationId) -> bool {
        self.list.iter().any(|listener| listener.own_seat(generation).is_some())
    }

    /// How many connections wait in the generation's own TCP seats; None where it has none.
    #[must_use]
    pub fn queued(&self, generation: GenerationId) -> Option<u32> {
        let seats = self.list.iter().filter(|listener| matches!(listener.bound.address, BoundAddress::Tcp(_)));
        let queues = seats.filter_map(|listener| accept_queue(listener.own_seat(generation)?).ok());
        queues.fold(None, |sum, queue| Some(sum.unwrap_or(0) + queue))
    }

    /// New connections go to this generation from now on. Costs next to nothing where they do already.
    pub fn steer(&mut self, to: GenerationId) -> Vec<Notice> {
        let mut notices = Vec::new();
        let first = std::mem::replace(&mut self.steered_to, to) == NOBODY;
        self.recount(Steered::has_strangers);
        self.recount_captured(Captured::has_strangers);
        for at in 0..self.list.len() {
            // Another generation's, which goes on with it: it is in its plan alone.
            let strange = !self.has(to, at);
            let listener = &mut self.list[at];
            match &mut listener.port {
                _ if strange => {}
                Port::Shared(_) | Port::Name(_) | Port::Closed => {}
                Port::Captured(captured) => {
                    if let Err(errno) = captured.steer(to) {
                        notices.push(said::not_steered(listener, errno));
                    }
                }
                // No copy has had it yet, so nobody can have shut it down.
                Port::Steered(steered) if first && steered.leads_to(to) => {}
                Port::Steered(steered) => {
                    if let Err(errno) = steered.steer(to, &listener.options) {
                        notices.push(said::not_steered(listener, errno));
                    }
                }
                Port::Path(path) => {
                    let custody = path.lead_to(to);
                    notices.extend(said::custody(listener, custody));
                }
            }
        }
        notices
    }

    /// Does what the first copy need not wait for: puts a program on each group that has none yet.
    pub fn complete(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for listener in &mut self.list {
            if let Port::Steered(steered) = &mut listener.port
                && let Err(errno) = steered.complete()
            {
                notices.push(said::not_steered(listener, errno));
            }
        }
        notices
    }

    /// Ends listening on a generation's own seats, so that a copy stuck in a blocking accept(2) wakes up. Shared sockets,
    /// inherited ones and those for datagrams are left alone.
    pub fn shut(&mut self, generation: GenerationId) {
        self.list.iter_mut().for_each(|listener| listener.shut(generation));
    }

    /// Closes a generation's own seats and removes their private names. Does nothing when it has none.
    pub fn release(&mut self, generation: GenerationId) {
        (0..self.list.len()).for_each(|at| self.give_up(at, generation));
        self.forget_unfinished(generation);
        self.sets.of.remove(&generation);
        self.close_unused();
    }

    /// Closes what a generation has bound and not served at.
    fn forget_unfinished(&mut self, generation: GenerationId) {
        self.asked.retain(|(asker, _)| *asker != generation);
        self.substitutes.retain(|one| one.owner != generation);
        self.unbound.retain(|one| one.owner != generation);
    }

    /// Puts O_NONBLOCK, the backlog and listening itself of the shared sockets back to what was asked. To be called only
    /// while no copy lives: they belong to all of them.
    pub fn reset_shared(&self) {
        self.list.iter().for_each(Listener::reset_shared);
    }

    /// Puts back the public Unix paths that a copy unlinked or replaced, and tells which.
    pub fn check_paths(&mut self, active: GenerationId) -> Vec<Notice> {
        self.check_those(active, |_| true)
    }

    /// The same at the listeners of the plan alone. What copies remove of those is put back as soon as they are gone.
    pub fn check_planned_paths(&mut self, active: GenerationId) -> Vec<Notice> {
        self.check_those(active, |listener| !listener.is_captured())
    }

    fn check_those(&mut self, active: GenerationId, which: fn(&Listener) -> bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        for at in 0..self.list.len() {
            let known = self.has(active, at) && which(&self.list[at]);
            let listener = &mut self.list[at];
            if let (true, Port::Path(path)) = (known, &mut listener.port) {
                let custody = path.lead_to(active);
                notices.extend(said::custody(listener, custody));
            }
        }
        notices
    }

    /// Closes everything and removes the Unix paths that still are our own.
    pub fn close(self) {
        for listener in self.list {
            if let Port::Path(path) = listener.port {
                path.close();
            }
        }
    }
}

fn discard(made: Made) {
    if let Made::Named(named) = made {
        named.forget();
    }
}
