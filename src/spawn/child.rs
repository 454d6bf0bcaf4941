//! The child, from fork to exec: one order, one screen. Nothing here allocates or locks.

use super::descriptors::{self, Move};
use super::report::{Failed, Step};
use crate::plan::{Identity, ProcessSpec, Rlimit};
use crate::sys::exec::Image;
use crate::sys::process::{self, Child};
use crate::sys::seccomp::{self, Filter};
use crate::sys::{descriptors as raw, signals};
use crate::words::{CODE_FAILURE, Sig};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, chdir, getppid, setgid, setgroups, setpgid, setresgid, setresuid, setuid};
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Everything the child needs, laid out by the parent.
pub(super) struct Prepared<'a> {
    pub(super) name: &'a CStr,
    pub(super) parent: Pid,
    pub(super) moves: &'a [Move],
    pub(super) empty_stdin: bool,
    pub(super) file_limit: Option<Rlimit>,
    pub(super) directory: Option<CString>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) groups: Vec<Gid>,
    pub(super) death_signal: Option<Sig>,
    pub(super) spec: &'a ProcessSpec,
    pub(super) inherited: &'a signals::Inherited,
    pub(super) image: Image<'a>,
    pub(super) report: Option<&'a OwnedFd>,
    pub(super) capture: Option<&'a Trapped<'a>>,
}

/// The filter that makes its bind and listen calls wait, and where its descriptor goes.
#[derive(Debug)]
pub(super) struct Trapped<'a> {
    pub(super) filter: &'a Filter,
    pub(super) parent: OwnedFd,
    /// Whether no_new_privs may be set for it.
    pub(super) may_bind: bool,
}

/// Becomes the target, or tells why not and returns the exit status.
pub(super) fn run(child: &Child, prepared: &mut Prepared<'_>) -> u8 {
    let report = prepared.report;
    let Err(failed) = become_target(child, prepared);
    if let Some(pipe) = report {
        failed.send(pipe);
    }
    failed.exit_code()
}

fn become_target<'p>(child: &Child, prepared: &'p mut Prepared<'_>) -> Result<Infallible, Failed<'p>> {
    // Its own name first: what looks for `endless` by name from here on does not find it.
    let _ = prctl::set_name(prepared.name);
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(Step::Group.failed())?;
    raw::close_all_at_exec(child);
    descriptors::place(child, prepared.moves).map_err(|(fd, errno)| Step::Descriptor(fd).failed()(errno))?;
    if prepared.empty_stdin {
        empty_stdin(child).map_err(Step::Stdin.failed())?;
    }
    set_limits(prepared)?;
    if let Some(more) = prepared.spec.nice {
        process::add_niceness(more).map_err(Step::Niceness(more).failed())?;
    }
    if let Some(mask) = prepared.spec.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    if let Some(path) = prepared.directory.as_deref() {
        chdir(path).map_err(Step::Directory(path).failed())?;
    }
    // While we may still be root: then it needs no no_new_privs.
    if let Some(trapped) = prepared.capture {
        let installed = trapped.filter.install(child, trapped.may_bind);
        seccomp::report(child, trapped.parent.as_fd(), installed);
    }
    if let Some(identity) = prepared.identity {
        take_identity(identity, &prepared.groups)?;
    }
    if prepared.spec.no_new_privs {
        prctl::set_no_new_privs().map_err(Step::NoNewPrivileges.failed())?;
    }
    die_with_parent(prepared)?;
    signals::restore_dispositions(prepared.inherited);
    // A `pkill -HUP endless` may have chosen us by our old name; only what endless itself sent is meant for us.
    signals::forget_pending(prepared.parent);
    signals::lift_mask();
    let errno = prepared.image.execute();
    Err(Step::Execute(prepared.image.program()).failed()(errno))
}

fn empty_stdin(child: &Child) -> nix::Result<()> {
    let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    if null.as_raw_fd() == 0 {
        let kept = std::mem::ManuallyDrop::new(null);
        return raw::keep_across_exec(child, kept.as_raw_fd());
    }
    raw::duplicate_onto(child, null.as_raw_fd(), 0)
}

/// The limits as endless was started with, then those asked for. After the descriptors: a number above the soft limit
/// of open files cannot be made. Before the identity: root may raise a hard limit.
fn set_limits<'p>(prepared: &Prepared<'_>) -> Result<(), Failed<'p>> {
    for limit in prepared.file_limit.iter().chain(&prepared.spec.rlimits) {
        process::set_limit(limit.resource, limit.soft, limit.hard).map_err(Step::Limit(limit.resource).failed())?;
    }
    Ok(())
}

/// Groups, then gid, then uid, then the proof that there is no way back to root.
fn take_identity<'p>(identity: &Identity, groups: &[Gid]) -> Result<(), Failed<'p>> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setgroups(groups).map_err(Step::Groups.failed())?;
    setresgid(gid, gid, gid).map_err(Step::GroupId(identity.gid).failed())?;
    setresuid(uid, uid, uid).map_err(Step::User(identity.uid).failed())?;
    let root = Uid::from_raw(0);
    if uid != root && (setuid(root).is_ok() || (identity.gid != 0 && setgid(Gid::from_raw(0)).is_ok())) {
        return Err(Step::Proof.failed()(Errno::EPERM));
    }
    Ok(())
}

/// After the identity, for the kernel forgets the death signal when the uid changes (prctl(2)). A parent that was
/// killed before this is not noticed by the kernel, so we look whether it is still there.
fn die_with_parent<'p>(prepared: &Prepared<'_>) -> Result<(), Failed<'p>> {
    let Some(signal) = prepared.death_signal else { return Ok(()) };
    process::set_parent_death_signal(signal).map_err(Step::DeathSignal(signal).failed())?;
    if getppid() != prepared.parent {
        process::exit_now(CODE_FAILURE);
    }
    Ok(())
}
