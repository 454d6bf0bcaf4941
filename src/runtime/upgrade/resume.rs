//! The new program's side: it reads what was left, and goes on where the old one has stopped.

use super::Upgrade;
use super::check::{NO, YES};
use super::state::{self, Values};
use crate::notice::Notice;
use crate::plan::Plan;
use crate::runtime::begin::find_manager;
use crate::runtime::hooks::RunningHooks;
use crate::runtime::manager::{Manager, Told};
use crate::runtime::plans::Plans;
use crate::runtime::reload::Source;
use crate::runtime::signals::Signals;
use crate::runtime::{Runtime, requests};
use crate::supervisor::Event;
use crate::sys::{carried, clock, signals};
use crate::words::{Sig, version};
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::mem::forget;
use std::rc::Rc;

/// Answers the program that runs whether this one can take its place: reads a state and makes the plans, and does nothing.
#[must_use]
pub fn rehearse(number: i32) -> String {
    let text = match carried::rehearse(number) {
        Ok(text) => text,
        Err(error) => return format!("{NO}it finds no state ({error})\n"),
    };
    let answer = state::read(&text).and_then(|(_, mut values)| {
        let _there = values.home.enter();
        let source = source(&mut values);
        let made =
            [&values.plan].into_iter().chain(values.plans.values()).try_for_each(|one| source.remake(one).map(drop));
        // Nothing of this is ours.
        forget(values);
        made
    });
    match answer {
        Ok(()) => format!("{YES}\n"),
        Err(why) => format!("{NO}{}\n", why.replace('\n', "; ")),
    }
}

/// Takes over what the program before this one has left. All signals are blocked; those with handlers are not when it returns.
///
/// # Errors
/// What [`rehearse`] would have said.
pub fn resume(text: &[u8]) -> Result<Runtime> {
    let (before, mut values) = state::read(text).map_err(|why| anyhow!(why))?;
    clock::leave_out_more(values.left_out);
    let source = source(&mut values);
    source.passed.iter().for_each(|passed| carried::leave(passed.number));
    let there = values.home.enter();
    let plan = source.remake(&values.plan).map_err(|why| anyhow!(why))?;
    let mut plans = Plans::new(source);
    plans.remake(&values.plans).map_err(|why| anyhow!(why))?;
    drop(there);
    plans.descriptors(&plan).for_each(carried::leave);
    values.inherited.ignore_file_limit();
    let mut runtime = runtime(plan, plans, values).context("signals")?;
    carried::finish();
    runtime.tell(&Notice::Upgraded { from: before, to: version().to_owned() });
    runtime.events.push_back(Event::Upgraded(Ok(())));
    runtime.watch_as_planned();
    // What ended meanwhile is found here; the signal that said so may have been thrown away.
    runtime.reap();
    signals::hear(&runtime.inherited);
    Ok(runtime)
}

fn manager(told: Option<Told>) -> Option<Manager> {
    let mut manager = find_manager()?;
    if let Some(told) = told {
        manager.resume(told);
    }
    Some(manager)
}

fn source(values: &mut Values) -> Source {
    Source { args: std::mem::take(&mut values.args), passed: std::mem::take(&mut values.passed) }
}

/// A generation of another plan may serve again, so the signals of all are heard.
fn runtime(plan: Plan, plans: Plans, values: Values) -> std::io::Result<Runtime> {
    let (mut inherited, mut listeners, signals) = (values.inherited, values.listeners, Signals::prepare()?);
    let handled: Vec<Sig> = plans.all(&plan).flat_map(requests::handled).collect();
    inherited.will_change(&handled);
    signals.install(&handled)?;
    listeners.resume();
    Ok(Runtime {
        held: listeners.planned_addresses().cloned().collect(),
        plan: Rc::new(plan),
        plans,
        listeners,
        inherited,
        file_limit: values.file_limit,
        reporter: values.reporter,
        supervisor: values.supervisor,
        copies: values.copies,
        captures: values.captures,
        capture_told: values.capture_told,
        pids: values.pids,
        signals,
        notify_place: values.notify_place,
        hooks: RunningHooks::default(),
        control: values.control,
        output: values.output,
        manager: manager(values.manager),
        waiting: None,
        pid_file: values.pid_file,
        status_file: values.status_file,
        home: values.home,
        upgrade: Upgrade::No,
        watching: None,
        began: values.began,
        decided: values.decided,
        counted: None,
        events: VecDeque::new(),
        last_ticket: values.last_ticket,
        fd_store: values.fd_store,
        checks: BTreeSet::new(),
        expects: values.expected,
        first_to_say: values.first_to_say,
        forget: None,
        look_again: values.look_again,
        told: values.told,
        failed: values.failed,
        status_told: clock::now(),
        finish: None,
        awake: true,
        rested: None,
    })
}
