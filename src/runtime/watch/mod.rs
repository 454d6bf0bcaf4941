//! `--watch`: files that change ask for a restart, once nothing has changed for a moment; before it, `--watch-exec` runs.

mod places;
pub mod rules;

use super::home::Home;
use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::plan::{Address, Control, EventsTo, Plan, SignalAction, UnixName};
use crate::supervisor::{Event, HookContext, HookRun, Request, Ticket, Wait};
use crate::words::{HookPoint, Moment};
use anyhow::{Result, anyhow};
use nix::errno::Errno;
use places::{Places, Refused};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long nothing may have changed before something is done about it.
const QUIET: Duration = Duration::from_millis(200);

/// The run of `--watch-exec`. The supervisor, which knows nothing of it, counts its own from 1.
pub(super) const RUN: HookRun = HookRun(0);

/// What is watched, and what has come of it.
#[derive(Debug)]
pub struct Watching {
    paths: Vec<PathBuf>,
    places: Places,
    /// What has changed last, and when it has been quiet for long enough.
    changed: Option<(String, Moment)>,
    /// `--watch-exec` runs.
    executing: bool,
}

impl AsFd for Watching {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.places.as_fd()
    }
}

/// Begins to watch what the plan says. None where it says nothing.
///
/// # Errors
/// What cannot be watched, and why.
pub fn open(plan: &Plan, home: &Home) -> Result<Option<Watching>> {
    let Some(paths) = wanted(plan, home) else { return Ok(None) };
    let places = look(plan, &paths)?;
    Ok(Some(Watching { paths, places, changed: None, executing: false }))
}

fn look(plan: &Plan, paths: &[PathBuf]) -> Result<Places> {
    Places::watch(paths, own_files(plan)).map_err(|refused| anyhow!("--watch: {}", explain(&refused)))
}

fn explain(Refused { path, errno }: &Refused) -> String {
    let path = path.display();
    match errno {
        Errno::ENOSPC => format!(
            "{path} cannot be watched: this user watches as many directories as it may\nhint: fewer of them, by a \
             .gitignore or another PATH, or more than `sysctl fs.inotify.max_user_watches` says"
        ),
        Errno::EMFILE => format!(
            "{path} cannot be watched: there are too many watchers\nhint: `sysctl fs.inotify.max_user_instances` says \
             how many this user may have"
        ),
        errno => format!("{path} cannot be watched: {}\nhint: another PATH, or the right to read it", errno.desc()),
    }
}

/// The absolute paths: those asked for, or else the program's.
fn wanted(plan: &Plan, home: &Home) -> Option<Vec<PathBuf>> {
    let given = plan.watch.as_ref()?;
    let _there = home.enter();
    if given.is_empty() {
        return Some(program(plan).and_then(|file| home.absolute(&file)).into_iter().collect());
    }
    Some(given.iter().filter_map(|path| home.absolute(path)).collect())
}

/// The file a copy would execute now.
fn program(plan: &Plan) -> Option<PathBuf> {
    let file = plan.file(&std::env::vars_os().collect::<Vec<_>>()).ok()?;
    Some(plan.process.chdir.as_ref().map_or(file.clone(), |dir| dir.join(file)))
}

/// What endless writes itself, at restarts too.
fn own_files(plan: &Plan) -> Vec<PathBuf> {
    let listeners = plan.listeners.iter().filter_map(|spec| match &spec.address {
        Address::Unix { name: UnixName::Path(path), .. } => Some(path.clone()),
        _ => None,
    });
    let events = match &plan.files.events {
        Some(EventsTo::File(path)) => Some(path),
        _ => None,
    };
    let control = match &plan.control {
        Control::At(path) | Control::Named(path) | Control::Default(Some(path)) => Some(path),
        _ => None,
    };
    let files = [&plan.pid_file, &plan.status_file, &plan.files.log, &plan.files.output].map(Option::as_ref);
    let files = files.into_iter().chain([events, control]).flatten().cloned();
    let fresh = plan.status_file.as_deref().map(super::pid_file::fresh);
    files.chain(fresh).chain(listeners).filter_map(|path| where_it_is(&path)).collect()
}

/// Its absolute path without symbolic links in it, whether it is there or not.
fn where_it_is(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

impl Watching {
    /// When something is to be done.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.changed.as_ref().filter(|_| !self.executing).map(|(_, at)| *at)
    }

    /// Nothing has changed about which nothing was done yet.
    pub(super) fn calm(&self) -> bool {
        self.changed.is_none()
    }
}

impl Runtime {
    /// Something has happened in a directory that is watched.
    pub(super) fn files_changed(&mut self) {
        let Some(watching) = &mut self.watching else { return };
        let (change, refused) = watching.places.take();
        if let Some(refused) = refused {
            let text = format!("--watch: {}", explain(&refused).replace("\nhint: ", "; "));
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
        let (Some(change), Some(watching)) = (change, &mut self.watching) else { return };
        let what = change.path.map_or("more than the kernel has told".to_owned(), |path| path.display().to_string());
        watching.changed = Some((what, clock::now() + QUIET));
        if change.anew {
            match look(&self.plan, &watching.paths) {
                Ok(places) => watching.places = places,
                Err(error) => self.not_watched(&error),
            }
        }
    }

    /// Runs `--watch-exec` and restarts when it has been quiet for long enough.
    pub(super) fn look_at_changes(&mut self, now: Moment) {
        let stopping = self.supervisor.stopping();
        let Some(watching) = &mut self.watching else { return };
        if stopping {
            watching.changed = None;
            self.hooks.end(RUN);
        }
        if watching.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        // A program that was removed comes back, and until then nothing can be started. One that is back, and was not told of
        // yet, would be there and then change: two restarts of one change.
        let gone = self.plan.watch.as_ref().is_some_and(Vec::is_empty) && {
            let _there = self.home.enter();
            program(&self.plan).is_none()
        };
        self.files_changed();
        let Some(watching) = &mut self.watching else { return };
        let Some((path, _)) = watching.changed.take_if(|(_, at)| *at <= now) else { return };
        if !gone {
            watching.executing = true;
            let what = if self.plan.hooks.list.iter().any(|hook| hook.point == HookPoint::Watch) {
                "--watch-exec runs"
            } else {
                "restart"
            };
            let context = HookContext { generation: self.supervisor.active(), reason: path.clone(), old: None };
            self.tell(&Notice::Changed { path, what });
            self.run_hooks(RUN, HookPoint::Watch, &context);
        }
    }

    /// `--watch-exec` has ended, or there is none.
    pub(super) fn watch_executed(&mut self, result: Result<(), String>) {
        if let Some(watching) = &mut self.watching {
            watching.executing = false;
        }
        match result {
            _ if self.supervisor.stopping() => {}
            Ok(()) => {
                self.last_ticket += 1;
                let what = SignalAction::Restart;
                let signal = self.plan.signals.signal_for(what);
                let request = Request { ticket: Ticket(self.last_ticket), what, signal, wait: Wait::Nobody };
                self.events.push_back(Event::Request(request));
            }
            Err(why) => {
                let kept =
                    self.supervisor.active().map_or(String::new(), |active| format!("; generation {active} goes on"));
                self.tell(&Notice::Refused { what: "restart", why: why + &kept });
            }
        }
    }

    /// Watches something else where the plan in force says so.
    pub(super) fn watch_as_planned(&mut self) {
        let before = self.watching.as_ref().map(|watching| &watching.paths);
        let wanted = wanted(&self.plan, &self.home);
        // There is no program for a moment: what was one is waited for.
        if wanted.as_ref() == before || wanted.is_some_and(|paths| paths.is_empty()) {
            return;
        }
        let executing = self.watching.as_ref().is_some_and(|watching| watching.executing);
        match open(&self.plan, &self.home) {
            Ok(watching) => self.watching = watching.map(|watching| Watching { executing, ..watching }),
            Err(error) => self.not_watched(&error),
        }
    }

    fn not_watched(&self, error: &anyhow::Error) {
        let text = error.to_string().replace("\nhint: ", "; ");
        self.tell(&Notice::Note { level: Level::Problem, text });
    }
}
