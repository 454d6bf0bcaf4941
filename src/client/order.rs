//! `endless restart`, `stop`, `hammer`, `signal` and `upgrade`: ask, and wait for the answer. Whoever gives up waiting cancels nothing.

use super::{Error, find, status, tell};
use crate::control::{Answer, Ask};
use crate::plan::{Asking, Task};
use crate::sys::clock;

pub(super) fn give(asking: &Asking) -> Result<(), Error> {
    let (ask, what) = match &asking.task {
        Task::Restart(until) => (Ask::Restart { until: *until }, "restart"),
        Task::Stop => (Ask::Stop, "stop"),
        Task::Hammer => (Ask::Hammer, "hammer"),
        Task::Upgrade => (Ask::Upgrade, "upgrade"),
        Task::Signal(signal) => (Ask::Signal { signal: signal.name() }, "signal"),
        Task::Status { .. } | Task::Starter(_) => return Ok(()),
    };
    let until = asking.timeout.map(|timeout| clock::now() + timeout);
    let late = || {
        let timeout = humantime::format_duration(asking.timeout.unwrap_or_default());
        Error::not_done(format!("{what}: not done after {timeout} (--timeout); it goes on"))
    };
    let mut found = find::one(asking)?;
    let failed = |error: Error| Error::not_done(format!("{what} of {}: {}", found.name, error.message));
    let connection = &mut found.connection;
    connection.ask(ask).map_err(failed)?;
    let answer = connection.answer(until).map_err(failed)?.ok_or_else(late)?;
    if !answer.ok {
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".to_owned());
        return Err(Error::not_done(format!("{what} of {} failed: {reason}", found.name)));
    }
    if asking.task == Task::Stop && !connection.closed(until).map_err(failed)? {
        return Err(late());
    }
    if asking.task == Task::Upgrade
        && let Ok(status) = status::of(connection)
    {
        tell(&format!("{}: endless {} runs\n", found.name, status.endless));
        return Ok(());
    }
    tell(&done(&asking.task, &found.name, &answer));
    Ok(())
}

fn done(task: &Task, name: &str, answer: &Answer) -> String {
    match (task, answer.generation) {
        (Task::Stop, _) => format!("{name} has stopped\n"),
        (Task::Restart(_), Some(generation)) => format!("{name}: generation {generation} serves\n"),
        (Task::Hammer, _) => format!("{name}: nothing is retiring any more\n"),
        _ => format!("{name}: done\n"),
    }
}
