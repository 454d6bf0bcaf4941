//! Time as a number.

use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock, counted from boot (`CLOCK_MONOTONIC`, clock_gettime(2)).
///
/// Unlike `std::time::Instant` it is a plain number: it can be made up in a test, printed, and written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(pub Duration);

impl Moment {
    /// How long it is from `earlier` to `self`; zero when `earlier` lies later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, more: Duration) -> Moment {
        Moment(self.0.saturating_add(more))
    }
}
