//! How many files may be open, and whether a second set of seats fits.

use crate::plan::Rlimit;
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::os::fd::RawFd;

/// Descriptors beside the seats: the log, pipes, the notify sockets, probes.
const ASIDE: u64 = 64;

/// Raises the soft limit of open files to the hard one (getrlimit(2)) and returns what it was: the target gets that back.
/// Where it cannot be raised it stays.
#[must_use]
pub fn raise_file_limit() -> Rlimit {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((RLIM_INFINITY, RLIM_INFINITY));
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
    let finite = |limit| (limit != RLIM_INFINITY).then_some(limit);
    Rlimit { resource: libc::RLIMIT_NOFILE, soft: finite(soft), hard: finite(hard) }
}

/// Whether a process that starts with these descriptors, each number once, and with 0, 1 and 2 could open nothing more:
/// a new one gets the lowest free number, which must be below the soft limit (RLIMIT_NOFILE, getrlimit(2); None is unlimited).
#[must_use]
pub fn leaves_none(numbers: impl Iterator<Item = RawFd>, soft: Option<u64>) -> bool {
    let Some(soft) = soft else { return false };
    let handed = numbers.filter(|number| u64::try_from(*number).is_ok_and(|number| (3..soft).contains(&number)));
    handed.count() as u64 + 3 >= soft
}

/// The hard limit of open files.
pub(super) fn hard() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(RLIM_INFINITY, |(_, hard)| hard)
}

/// True when two sets of seats for this many listeners fit under a hard limit.
pub(super) fn room_for_seats(listeners: usize, hard: u64) -> bool {
    2 * listeners as u64 + ASIDE <= hard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_listeners_share_under_a_limit_of_twenty_thousand() {
        assert!(!room_for_seats(10_000, 20_000));
        assert!(room_for_seats(10_000, 20_064));
        assert!(room_for_seats(1, 1024));
        assert!(room_for_seats(10_000, RLIM_INFINITY));
    }

    #[test]
    fn whether_a_copy_can_open_anything_depends_on_the_lowest_free_number() {
        assert!(leaves_none(3..1024, Some(1024)));
        assert!(leaves_none(3..10_003, Some(1024)));
        assert!(!leaves_none(3..1023, Some(1024)));
        assert!(!leaves_none(4..1024, Some(1024)), "3 is free");
        assert!(!leaves_none([1, 2, 3].into_iter(), Some(5)), "1 and 2 are not counted twice");
        assert!(leaves_none(0..3, Some(3)));
        assert!(!leaves_none(3..10_003, None));
    }

    #[test]
    fn raising_the_limit_returns_what_it_was() {
        let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let told = raise_file_limit();
        assert_eq!(told.soft.unwrap_or(RLIM_INFINITY), before.0);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, before.1);
    }
}
