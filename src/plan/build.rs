//! From arguments to a plan: everything is read, resolved and checked here, before anything is bound or started.

use super::error::{Error, Fault, Origin};
use super::protocol::GOAGAIN_SIGNAL;
use super::surroundings::Surroundings;
use super::{
    Control, Hooks, Lifecycle, ListenerSpec, LogFormat, Output, Plan, Protocol, ReadyMode, Retirement, SignalTable,
    StdinFrom, capture, command, environment, files, handing, lifecycle, listener, presets, process, readiness, value,
    watch,
};
use crate::cli::Args;
use crate::control;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

impl Plan {
    /// Reads, resolves and checks everything that was asked for.
    ///
    /// # Errors
    /// The first value that is wrong, that contradicts another, or that names what is not there.
    pub fn new(args: &Args, around: &Surroundings) -> Result<Plan, Error> {
        Plan::made(args, around, files::check_own)
    }

    /// The same once endless runs: the files it writes itself are open, wherever it is by now.
    ///
    /// # Errors
    /// As for [`Plan::new`].
    pub fn again(args: &Args, around: &Surroundings) -> Result<Plan, Error> {
        Plan::made(args, around, |_| Ok(()))
    }

    fn made(args: &Args, around: &Surroundings, own: fn(&Plan) -> Result<(), Error>) -> Result<Plan, Error> {
        let (filled, preset) = presets::apply(args)?.unzip();
        let args = filled.as_ref().unwrap_or(args);
        let plan = read(args, around, preset).and_then(|plan| {
            own(&plan)?;
            check(&plan, args)?;
            find_command(&plan, around)?;
            Ok(plan)
        });
        plan.map_err(|error| {
            let name = error.flag.trim_start_matches('-');
            let among = |list: &[String]| list.iter().any(|known| known == name);
            let (origin, place) = match (&args.listeners.preset, &args.output.config) {
                (Some(preset), _) if among(&args.from_preset) => (Origin::Preset, preset.as_str().into()),
                _ if among(&args.from_environment) => (Origin::Variable, Box::default()),
                (_, Some(path)) if among(&args.from_file) => (Origin::File, path.to_string_lossy().into()),
                _ => (Origin::Line, Box::default()),
            };
            Error { origin, place, ..error }
        })
    }
}

fn read(args: &Args, around: &Surroundings, preset: Option<presets::Applied>) -> Result<Plan, Error> {
    let mut listeners = listener::list::read(&args.listeners.listen, around)?;
    presets::apply_to_listeners(preset.as_ref(), &mut listeners);
    let signals = SignalTable::read(&args.signals)?;
    let mut handoff = handing::read(args, &listeners)?;
    let readiness = readiness::read(&args.readiness, &listeners, &handoff, around.ipv6)?;
    handoff.ready_at = readiness.descriptor();
    let mut hooks = Hooks::read(&args.signals, &signals)?;
    hooks.list.extend(watch::exec(&args.watch)?);
    let name = name(args)?;
    let lifecycle = lifecycle::read(&args.readiness, &args.retirement)?;
    Ok(Plan {
        control: control(args, &name, around)?,
        name,
        command: args.command.clone(),
        capture: capture::read(args.listeners.capture.as_deref(), &listeners, capture::takes_sockets(args, &handoff))?,
        readiness,
        preset,
        listeners,
        lifecycle: Lifecycle { rereads: args.output.config.is_some(), ..lifecycle },
        retirement: Retirement::read(&args.retirement, || handoff.stop_signal().map_err(|fault| at_pass(fault, args)))?,
        handoff,
        hooks,
        signals,
        process: process::read(&args.process, args.readiness.orphans.as_deref())?,
        watch: watch::paths(&args.watch)?,
        pid_file: file("--pid-file", args.output.pid_file.as_deref())?,
        status_file: file("--status-file", args.output.status_file.as_deref())?,
        files: files::read(&args.output)?,
        configuration: args.configuration.clone(),
        output: output(args)?,
    })
}

fn at_pass(fault: Fault, args: &Args) -> Error {
    fault.at("--pass", args.listeners.pass.as_deref().unwrap_or_default())
}

fn name(args: &Args) -> Result<String, Error> {
    if let Some(name) = &args.output.name {
        if listener::text::is_name(name) {
            return Ok(name.clone());
        }
        let fault = Fault::new("this cannot be a name", "1 to 255 letters, digits, `_`, `.` and `-`");
        return Err(fault.at("--name", name));
    }
    let command = args.command.first().map(Path::new).and_then(Path::file_name).unwrap_or(OsStr::new("target"));
    let keep = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    Ok(command.to_string_lossy().chars().map(keep).take(255).collect())
}

/// A file endless is going to write.
pub(super) fn file(flag: &str, path: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    match path {
        Some(path) if path.as_os_str().is_empty() => {
            Err(Fault::new("there is no file name", "/run/app.pid, for example").at(flag, ""))
        }
        path => Ok(path.map(Path::to_path_buf)),
    }
}

/// The longest path a socket can have: sun_path holds 108 bytes with the final NUL (unix(7)).
const LONGEST_PATH: usize = 107;

fn control(args: &Args, name: &str, around: &Surroundings) -> Result<Control, Error> {
    let given = args.output.control.as_deref();
    if given == Some(Path::new("none")) {
        return Ok(Control::None);
    }
    let path = match file("--control", given)? {
        Some(path) => path,
        None => {
            let runtime = around.environment.iter().find(|(known, _)| known == "XDG_RUNTIME_DIR");
            let directories = control::directories(runtime.map(|(_, value)| value.as_os_str()));
            let path = directories.first().map(|dir| control::in_directory(dir, name));
            return Ok(match path {
                Some(path) if args.output.name.is_some() => Control::Named(path),
                path => Control::Default(path),
            });
        }
    };
    if path.as_os_str().len() > LONGEST_PATH {
        let fault = Fault::new(format!("the path of a socket has at most {LONGEST_PATH} bytes"), "a shorter path");
        return Err(fault.at("--control", path.to_string_lossy()));
    }
    Ok(Control::At(path))
}

fn output(args: &Args) -> Result<Output, Error> {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = value::or("--log-format", args.output.log_format.as_deref(), LogFormat::Text, |text| {
        value::one_of(text, &formats)
    })?;
    let typed = |name: &str| !args.from_environment.iter().any(|known| known == name);
    let more = i8::try_from(args.output.verbose).unwrap_or(i8::MAX);
    let verbosity = match (args.output.quiet, more) {
        (true, more) if more > 0 && typed("quiet") == typed("verbose") => {
            return Err(Fault::new("--verbose says the opposite", "one of them").at_switch("--quiet"));
        }
        (true, more) if more > 0 && typed("verbose") => more,
        (true, _) => -1,
        (false, more) => more,
    };
    Ok(Output { format, verbosity })
}

/// What only shows when the options are seen together.
fn check(plan: &Plan, args: &Args) -> Result<(), Error> {
    files::check_paths(plan)?;
    if let (ReadyMode::Delay(delay), Some(limit)) = (&plan.readiness.mode, plan.lifecycle.ready_timeout)
        && *delay >= limit
    {
        let reason =
            format!("no copy can be ready before the --ready-timeout of {}", humantime::format_duration(limit));
        let fault = Fault::new(reason, "a shorter delay, or a longer --ready-timeout");
        return Err(fault.at("--ready", args.readiness.ready.as_deref().unwrap_or_default()));
    }
    if plan.handoff.speaks(Protocol::Goagain) && plan.signals.0.contains_key(&GOAGAIN_SIGNAL) {
        let reason =
            format!("programs of goagain say by {GOAGAIN_SIGNAL} that they serve, and --on gives it a meaning");
        return Err(at_pass(Fault::new(reason, "another signal for --on"), args));
    }
    if plan.process.stdin == StdinFrom::Null
        && let Some(spec) = plan.listeners.iter().find(|spec: &&ListenerSpec| spec.options.fd == Some(0))
    {
        let fault = Fault::new("--stdin null puts /dev/null at descriptor 0", "take --stdin away, or another fd=N");
        return Err(fault.at("--listen", &*spec.flag));
    }
    Ok(())
}

/// Looks the command up in the PATH of its environment, whose files are known to be good then.
fn find_command(plan: &Plan, around: &Surroundings) -> Result<(), Error> {
    let path = environment::path_of(&plan.process, &around.environment)?;
    let Some(command) = plan.command.first() else {
        return Err(Fault::new("there is no command to run", "endless [OPTIONS] -- COMMAND").at_switch("COMMAND"));
    };
    let found = command::resolve(command, plan.process.chdir.as_deref(), path.as_deref());
    found.map(drop).map_err(|error| {
        let fault = Fault::new(error.to_string(), error.hint());
        Error { code: error.exit_code(), ..fault.at("COMMAND", command.to_string_lossy()) }
    })
}
