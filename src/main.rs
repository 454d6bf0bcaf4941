//! `endless`: parse, plan, bind, run. A table of contents.

// A test harness brings a `main` of its own.
#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code, reason = "only the program itself begins"))]

use anyhow::{Context, Result};
use endless::cli::{self, Args, ClientArgs, Invocation};
use endless::client;
use endless::listener::{self, Listeners};
use endless::notice::{Level, Notice};
use endless::plan::{Asking, EventsTo, InheritedSocket, Plan, Surroundings, Task, presets, show};
use endless::report::{Pids, Reporter, Sink};
use endless::runtime::{
    Means, Runtime, control, detach, home::Home, pid_file::PidFile, reload::Source, status_file::StatusFile, upgrade,
    watch,
};
use endless::spawn::{self, Inherited};
use endless::sys::carried;
use endless::sys::signals::{self, AllBlocked};
use endless::words::{CODE_FAILURE, CODE_USAGE, Sig};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The variables endless was started with.
type Environment = Vec<(OsString, OsString)>;

#[cfg(not(test))]
endless::begin_with!(begin);

fn begin() -> u8 {
    let inherited = Inherited::capture();
    if let Some(state) = carried::arrive() {
        return resume(state).unwrap_or_else(|error| fail(&error));
    }
    let environment: Vec<_> = std::env::vars_os().collect();
    let code = match cli::parse(std::env::args_os(), &environment) {
        Ok(Invocation::Run(args)) => run(&args, inherited, environment),
        Ok(Invocation::Check(args)) => check(&args, environment),
        Ok(Invocation::Ask(args)) => ask(&args),
        Ok(Invocation::Exec(command)) => Ok(exec(&command)),
        Ok(Invocation::Presets) => answer(&presets::table()),
        Ok(Invocation::Rehearse(state)) => answer(&upgrade::rehearse(state)),
        Ok(Invocation::Print(text)) => answer(&text),
        Err(error) => Ok(complain(&error, CODE_USAGE)),
    };
    code.unwrap_or_else(|error| fail(&error))
}

fn fail(error: &anyhow::Error) -> u8 {
    let code = error.downcast_ref::<endless::plan::Error>().map_or(CODE_FAILURE, |error| error.code);
    complain(&format_args!("{error:#}"), code)
}

fn open_events(events: &EventsTo) -> Result<Sink> {
    match events {
        EventsTo::File(path) => open_sink("--events", path),
        EventsTo::Descriptor(number) => {
            let taken = endless::sys::socket::duplicate(*number).with_context(|| format!("--events fd:{number}"))?;
            Ok(Sink::of(taken))
        }
    }
}

fn open_sink(flag: &str, path: &Path) -> Result<Sink> {
    Sink::open(path).with_context(|| format!("{flag} {}", path.display()))
}

/// An older endless has executed this one in its place (`endless upgrade`).
fn resume(state: std::io::Result<Vec<u8>>) -> Result<u8> {
    let runtime = state.map_err(Into::into).and_then(|state| upgrade::resume(&state));
    Ok(runtime.context("this endless was to take over from another")?.run())
}

/// The main job. Everything is checked, locked and bound before the first process starts.
fn run(args: &Args, mut inherited: Inherited, environment: Environment) -> Result<u8> {
    let passed = listener::inherited();
    let plan = plan(args, &passed, environment)?;
    inherited.ignore_file_limit();
    if !plan.files.detach {
        return run_plan(plan, &passed, inherited, None);
    }
    detach::detach(|waiting| run_plan(plan, &passed, inherited, Some(waiting)).unwrap_or_else(|error| fail(&error)))
}

fn run_plan(plan: Plan, passed: &[listener::Inherited], inherited: Inherited, waiting: Option<OwnedFd>) -> Result<u8> {
    let file_limit = Some(listener::raise_file_limit());
    // A signal that comes from here on waits until there is a handler, for at the default ones' hands we would leave files.
    let blocked = AllBlocked::new();
    let pid_file = plan.pid_file.as_deref().map(PidFile::claim).transpose()?;
    let status_file = plan.status_file.as_deref().map(StatusFile::claim).transpose()?;
    let (listeners, notices) = Listeners::bind(&plan.listeners, passed)?;
    let home = Home::read();
    // After the listeners: each has the number then that it has in the copies, and of thousands none has to be moved.
    let Opened { control, watching, log, output, events } = match open(&plan, &home, waiting.is_some()) {
        Ok(opened) => opened,
        Err(error) => {
            listeners.close();
            return Err(error);
        }
    };
    let reporter = Reporter::new(plan.output, std::env::var("JOURNAL_STREAM").ok().as_deref());
    let reporter = reporter.into_files(log, events);
    notices.iter().for_each(|notice| reporter.tell(notice, &Pids::new()));
    if let Err(errno) = spawn::become_subreaper() {
        let text =
            format!("processes that leave a copy's tree cannot be kept track of (PR_SET_CHILD_SUBREAPER: {errno})");
        reporter.tell(&Notice::Note { level: Level::Problem, text }, &Pids::new());
    }
    let source = Source { args: std::env::args_os().collect(), passed: passed.to_vec() };
    let mut runtime = Runtime::new(
        plan,
        Means {
            listeners,
            inherited,
            file_limit,
            reporter,
            control,
            source,
            pid_file,
            status_file,
            home,
            watching,
            output,
            waiting,
        },
    )?;
    runtime.begin(blocked)?;
    Ok(runtime.run())
}

/// What is opened beside the listeners.
struct Opened {
    control: Option<control::Control>,
    watching: Option<watch::Watching>,
    log: Option<Sink>,
    output: Option<Sink>,
    events: Option<Sink>,
}

fn open(plan: &Plan, home: &Home, detached: bool) -> Result<Opened> {
    let sink = |flag, path: &Option<PathBuf>| path.as_deref().map(|path| open_sink(flag, path)).transpose();
    let opened = Opened {
        control: control::open(&plan.control)?,
        watching: watch::open(plan, home)?,
        log: sink("--log-file", &plan.files.log)?,
        output: sink("--output", &plan.files.output)?,
        events: plan.files.events.as_ref().map(open_events).transpose()?,
    };
    if detached {
        detach::let_go()?;
    }
    Ok(opened)
}

fn plan(args: &Args, passed: &[listener::Inherited], environment: Environment) -> Result<Plan> {
    let socket = |one: &listener::Inherited| InheritedSocket { fd: one.number, name: one.name.clone() };
    let around = Surroundings {
        inherited: passed.iter().map(socket).collect(),
        // A [::] that cannot be bound all the same becomes 0.0.0.0 when it is bound.
        ipv6: listener::has_ipv6,
        environment,
    };
    Ok(Plan::new(args, &around)?)
}

/// `endless check`: says what would run.
fn check(args: &Args, environment: Environment) -> Result<u8> {
    let plan = plan(args, &listener::inherited(), environment.clone())?;
    answer(&show::render(&plan, &environment))
}

/// `endless status`, `restart` and the other words for a running one.
fn ask(args: &ClientArgs) -> Result<u8> {
    let asking = Asking::new(args)?;
    if !matches!(asking.task, Task::Status { .. }) {
        // `pkill -HUP endless` finds who waits here, too, and does not mean it.
        [Sig::HUP, Sig::USR1, Sig::USR2].into_iter().for_each(signals::ignore);
    }
    Ok(client::ask(&asking).unwrap_or_else(|error| complain(&error, error.code)))
}

/// `endless exec`: returns only when it fails.
fn exec(command: &[OsString]) -> u8 {
    match spawn::exec(command) {
        Ok(never) => match never {},
        Err(error) => complain(&format_args!("exec: {error}"), error.exit_code()),
    }
}

fn answer(text: &str) -> Result<u8> {
    client::print(text)?;
    Ok(0)
}

fn complain(error: &dyn std::fmt::Display, code: u8) -> u8 {
    // The exit status says it, too.
    let _ = writeln!(std::io::stderr(), "endless: {error}");
    code
}
