//! The one place where the time is read.

use crate::words::Moment;
use nix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that was left out so far, in nanoseconds.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Now, on the clock that neither jumps nor stops while the machine runs (clock_gettime(2)), less what was left out.
#[must_use]
pub fn now() -> Moment {
    Moment(monotonic().saturating_sub(left_out()))
}

/// The time on the kernel's clock itself, as other programs know it.
#[must_use]
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// From here on it is no later than `then`: nothing has come due since.
pub fn leave_out(then: Moment) {
    leave_out_more(now().since(then));
}

/// How much was left out; a program that is executed in our place has to leave it out, too.
#[must_use]
pub fn left_out() -> Duration {
    Duration::from_nanos(LEFT_OUT.load(Ordering::Relaxed))
}

/// Leaves out so much more.
pub fn leave_out_more(length: Duration) {
    LEFT_OUT.fetch_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The processor time endless has used so far: unlike the time that has passed, it says what something costs on a machine that
/// is busy with other things, too.
#[must_use]
pub fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
