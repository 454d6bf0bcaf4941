//! What `endless check` prints: the plan as a person reads it.

use super::{
    Address, Capture, Control, Drain, DrainMode, EnvChange, EventsTo, Identity, InheritedRef, KillMode, ListenerSpec,
    LogFormat, Orphans, Plan, ProcessSpec, Protocol, Respawn, Rlimit, StdinFrom, UnixKind, UnixName, presets, process,
};
use crate::words::HookPoint;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::time::Duration;

/// How wide the first column is.
const COLUMN: usize = 15;

/// Renders the plan: one line a fact, in the order of the command line's themes. `environment` is that of endless; the
/// target's PATH comes from it.
#[must_use]
pub fn render(plan: &Plan, environment: &[(OsString, OsString)]) -> String {
    let mut page = Page(String::new());
    page.line("name", &plan.name);
    page.line("command", words(&plan.command));
    page.line("file", file(plan, environment));
    page.optional("preset", plan.preset.as_ref());
    listeners(&mut page, plan);
    readiness(&mut page, plan);
    retirement(&mut page, plan);
    signals(&mut page, plan);
    target(&mut page, &plan.process);
    page.optional("pid file", plan.pid_file.as_ref().map(|path| path.display()));
    page.optional("status file", plan.status_file.as_ref().map(|path| path.display()));
    let format = if plan.output.format == LogFormat::Json { "json" } else { "text" };
    page.line("log", format_args!("{format}, {}", verbosity(plan.output.verbosity)));
    page.optional("log file", plan.files.log.as_ref().map(|path| path.display()));
    page.optional("output", plan.files.output.as_ref().map(|path| path.display()));
    match &plan.files.events {
        Some(EventsTo::File(path)) => page.line("events", path.display()),
        Some(EventsTo::Descriptor(number)) => page.line("events", format_args!("descriptor {number}")),
        None => {}
    }
    if plan.files.detach {
        page.line("detach", "yes");
    }
    match &plan.control {
        Control::None | Control::Default(None) => page.line("control", "none"),
        Control::At(path) | Control::Named(path) | Control::Default(Some(path)) => page.line("control", path.display()),
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{label:COLUMN$} {text}");
    }

    fn optional(&mut self, label: &str, text: Option<impl fmt::Display>) {
        if let Some(text) = text {
            self.line(label, text);
        }
    }
}

fn file(plan: &Plan, environment: &[(OsString, OsString)]) -> String {
    match plan.file(environment) {
        Ok(found) => found.display().to_string(),
        Err(error) => error.to_string(),
    }
}

/// What the preset has set, as it would be typed; what the command line says differently is not in it.
impl fmt::Display for presets::Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n{:COLUMN$} sets", self.preset.name, self.preset.why, "")?;
        for (option, value) in self.preset.options.iter().filter(|(option, _)| self.set.contains(option)) {
            write!(f, " --{option} {value}")?;
        }
        let nonblock = if self.preset.nonblock { " nonblock=yes for listeners that do not say otherwise" } else { "" };
        let nothing = if self.set.is_empty() && !self.preset.nonblock { " nothing" } else { "" };
        write!(f, "{nonblock}{nothing}")
    }
}

fn listeners(page: &mut Page, plan: &Plan) {
    if plan.listeners.is_empty() {
        page.line("listeners", "none: the target binds by itself");
    }
    for (spec, number) in plan.listeners.iter().zip(plan.handoff.numbers(&plan.listeners)) {
        page.line("listener", Listener(spec, number));
    }
    page.line("capture", capture(plan.capture));
    let protocols: Vec<String> = plan.handoff.protocols.iter().map(Protocol::to_string).collect();
    page.line("pass", if protocols.is_empty() { "none".to_owned() } else { protocols.join(", ") });
    if plan.handoff.protocols.contains(&Protocol::Systemd) && !plan.handoff.listen_pid {
        page.line("listen pid", "none");
    }
    page.line("kept", format_args!("at most {} descriptors of copies", plan.handoff.fd_store_max));
    if !plan.handoff.expand {
        page.line("templates", "left as they are");
    }
}

fn capture(capture: Capture) -> &'static str {
    match capture {
        Capture::Never => "never",
        Capture::IfFree => "what the target binds by itself, where that needs no no_new_privs",
        Capture::Always => "whatever the target binds by itself; sets no_new_privs where it has to",
    }
}

struct Listener<'a>(&'a ListenerSpec, i32);

impl fmt::Display for Listener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listener(spec, number) = self;
        write!(f, "{}: {}", spec.name, spec.address)?;
        if !spec.options.to_string().is_empty() {
            write!(f, " ({})", spec.options.to_string().trim_start_matches(','))?;
        }
        write!(f, ", descriptor {number}")
    }
}

/// The address as it is going to be bound.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { at, .. } => write!(f, "TCP {at}"),
            Address::Udp { at, .. } => write!(f, "UDP {at}"),
            Address::Unix { kind, name } => {
                let kind = match kind {
                    UnixKind::Stream => "stream",
                    UnixKind::Datagram => "datagram",
                    UnixKind::Seqpacket => "seqpacket",
                };
                match name {
                    UnixName::Path(path) => write!(f, "Unix {kind} {}", path.display()),
                    UnixName::Abstract(name) => write!(f, "Unix {kind} @{}", String::from_utf8_lossy(name)),
                }
            }
            Address::Vsock(at) => write!(f, "{at}"),
            Address::Inherited(InheritedRef::Number(number)) => write!(f, "open descriptor {number}"),
            Address::Inherited(InheritedRef::Name(name)) => write!(f, "open descriptor called {name}"),
        }
    }
}

fn readiness(page: &mut Page, plan: &Plan) {
    let life = &plan.lifecycle;
    page.line("ready", &plan.readiness.mode);
    page.line("ready timeout", never(life.ready_timeout));
    page.line("settle", length(plan.readiness.settle));
    page.line("probation", length(life.probation));
    page.line("watchdog", life.watchdog.map_or_else(|| "none".to_owned(), length));
    page.line("supersede", never(life.supersede));
    page.line("max retiring", life.max_retiring);
    let limit = match life.respawn_limit {
        Some((count, within)) => format!("at most {count} in {}", length(within)),
        None => "without limit".to_owned(),
    };
    match life.respawn {
        Respawn::OnFailure => page.line("respawn", format_args!("on-failure, {limit}")),
        Respawn::Always => page.line("respawn", format_args!("always, {limit}")),
        Respawn::Never => page.line("respawn", "never"),
    }
}

fn retirement(page: &mut Page, plan: &Plan) {
    let Drain { mode, limit } = plan.lifecycle.drain;
    match mode {
        DrainMode::Off => page.line("drain", "off"),
        DrainMode::Queue => page.line("drain", format_args!("queue, at most {}", length(limit))),
        DrainMode::Quiet => page.line("drain", format_args!("quiet, at most {}", length(limit))),
        DrainMode::Soft => page.line("drain", format_args!("soft, at most {}", length(limit))),
    }
    page.line("stop signal", plan.retirement.stop_signal);
    page.line("retire signal", plan.retirement.retire_signal);
    page.line("hammer", never(plan.lifecycle.hammer));
    let kill_mode = match plan.retirement.kill_mode {
        KillMode::Mixed => "mixed",
        KillMode::Group => "group",
        KillMode::Process => "process",
    };
    page.line("kill mode", kill_mode);
}

fn signals(page: &mut Page, plan: &Plan) {
    for (signal, action) in &plan.signals.0 {
        page.line("on", format_args!("{} {action}", signal.name()));
    }
    let (watch, hooks): (Vec<_>, Vec<_>) = plan.hooks.list.iter().partition(|hook| hook.point == HookPoint::Watch);
    for hook in &hooks {
        page.line("hook", format_args!("{} {}", hook.point, hook.command));
    }
    if !hooks.is_empty() {
        page.line("hook timeout", never(plan.hooks.timeout));
    }
    match plan.watch.as_deref() {
        Some([]) => page.line("watch", "the program"),
        paths => paths.iter().copied().flatten().for_each(|path| page.line("watch", path.display())),
    }
    page.optional("watch exec", watch.first().map(|hook| &hook.command));
}

fn target(page: &mut Page, spec: &ProcessSpec) {
    page.optional("directory", spec.chdir.as_ref().map(|dir| dir.display()));
    if spec.clear_env {
        page.line("environment", "begins empty");
    }
    for change in &spec.env {
        match change {
            EnvChange::Set(name, value) => page.line("env", format_args!("{}={}", name.display(), value.display())),
            EnvChange::Unset(name) => page.line("unset", name.display()),
            EnvChange::File(path) => page.line("env file", path.display()),
            EnvChange::Dir(path) => page.line("env directory", path.display()),
        }
    }
    if let Some(Identity { uid, gid, groups, account }) = &spec.identity {
        let name = account.as_ref().map_or(String::new(), |account| format!(" ({})", account.name));
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        page.line("user", format_args!("{uid}{name}, group {gid}, groups {}", groups.join(" ")));
    }
    page.optional("umask", spec.umask.map(|mask| format!("{mask:04o}")));
    page.optional("nice", spec.nice);
    for Rlimit { resource, soft, hard } in &spec.rlimits {
        let show = |limit: &Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        page.line("limit", format_args!("{} {} hard {}", process::limit_name(*resource), show(soft), show(hard)));
    }
    if spec.no_new_privs {
        page.line("privileges", "no new ones");
    }
    page.line("stdin", if spec.stdin == StdinFrom::Null { "null" } else { "inherit" });
    page.line("orphans", if spec.orphans == Orphans::Keep { "keep" } else { "stop" });
}

fn words(command: &[OsString]) -> String {
    let word = |word: &OsString| {
        let text = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,{}".contains(c);
        match !text.is_empty() && text.chars().all(plain) {
            true => text.into_owned(),
            false => format!("'{}'", text.replace('\'', "'\\''")),
        }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn verbosity(verbosity: i8) -> &'static str {
    match verbosity {
        ..0 => "only what went wrong",
        0 => "what happens",
        1.. => "every detail",
    }
}

fn length(length: Duration) -> String {
    humantime::format_duration(length).to_string()
}

fn never(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "never".to_owned(), length)
}
