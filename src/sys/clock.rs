//! The one place where the time is read.

use crate::words::Moment;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Now, on the clock that neither jumps nor stops while the machine runs (clock_gettime(2)).
#[must_use]
pub fn now() -> Moment {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or_else(|_| Moment::default(), |time| Moment(Duration::from(time)))
}
