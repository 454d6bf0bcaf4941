//! In which order descriptors are duplicated so that none is overwritten before it was read. Pure.

use crate::sys::descriptors as raw;
use crate::sys::process::Child;
use std::os::fd::RawFd;

/// One step of putting descriptors in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// It has its number already: only close-on-exec comes off.
    Keep(RawFd),
    /// The first becomes the second.
    Onto(RawFd, RawFd),
    /// The first is kept at a spare number, not below the second: a circle is broken here.
    Lift(RawFd, RawFd),
    /// The spare becomes this, and is closed.
    FromSpare(RawFd),
}

/// The steps that make each source its target, at most one a pair and two more a circle. Takes time in proportion.
/// The numbers are not negative and no target comes twice: [`super::launch`] has looked.
///
/// Think of an arrow from each target to its source. A target nobody reads from can be overwritten at once; that may
/// free its source to be overwritten in turn. What remains are circles, and one spare number opens each of them.
pub(super) fn plan(pairs: &[(RawFd, RawFd)]) -> Vec<Move> {
    let above = pairs.iter().map(|(_, target)| *target).max().map_or(0, |highest| highest + 1);
    let mut moves = Vec::with_capacity(pairs.len() + 2);
    let mut waiting = Waiting::new(pairs, &mut moves);
    for &(source, target) in pairs {
        if source != target {
            waiting.follow(target, &mut moves);
        }
    }
    for &(_, target) in pairs {
        if waiting.source(target).is_some() {
            moves.push(Move::Lift(target, above));
            waiting.open_circle(target, &mut moves);
        }
    }
    moves
}

/// What is not in place yet, indexed by number.
struct Waiting {
    source: Vec<Option<RawFd>>,
    readers: Vec<u32>,
}

impl Waiting {
    fn new(pairs: &[(RawFd, RawFd)], moves: &mut Vec<Move>) -> Waiting {
        let highest = pairs.iter().map(|(source, target)| index(*source.max(target))).max().unwrap_or(0);
        let mut waiting = Waiting { source: vec![None; highest + 1], readers: vec![0; highest + 1] };
        for &(source, target) in pairs {
            if source == target {
                moves.push(Move::Keep(target));
            } else if waiting.source[index(target)].replace(source).is_none() {
                waiting.readers[index(source)] += 1;
            }
        }
        waiting
    }

    fn source(&self, target: RawFd) -> Option<RawFd> {
        self.source[index(target)]
    }

    /// Fills `target` if nobody reads it any more, then its source if that is a target too, and so on.
    fn follow(&mut self, mut target: RawFd, moves: &mut Vec<Move>) {
        while self.readers[index(target)] == 0
            && let Some(source) = self.source[index(target)].take()
        {
            moves.push(Move::Onto(source, target));
            let readers = &mut self.readers[index(source)];
            *readers = readers.saturating_sub(1);
            target = source;
        }
    }

    /// Fills a circle, whose member `first` is in the spare.
    fn open_circle(&mut self, first: RawFd, moves: &mut Vec<Move>) {
        let mut target = first;
        while let Some(source) = self.source[index(target)].take() {
            if source == first {
                moves.push(Move::FromSpare(target));
                return;
            }
            moves.push(Move::Onto(source, target));
            target = source;
        }
    }
}

fn index(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(0)
}

/// Carries the steps out in the child. On failure, the number that could not be put in place and why.
pub(super) fn place(child: &Child, moves: &[Move]) -> Result<(), (RawFd, nix::errno::Errno)> {
    let mut spare = -1;
    for step in moves {
        match *step {
            Move::Keep(fd) => raw::keep_across_exec(child, fd).map_err(|e| (fd, e))?,
            Move::Onto(source, target) => raw::duplicate_onto(child, source, target).map_err(|e| (target, e))?,
            Move::Lift(fd, least) => spare = raw::lift(child, fd, least).map_err(|e| (fd, e))?,
            Move::FromSpare(target) => {
                raw::duplicate_onto(child, spare, target).map_err(|e| (target, e))?;
                raw::close(child, spare);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Plays the steps on numbers that hold the name of their first content.
    fn played(pairs: &[(RawFd, RawFd)]) -> HashMap<RawFd, RawFd> {
        let mut table: HashMap<RawFd, RawFd> = pairs.iter().map(|(source, _)| (*source, *source)).collect();
        let mut spare = None;
        for step in plan(pairs) {
            match step {
                Move::Keep(fd) => assert!(table.contains_key(&fd)),
                Move::Onto(source, target) => drop(table.insert(target, table[&source])),
                Move::Lift(fd, above) => {
                    assert!(pairs.iter().all(|(_, target)| *target < above));
                    spare = Some(table[&fd]);
                }
                Move::FromSpare(target) => drop(table.insert(target, spare.take().unwrap())),
            }
        }
        assert_eq!(spare, None);
        table
    }

    #[test]
    fn a_swap_needs_one_spare() {
        assert_eq!(
            plan(&[(3, 5), (5, 3), (4, 4)]),
            [Move::Keep(4), Move::Lift(5, 6), Move::Onto(3, 5), Move::FromSpare(3)]
        );
    }

    #[test]
    fn a_shift_needs_none() {
        let pairs: Vec<_> = (0..10_000).map(|n| (n + 5, n + 3)).collect();
        let up: Vec<_> = pairs.iter().map(|(source, target)| (*target, *source)).collect();
        assert_eq!(plan(&pairs).len(), pairs.len());
        assert_eq!(plan(&up).len(), up.len());
    }

    #[test]
    fn nothing_to_do() {
        assert_eq!(plan(&[]), []);
    }

    proptest! {
        #[test]
        fn every_target_gets_its_source(
            sources in proptest::collection::vec(0..12, 0..12),
            targets in Just((0..12).collect::<Vec<RawFd>>()).prop_shuffle(),
        ) {
            let pairs: Vec<_> = sources.into_iter().zip(targets).collect();
            let table = played(&pairs);
            for (source, target) in pairs {
                prop_assert_eq!(table[&target], source);
            }
        }
    }
}
