//! The upgrade of endless itself: the program at its path is executed in this process, and takes everything over.
//!
//! It waits for a calm moment, in which no start is under way and no hook runs; so a candidate and what it is watched for need
//! not be carried over. All signals are blocked over execve(2): what comes meanwhile is pending, and the new program gets it.

mod check;
mod resume;
mod state;

pub use resume::{rehearse, resume};

use super::Runtime;
use super::copy::Main;
use super::watch::Watching;
use crate::notice::{Level, Notice};
use crate::supervisor::Event;
use crate::sys::carried::Written;
use crate::sys::exec::Image;
use crate::sys::signals::AllBlocked;
use crate::sys::{carried, start};
use crate::words::{Exit, Moment};
use check::Check;
use nix::unistd::Pid;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How far it is.
#[derive(Debug, Default)]
pub(super) enum Upgrade {
    /// Nobody has asked.
    #[default]
    No,
    /// It waits for a calm moment.
    Wanted {
        /// It was said that it waits.
        told: bool,
    },
    /// The new program is asked.
    Checking {
        check: Check,
        file: File,
        /// Something was under way since, so that what it was asked about may be something else by now.
        stale: bool,
    },
    /// It can take over, and waits for a calm moment.
    Checked(File),
}

/// The file that was asked: which one, and what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl File {
    fn look(path: PathBuf) -> Result<File, String> {
        let file = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let changed = (file.mtime(), file.mtime_nsec());
        Ok(File { device: file.dev(), inode: file.ino(), length: file.len(), changed, path })
    }
}

impl Runtime {
    /// The supervisor wants it.
    pub(super) fn upgrade(&mut self) {
        self.upgrade = Upgrade::Wanted { told: false };
    }

    /// Does the next step, if it can be done now. To be called when nothing is left to be decided.
    pub(super) fn go_on_with_upgrade(&mut self) {
        if matches!(self.upgrade, Upgrade::No) {
            return;
        }
        if self.supervisor.stopping() {
            if let Upgrade::Checking { check, .. } = &mut self.upgrade {
                check.kill();
            }
            self.upgrade = Upgrade::No;
            return;
        }
        match (std::mem::take(&mut self.upgrade), self.calm()) {
            (Upgrade::Wanted { .. }, true) => self.check_upgrade(),
            (Upgrade::Wanted { told }, false) => {
                self.upgrade = Upgrade::Wanted { told: true };
                if !told {
                    let text = "the upgrade waits until what is under way is over".to_owned();
                    self.tell(&Notice::Note { level: Level::Normal, text });
                }
            }
            (Upgrade::Checking { check, file, .. }, false) => {
                self.upgrade = Upgrade::Checking { check, file, stale: true };
            }
            (Upgrade::Checked(file), true) => self.replace(file),
            // What it was asked about may be something else afterwards.
            (Upgrade::Checked(_), false) => self.upgrade = Upgrade::Wanted { told: false },
            (other, _) => self.upgrade = other,
        }
    }

    /// Nothing is under way that would have to be carried over and is not.
    fn calm(&self) -> bool {
        let starting = self.copies.values().any(|copy| matches!(copy.main, Main::Starting { .. }));
        let quiet = self.watching.as_ref().is_none_or(Watching::calm);
        self.supervisor.calm() && self.events.is_empty() && !self.hooks.any() && !starting && quiet
    }

    fn check_upgrade(&mut self) {
        let program = executed();
        let started = File::look(self.home.absolute(&program).unwrap_or(program)).and_then(|file| {
            let program = c_string(file.path.as_os_str().as_bytes())?;
            let check = Check::start(self, &program, &environment(None)?)?;
            Ok(Upgrade::Checking { check, file, stale: false })
        });
        match started {
            Ok(checking) => self.upgrade = checking,
            Err(why) => self.not_upgraded(why),
        }
    }

    /// True when the child that ended was the new program, which was asked.
    pub(super) fn upgrade_check_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Upgrade::Checking { check, file, stale } = &mut self.upgrade else { return false };
        let Some(answer) = check.ended(pid, exit) else { return false };
        match answer {
            Ok(()) if *stale => self.upgrade = Upgrade::Wanted { told: true },
            Ok(()) => self.upgrade = Upgrade::Checked(file.clone()),
            Err(why) => self.not_upgraded(why),
        }
        true
    }

    /// Kills a new program that does not answer.
    pub(super) fn look_at_upgrade(&mut self, now: Moment) {
        if let Upgrade::Checking { check, .. } = &mut self.upgrade
            && check.overdue(now)
        {
            check.kill();
        }
    }

    /// When that is due.
    pub(super) fn upgrade_deadline(&self) -> Option<Moment> {
        if let Upgrade::Checking { check, .. } = &self.upgrade { check.next() } else { None }
    }

    fn not_upgraded(&mut self, why: String) {
        self.upgrade = Upgrade::No;
        self.events.push_back(Event::Upgraded(Err(why)));
    }

    /// Executes the new program. Whatever keeps it from that, everything goes on.
    fn replace(&mut self, file: File) {
        let blocked = AllBlocked::new();
        for received in self.signals.take() {
            self.signal_received(received);
        }
        if !self.calm() {
            // What came in the last moment goes first.
            self.upgrade = Upgrade::Wanted { told: false };
            return;
        }
        let why = self.execute(&file);
        drop(blocked);
        self.not_upgraded(why);
    }

    /// Everything, and the descriptors endless was started with, which nothing owns.
    fn written(&self) -> Result<Written, String> {
        let written = carried::write(|| {
            let passed = self.plans.source.passed.iter().map(|passed| passed.number);
            passed.chain(self.plans.descriptors(&self.plan)).for_each(carried::note);
            state::write(self)
        });
        written.map_err(|error| format!("it cannot be written down how things are: {error}"))
    }

    /// Returns only when it has failed, and why.
    fn execute(&mut self, file: &File) -> String {
        let executed = || -> Result<_, String> {
            if File::look(file.path.clone())? != *file {
                return Err(format!("{} was changed meanwhile; ask again", file.path.display()));
            }
            let program = c_string(file.path.as_os_str().as_bytes())?;
            let written = self.written()?;
            let envp = environment(Some(written.state.as_raw_fd()))?;
            let args = self.plans.source.args.iter().map(|arg| c_string(arg.as_bytes()));
            let argv = args.collect::<Result<Vec<_>, _>>()?;
            let open = written.open_across_exec();
            let errno = Image::new(&program, &argv, &envp, false).execute();
            drop(open);
            Err(format!("cannot execute {}: {}", file.path.display(), errno.desc()))
        };
        match executed() {
            Ok(never) => never,
            Err(why) => why,
        }
    }
}

/// The path this program was started by, which may lead to another file now.
fn executed() -> PathBuf {
    let path =
        start::executed().filter(|path| !["/dev/fd", "/proc"].iter().any(|by_number| path.starts_with(by_number)));
    path.or_else(|| fs::read_link("/proc/self/exe").ok()).unwrap_or_else(|| Path::new("endless").to_owned())
}

/// Our own environment, and the descriptor of the state in it.
fn environment(state: Option<i32>) -> Result<Vec<CString>, String> {
    let state = state.map(|number| (OsString::from(carried::VARIABLE), OsString::from(number.to_string())));
    let one = |(name, value): (OsString, OsString)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat());
    std::env::vars_os().chain(state).map(one).collect()
}

fn c_string(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|error| error.to_string())
}
