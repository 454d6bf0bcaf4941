//! How many files may be open, and whether a second set of seats fits.

use crate::plan::Rlimit;
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

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
    fn raising_the_limit_returns_what_it_was() {
        let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let told = raise_file_limit();
        assert_eq!(told.soft.unwrap_or(RLIM_INFINITY), before.0);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, before.1);
    }
}
