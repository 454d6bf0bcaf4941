//! The one place where the time is read.

use crate::words::Moment;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Now, on the clock that neither jumps nor stops while the machine runs (clock_gettime(2)).
#[must_use]
pub fn now() -> Moment {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or_else(|_| Moment::default(), |time| Moment(Duration::from(time)))
}

/// The processor time endless has used so far: unlike the time that has passed, it says what something costs on a machine that
/// is busy with other things, too.
#[must_use]
pub fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
