//! Listeners that come and go with a restart: each generation has those of its own plan.
//!
//! A listener keeps its place in the list for life, so that a probe can name it; one that is closed leaves the place to the
//! next.

use super::bound::Bound;
use super::error::{BindError, Problem};
use super::inherited::Inherited;
use super::limit;
use super::listeners::Listeners;
use super::places::Places;
use super::port::{Circumstances, Listener, Port};
use super::programs::Programs;
use super::said;
use super::steered::NOBODY;
use crate::notice::Notice;
use crate::plan::{Address, ListenerSpec, SocketOptions};
use crate::words::GenerationId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Which listeners belong to whom.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sets {
    /// Those of the plan, in `-l` order.
    pub(super) plan: Places,
    /// Those of each generation that has any seats.
    pub(super) of: BTreeMap<GenerationId, Places>,
    /// Those of the plan before, while it is not certain that this one stays.
    #[serde(default)]
    pub(super) back: Places,
}

/// How to go back to the plan before.
#[derive(Debug)]
pub struct Change {
    plan: Places,
    before: Vec<(usize, Bound, Rc<SocketOptions>)>,
}

/// The first option that has changed and cannot: new sockets would come into another group of the kernel's, and one socket for
/// all copies is not made again.
fn fixed(listener: &Listener, after: &SocketOptions) -> Option<&'static str> {
    let before: &SocketOptions = &listener.options;
    let one_for_all = match &listener.port {
        Port::Shared(_) => true,
        Port::Path(path) => path.shared,
        _ => false,
    };
    let same = SocketOptions { fd: before.fd, ..after.clone() } == *before;
    let changed = [
        ("share", before.share != after.share),
        ("device", before.device != after.device),
        ("v6only", before.v6only != after.v6only),
        ("an option of a socket that all copies share", one_for_all && !same),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(option, _)| option)
}

impl Listeners {
    /// Makes these the listeners of the next generations: what is not open yet is bound, and the names and options of the
    /// others are the new ones. What is not among them stays open for the generations that have it.
    ///
    /// # Errors
    /// The first that cannot be bound or changed; everything is as it was.
    pub fn change(&mut self, specs: &[ListenerSpec], passed: &[Inherited]) -> Result<(Change, Vec<Notice>), BindError> {
        let known = self.known(specs);
        let open = self.list.iter().filter(|one| !one.is_vacant()).count();
        let new = known.iter().filter(|at| at.is_none()).count();
        let crowded = !limit::room_for_seats(open + new, limit::hard());
        let around = Circumstances { passed, crowded, programs: Rc::new(Programs::new(specs.len())) };
        let mut change = Change { plan: std::mem::take(&mut self.sets.plan), before: Vec::new() };
        self.sets.back = change.plan.clone();
        let mut notices = Vec::new();
        for (spec, known) in specs.iter().zip(known) {
            let at = match known.map(|at| (at, fixed(&self.list[at], &spec.options))) {
                Some((_, Some(option))) => Err(Problem::Fixed(option)),
                Some((at, None)) => {
                    let one = &mut self.list[at];
                    change.before.push((at, one.bound.clone(), one.options.clone()));
                    one.bound = one.bound.renamed(spec);
                    one.options = spec.options.clone();
                    Ok(at)
                }
                None => Listener::bind(spec, &around).map(|(listener, sharing)| {
                    notices.extend(said::opened(std::slice::from_ref(&listener), &[sharing]));
                    self.place(listener)
                }),
            };
            match at {
                Ok(at) => self.sets.plan.push(at),
                Err(problem) => {
                    self.undo(change);
                    return Err(BindError { flag: spec.flag.to_string(), problem });
                }
            }
        }
        Ok((change, notices))
    }

    /// Where each of these is open already. Of several at port 0 it is the one of the same name, else the next.
    fn known(&self, specs: &[ListenerSpec]) -> Vec<Option<usize>> {
        let mut open = self.open();
        let named = |spec: &ListenerSpec| {
            let places = open.get_mut(&spec.address)?;
            let same = places.iter().rposition(|at| self.list[*at].bound.name == spec.name)?;
            Some(places.remove(same))
        };
        let mut known: Vec<Option<usize>> = specs.iter().map(named).collect();
        for (at, spec) in known.iter_mut().zip(specs).filter(|(at, _)| at.is_none()) {
            *at = open.get_mut(&spec.address).and_then(Vec::pop);
        }
        known
    }

    /// Where each address is open; at port 0 there may be several, the first of them last here.
    fn open(&self) -> HashMap<Address, Vec<usize>> {
        let mut places: HashMap<Address, Vec<usize>> = HashMap::with_capacity(self.list.len());
        for (at, one) in self.list.iter().enumerate().rev() {
            if let Some(address) = &one.address {
                places.entry(address.clone()).or_default().push(at);
            }
        }
        places
    }

    /// Goes back: what was bound for the change is closed, as soon as no generation has it.
    pub fn undo(&mut self, change: Change) {
        self.sets.plan = change.plan;
        self.sets.back = Places::default();
        for (at, bound, options) in change.before.into_iter().rev() {
            (self.list[at].bound, self.list[at].options) = (bound, options);
        }
        self.close_unused();
    }

    /// There is no way back from the last change any more.
    pub fn settle(&mut self) {
        self.sets.back = Places::default();
        self.close_unused();
    }

    /// Gives up a generation's seat. Where the plan before is to find its clients again, and no other generation has the
    /// listener, the seat is nobody's for now.
    pub(super) fn give_up(&mut self, at: usize, generation: GenerationId) {
        let others = self.sets.of.iter().filter(|(other, _)| **other != generation);
        let listener = &mut self.list[at];
        if self.sets.back.contains(at)
            && listener.seat(NOBODY).is_none()
            && !others.clone().any(|(_, set)| set.contains(at))
        {
            listener.rename(generation, NOBODY);
            listener.restore(NOBODY, false);
        } else {
            listener.release(generation);
        }
    }

    /// Puts a listener where one was that is closed, or that copies bound and nobody uses any more.
    pub(super) fn place(&mut self, listener: Listener) -> usize {
        match self.list.iter().position(Listener::is_vacant) {
            Some(at) => {
                self.list[at] = listener;
                at
            }
            None => {
                self.list.push(listener);
                self.list.len() - 1
            }
        }
    }

    /// Closes what neither the plan nor a generation has.
    pub(super) fn close_unused(&mut self) {
        for (at, listener) in self.list.iter_mut().enumerate().filter(|(_, listener)| listener.address.is_some()) {
            let sets = [&self.sets.plan, &self.sets.back].into_iter().chain(self.sets.of.values());
            let used = sets.into_iter().any(|set| set.contains(at));
            if !used {
                listener.address = None;
                if let Port::Path(path) = std::mem::replace(&mut listener.port, Port::Closed) {
                    path.close();
                }
            }
        }
    }

    /// True when this generation has the listener at this place; a captured one belongs to all.
    pub(super) fn has(&self, generation: GenerationId, at: usize) -> bool {
        self.list[at].address.is_none() || self.sets.of.get(&generation).is_some_and(|set| set.contains(at))
    }
}
