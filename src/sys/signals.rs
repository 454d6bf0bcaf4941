//! Signal dispositions and masks, real-time signals included (nix's `Signal` knows only the first 31).

use crate::words::Sig;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// All signals of Linux (signal(7)). SIGKILL, SIGSTOP and the two the C library keeps for itself refuse every change.
const ALL: RangeInclusive<i32> = 1..=64;

/// A set of signals: bit n-1 is signal n, as in the masks of /proc/PID/status (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// True when the signal of this number is in it.
    #[must_use]
    pub fn contains(self, signal: i32) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Puts the signal of this number in.
    pub fn insert(&mut self, signal: i32) {
        self.0 |= Self::bit(signal);
    }

    /// Takes the signal of this number out.
    pub fn remove(&mut self, signal: i32) {
        self.0 &= !Self::bit(signal);
    }

    fn bit(signal: i32) -> u64 {
        if ALL.contains(&signal) { 1 << (signal - 1) } else { 0 }
    }

    fn to_raw(self) -> libc::sigset_t {
        let mut raw = empty();
        for signal in ALL.filter(|signal| self.contains(*signal)) {
            // SAFETY: `raw` is an initialised set; a number the C library keeps for itself is refused, not stored.
            unsafe { libc::sigaddset(&raw mut raw, signal) };
        }
        raw
    }

    fn from_raw(raw: &libc::sigset_t) -> Self {
        let mut set = SignalSet::default();
        for signal in ALL {
            // SAFETY: `raw` is an initialised set.
            if unsafe { libc::sigismember(raw, signal) } == 1 {
                set.insert(signal);
            }
        }
        set
    }
}

fn empty() -> libc::sigset_t {
    let mut raw = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set and cannot fail for a valid pointer.
    unsafe {
        libc::sigemptyset(raw.as_mut_ptr());
        raw.assume_init()
    }
}

fn full() -> libc::sigset_t {
    let mut raw = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the whole set and cannot fail for a valid pointer.
    unsafe {
        libc::sigfillset(raw.as_mut_ptr());
        raw.assume_init()
    }
}

/// What endless itself was started with. Every process it starts gets the dispositions back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inherited {
    /// The signals that were ignored: nohup(1) and the like; of those that endless changes.
    pub ignored: SignalSet,
    /// The signals that were blocked. No process that endless starts has them so.
    blocked: SignalSet,
    /// The signals whose dispositions endless changes. The others need no care: they pass through execve(2) as they are.
    changed: SignalSet,
}

impl Inherited {
    /// Reads them. To be called first in `main`, before any handler is set.
    #[must_use]
    pub fn capture() -> Inherited {
        let mut ignored = SignalSet::default();
        if PIPE_WAS_IGNORED.load(Ordering::Relaxed) {
            ignored.insert(libc::SIGPIPE);
        }
        Inherited { ignored, blocked: blocked(), changed: SignalSet::default() }
    }

    /// From here on what would make a file larger than RLIMIT_FSIZE allows fails with EFBIG, as it fails on a full disk, and
    /// kills nobody (setrlimit(2)). Where it was so before, as after an upgrade, that is no other's wish.
    pub fn ignore_file_limit(&mut self) {
        if !self.changed.contains(libc::SIGXFSZ) {
            self.will_change(&[Sig(libc::SIGXFSZ)]);
            set_disposition(libc::SIGXFSZ, true);
        }
    }

    /// Tells that the dispositions of these signals will be changed. SIGCHLD is no longer ignored from here on: the kernel
    /// would reap what we start before there is a handler (sigaction(2)).
    pub fn will_change(&mut self, signals: &[Sig]) {
        for &Sig(signal) in signals {
            self.changed.insert(signal);
            if is_ignored(signal) {
                self.ignored.insert(signal);
                if signal == libc::SIGCHLD {
                    set_disposition(signal, false);
                }
            }
        }
    }
}

/// Whether SIGPIPE was ignored before we began to ignore it.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// From here on a write to a closed pipe is an error and not the end.
pub(super) fn ignore_sigpipe() {
    // SAFETY: no function of ours is named; SIGPIPE can be ignored.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    PIPE_WAS_IGNORED.store(before == libc::SIG_IGN, Ordering::Relaxed);
}

fn is_ignored(signal: i32) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action only asks; the old one is read only after success, which has filled it.
    unsafe {
        libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) == 0 && now.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn blocked() -> SignalSet {
    let mut now = empty();
    // SAFETY: a null new mask only asks; `now` is valid for writing.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &raw mut now) };
    SignalSet::from_raw(&now)
}

/// All signals blocked, until it is dropped: then the mask is what it was.
#[derive(Debug)]
pub struct AllBlocked {
    before: libc::sigset_t,
}

impl AllBlocked {
    /// Blocks all signals in this thread.
    #[must_use]
    pub fn new() -> AllBlocked {
        let (all, mut before) = (full(), empty());
        // SAFETY: both sets are initialised; with a valid `how` the call cannot fail.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        AllBlocked { before }
    }
}

impl Default for AllBlocked {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask the kernel gave us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// Sets every disposition that may have been changed to what was inherited: ignored, or the default. Makes no allocation.
pub fn restore_dispositions(inherited: &Inherited) {
    let changed = SignalSet(inherited.changed.0 | inherited.ignored.0);
    for signal in ALL.filter(|signal| changed.contains(*signal) || *signal == libc::SIGPIPE) {
        set_disposition(signal, inherited.ignored.contains(signal));
    }
}

/// Sets SIGPIPE alone to what was inherited, for a program that is about to execute another one in its place.
pub fn restore_sigpipe() {
    set_disposition(libc::SIGPIPE, PIPE_WAS_IGNORED.load(Ordering::Relaxed));
}

/// Ignores it.
pub fn ignore(signal: Sig) {
    set_disposition(signal.0, true);
}

fn set_disposition(signal: i32, ignored: bool) {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: the action names no function of ours. Signals that cannot be changed are refused with EINVAL, as they
    // should be.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

/// Throws away every pending signal but those that `keep_from` sent, which are pending again afterwards.
///
/// All signals must be blocked. One system call when nothing is pending (sigtimedwait(2)).
pub fn forget_pending(keep_from: Pid) {
    let all = full();
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut kept = SignalSet::default();
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the three pointers are valid; `info` is zeroed, and filled when a signal is returned.
        let signal = unsafe { libc::sigtimedwait(&raw const all, info.as_mut_ptr(), &raw const at_once) };
        if signal > 0 {
            // SAFETY: the kernel has filled it; a code of 0 or less means that a process sent it, so the pid is there.
            let from = unsafe { (info.assume_init_ref().si_code <= 0).then(|| info.assume_init_ref().si_pid()) };
            if from == Some(keep_from.as_raw()) {
                kept.insert(signal);
            }
        } else if Errno::last() != Errno::EINTR {
            break;
        }
    }
    for signal in ALL.filter(|signal| kept.contains(*signal)) {
        // SAFETY: raise takes any number; the signal is blocked and so only becomes pending.
        unsafe { libc::raise(signal) };
    }
}

/// Blocks nothing; pending signals act now.
pub fn lift_mask() {
    set_mask(SignalSet::default());
}

/// Blocks what was blocked when we were started, but for the signals that have handlers: pending ones arrive now. Whoever starts us may
/// have blocked them to read them with signalfd(2), and the mask passes through execve(2).
pub fn hear(inherited: &Inherited) {
    set_mask(SignalSet(inherited.blocked.0 & !inherited.changed.0));
}

fn set_mask(mask: SignalSet) {
    let mask = mask.to_raw();
    // SAFETY: the set is initialised; with a valid `how` the call cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) };
}
