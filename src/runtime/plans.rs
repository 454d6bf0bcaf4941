//! The plans beside the one in force (`--config`): the candidate's, and that of every generation that was started under
//! another file.

use super::Runtime;
use super::reload::Source;
use crate::listener::Change;
use crate::plan::{Control, ListenerSpec, Plan, Sign};
use crate::words::GenerationId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::rc::Rc;

/// What a plan can be made of again, beside the command line: it may have been read from files that say something else now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remade {
    pub(super) name: String,
    pub(super) control: Control,
    pub(super) configuration: Option<Vec<u8>>,
}

impl Remade {
    pub(super) fn of(plan: &Plan) -> Remade {
        Remade { name: plan.name.clone(), control: plan.control.clone(), configuration: plan.configuration.clone() }
    }
}

/// The plans beside the one in force.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) source: Source,
    /// The candidate's, until it is active.
    pub(super) next: Option<(Rc<Plan>, Change)>,
    /// That under which each living generation was started; none where there is only one.
    pub(super) of: BTreeMap<GenerationId, Rc<Plan>>,
}

impl Plans {
    pub(super) fn new(source: Source) -> Plans {
        Plans { source, next: None, of: BTreeMap::new() }
    }

    /// All of them, with the one in force.
    pub(super) fn all<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a Plan> {
        self.of.values().chain(self.next.iter().map(|(next, _)| next)).map(Rc::as_ref).chain([plan])
    }

    /// Those of the generations.
    pub(super) fn remade(&self) -> BTreeMap<GenerationId, Remade> {
        self.of.iter().map(|(generation, plan)| (*generation, Remade::of(plan))).collect()
    }

    /// The descriptors endless was started with that a plan names, this one or a generation's.
    pub(super) fn descriptors<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = i32> + 'a {
        self.all(plan).flat_map(|plan| plan.listeners.iter().filter_map(ListenerSpec::descriptor))
    }

    /// Makes them again.
    pub(super) fn remake(&mut self, all: &BTreeMap<GenerationId, Remade>) -> Result<(), String> {
        for (generation, one) in all {
            self.of.insert(*generation, Rc::new(self.source.remake(one)?));
        }
        Ok(())
    }
}

/// What a program is known by: its name, and how it is told about its sockets.
fn target(plan: &Plan) -> String {
    let program = plan.command.first().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
    let protocols: String = plan.handoff.protocols.iter().map(|protocol| format!(" {protocol}")).collect();
    format!("{}{protocols}", program.to_string_lossy())
}

impl Runtime {
    /// The plan a generation was started under.
    pub(super) fn plan_of(&self, generation: GenerationId) -> Rc<Plan> {
        Rc::clone(self.plans.of.get(&generation).unwrap_or(&self.plan))
    }

    /// What says how a generation ends: for an older one the plan in force, where that is about the same program; else its
    /// own, for another program's signals mean something else to it.
    pub(super) fn plan_at_end(&self, generation: GenerationId) -> Rc<Plan> {
        let own = self.plan_of(generation);
        let older = self.supervisor.active().is_some_and(|active| generation < active);
        if older && target(&own) == target(&self.plan) { Rc::clone(&self.plan) } else { own }
    }

    /// What this generation's program has said before: that is expected of it again.
    pub(super) fn expected_of(&self, generation: GenerationId) -> Option<Sign> {
        self.expects.get(&target(&self.plan_of(generation))).copied()
    }

    /// This generation's program says in this way that it serves.
    pub(super) fn expect(&mut self, generation: GenerationId, sign: Sign) {
        let target = target(&self.plan_of(generation));
        if let Entry::Vacant(first) = self.expects.entry(target) {
            self.first_to_say.insert(generation, first.key().clone());
            first.insert(sign);
        }
    }

    /// It has failed, or crashed before it was proven: what it was the first to say is expected of nobody, for the next one may
    /// be of the release before.
    pub(super) fn unsay(&mut self, generation: GenerationId) {
        if let Some(target) = self.first_to_say.remove(&generation) {
            self.expects.remove(&target);
        }
    }
}
