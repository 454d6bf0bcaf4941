//! The parent's side of making a process: everything laid out, then fork.

use super::child::{self, Prepared, Trapped};
use super::descriptors;
use super::report::Step;
use crate::plan::{Capture, Identity, Orphans, ProcessSpec, Rlimit, StdinFrom};
use crate::sys::descriptors as raw;
use crate::sys::exec::Image;
use crate::sys::process;
use crate::sys::seccomp::Filter;
use crate::sys::signals::{AllBlocked, Inherited};
use crate::words::{Failure, Sig};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Gid, Pid, getegid, geteuid, getgid, getgroups, getuid, pipe2};
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One process to be made.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The file to execute; no search along PATH.
    pub program: &'a CStr,
    /// Its arguments, the zeroth included.
    pub argv: &'a [CString],
    /// Its whole environment, `NAME=value` each.
    pub envp: &'a [CString],
    /// Adds LISTEN_PID, the pid of the new process (sd_listen_fds(3)).
    pub listen_pid: bool,
    /// Descriptors, and their numbers in the target, each number once. 0, 1 and 2 are passed unless named here.
    pub fds: &'a [(BorrowedFd<'a>, RawFd)],
    /// What the child becomes first.
    pub process: &'a ProcessSpec,
    /// The limit of open files endless was started with.
    pub file_limit: Option<Rlimit>,
    /// What it gets when endless is killed, with [`Orphans::Stop`].
    pub stop_signal: Sig,
    /// The dispositions and the mask it gets.
    pub inherited: &'a Inherited,
    /// Whether its bind and listen calls, and those of all its descendants, wait for our answer.
    pub capture: Capture,
    /// Whether its calls that remove files do so, too.
    pub capture_removals: bool,
}

/// A process that was made.
#[derive(Debug)]
pub struct Launched {
    /// Its pid, which is its process group too.
    pub pid: Pid,
    /// Readable when it has executed the target or failed: [`super::read_report`]. Close-on-exec and non-blocking.
    pub report: OwnedFd,
    /// Where the descriptor of its filter arrives: [`crate::sys::seccomp::receive`].
    pub calls: Option<OwnedFd>,
}

/// Starts a process. Whether it became the target is told later, by its report.
///
/// # Errors
/// When there are no processes (EAGAIN) or descriptors (EMFILE) left, or a number of `fds` is above the limit of open
/// files or comes twice (EBADF). Nothing was made then.
pub fn launch(launch: &Launch<'_>) -> Result<Launched, Failure> {
    let pairs = placeable(launch.fds)?;
    let pipe = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK);
    let (report, theirs) = pipe.map_err(|errno| Failure::not_made("make a pipe", errno))?;
    let theirs = out_of_the_way(theirs, &pairs)?;
    let filter = if launch.capture == Capture::Never { None } else { Filter::new(launch.capture_removals) };
    let (calls, trapped) = match &filter {
        Some(filter) => {
            let (ours, parent) = capture_pair(&pairs)?;
            let may_bind = launch.capture == Capture::Always;
            (Some(ours), Some(Trapped { filter, parent, may_bind }))
        }
        None => (None, None),
    };
    let pid = start(launch, &pairs, Some(&theirs), trapped.as_ref())?;
    Ok(Launched { pid, report, calls })
}

/// Starts `/bin/sh -c COMMAND` for a hook: exactly this environment, no input, a process group of its own, endless'
/// output.
///
/// That the shell cannot be executed shows as its exit status 127 or 126. When endless is killed it gets SIGTERM.
///
/// # Errors
/// As for [`launch`], and EINVAL for a zero byte in the command or the environment.
pub fn launch_shell(command: &str, env: &[(OsString, OsString)], inherited: &Inherited) -> Result<Pid, Failure> {
    let argv = ["sh", "-c", command].into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let argv = argv.map_err(|_| Failure::not_made("run a command with a zero byte in it", Errno::EINVAL))?;
    let envp = env.iter().map(|(name, value)| variable(name, value)).collect::<Result<Vec<_>, _>>()?;
    let process = ProcessSpec { stdin: StdinFrom::Null, ..ProcessSpec::default() };
    let shell = Launch {
        program: c"/bin/sh",
        argv: &argv,
        envp: &envp,
        listen_pid: false,
        fds: &[],
        process: &process,
        file_limit: None,
        stop_signal: Sig::TERM,
        inherited,
        capture: Capture::Never,
        capture_removals: false,
    };
    start(&shell, &[], None, None)
}

fn variable(name: &OsString, value: &OsString) -> Result<CString, Failure> {
    let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
    CString::new(bytes).map_err(|_| {
        Failure::not_made(format!("set {}, which has a zero byte in it", name.to_string_lossy()), Errno::EINVAL)
    })
}

/// Lays everything out, so that the child allocates nothing, and forks with all signals blocked: a signal to the child
/// that still has our handlers would arrive in our own signal pipe.
fn start(
    launch: &Launch<'_>,
    pairs: &[(RawFd, RawFd)],
    report: Option<&OwnedFd>,
    capture: Option<&Trapped<'_>>,
) -> Result<Pid, Failure> {
    let spec = launch.process;
    let mut prepared = Prepared {
        name: base_name(launch.program),
        parent: Pid::this(),
        moves: &descriptors::plan(pairs),
        empty_stdin: spec.stdin == StdinFrom::Null && pairs.iter().all(|(_, target)| *target != 0),
        file_limit: launch.file_limit,
        directory: directory(spec)?,
        identity: spec.identity.as_ref().filter(|identity| differs(identity)),
        groups: spec.identity.iter().flat_map(|identity| &identity.groups).map(|gid| Gid::from_raw(*gid)).collect(),
        death_signal: (spec.orphans == Orphans::Stop).then_some(launch.stop_signal),
        spec,
        inherited: launch.inherited,
        image: Image::new(launch.program, launch.argv, launch.envp, launch.listen_pid),
        report,
        capture,
    };
    let blocked = AllBlocked::new();
    let spawned = process::spawn(|token| child::run(token, &mut prepared));
    drop(blocked);
    spawned.map_err(|e| Failure::not_made("fork", e))
}

/// The descriptors and their numbers, once it is certain that these can be had. The limit of open files keeps them
/// small.
fn placeable(fds: &[(BorrowedFd<'_>, RawFd)]) -> Result<Vec<(RawFd, RawFd)>, Failure> {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let (limit, _) = limits.map_err(|errno| Failure::not_made("read the limit of nofile", errno))?;
    let mut taken = Vec::new();
    for &(_, target) in fds {
        let number = usize::try_from(target).unwrap_or(usize::MAX);
        let possible = u64::try_from(target).is_ok_and(|number| number < limit);
        if !possible || taken.get(number) == Some(&true) {
            return Err(Failure::not_made(Step::Descriptor(target).to_string(), Errno::EBADF));
        }
        taken.resize(taken.len().max(number + 1), false);
        taken[number] = true;
    }
    Ok(fds.iter().map(|(source, target)| (source.as_raw_fd(), *target)).collect())
}

fn directory(spec: &ProcessSpec) -> Result<Option<CString>, Failure> {
    let Some(path) = &spec.chdir else { return Ok(None) };
    match CString::new(path.clone().into_os_string().into_vec()) {
        Ok(path) => Ok(Some(path)),
        Err(_) => Err(Failure::not_made(format!("change the directory to {}", path.display()), Errno::EINVAL)),
    }
}

/// False when we are this identity already and could not change it anyway: `--user` naming oneself is no error.
fn differs(identity: &Identity) -> bool {
    let same_ids = [getuid(), geteuid()].iter().all(|uid| uid.as_raw() == identity.uid)
        && [getgid(), getegid()].iter().all(|gid| gid.as_raw() == identity.gid);
    if geteuid().is_root() || !same_ids {
        return true;
    }
    let sorted = |mut groups: Vec<u32>| {
        groups.retain(|gid| *gid != identity.gid);
        groups.sort_unstable();
        groups.dedup();
        groups
    };
    let ours = getgroups().map(|groups| groups.into_iter().map(Gid::as_raw).collect());
    ours.map_or(true, |ours| sorted(ours) != sorted(identity.groups.clone()))
}

/// Our end and the child's of the socket the filter's descriptor comes through.
fn capture_pair(pairs: &[(RawFd, RawFd)]) -> Result<(OwnedFd, OwnedFd), Failure> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags);
    let (ours, theirs) = pair.map_err(|errno| Failure::not_made("make a pair of sockets", errno))?;
    Ok((ours, out_of_the_way(theirs, pairs)?))
}

/// Moves the child's end of the pipe above the target's descriptors, where it sits on the number of one.
fn out_of_the_way(pipe: OwnedFd, pairs: &[(RawFd, RawFd)]) -> Result<OwnedFd, Failure> {
    let number = pipe.as_raw_fd();
    if pairs.iter().all(|(_, target)| *target != number) {
        return Ok(pipe);
    }
    let least = pairs.iter().map(|(_, target)| *target).max().unwrap_or(number) + 1;
    let lifted = raw::duplicate_above(pipe.as_fd(), least);
    lifted.map_err(|errno| Failure::not_made("move a pipe out of the way", errno))
}

/// What the child is called until it executes the target: `pkill endless` must not find it.
fn base_name(program: &CStr) -> &CStr {
    let bytes = program.to_bytes_with_nul();
    let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    CStr::from_bytes_with_nul(&bytes[start..]).unwrap_or(program)
}
