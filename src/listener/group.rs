//! The order of the sockets in one SO_REUSEPORT group, as the kernel keeps it. Pure.
//!
//! A steering program answers with an index into this order. The kernel appends a socket when it begins to listen (TCP)
//! or is bound (UDP); when one leaves, by shutdown or close, the last one takes its place.

use serde::{Deserialize, Serialize};

/// Who is at which index. `Who` names a member: its generation, where that has no more than one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group<Who> {
    order: Vec<Who>,
}

impl<Who> Default for Group<Who> {
    fn default() -> Self {
        Group { order: Vec::new() }
    }
}

impl<Who: Copy + PartialEq> Group<Who> {
    /// Whether it has no member.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The last index there is.
    pub(super) fn last(&self) -> Option<usize> {
        self.order.len().checked_sub(1)
    }

    /// A socket joined: it is the last one now.
    pub(super) fn join(&mut self, who: Who) {
        self.order.push(who);
    }

    /// A socket left: the last one moves into its place. False when it was not a member.
    pub(super) fn leave(&mut self, who: Who) -> bool {
        match self.index(who) {
            Some(at) => {
                self.order.swap_remove(at);
                true
            }
            None => false,
        }
    }

    /// Whether this member's index changes when that one leaves, and others than it would be left to choose from.
    pub(super) fn misled(&self, who: Who, leaver: Who) -> bool {
        self.order.len() > 2 && who != leaver && self.order.last() == Some(&who) && self.index(leaver).is_some()
    }

    /// There are so many members in truth: what is missing in the mirror are `stranger`s, who joined last; what is too
    /// much are strangers that left.
    pub(super) fn recount(&mut self, members: usize, stranger: Who) {
        while self.order.len() < members {
            self.join(stranger);
        }
        while self.order.len() > members && self.leave(stranger) {}
    }

    /// A socket belongs to another generation from now on; its index stays.
    pub(super) fn rename(&mut self, from: Who, to: Who) {
        for member in self.order.iter_mut().filter(|member| **member == from) {
            *member = to;
        }
    }

    /// The index a program answers with to choose this member.
    pub(super) fn index(&self, who: Who) -> Option<usize> {
        self.order.iter().position(|member| *member == who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::GenerationId;
    use proptest::prelude::*;

    const A: GenerationId = GenerationId(1);
    const B: GenerationId = GenerationId(2);
    const C: GenerationId = GenerationId(3);
    const D: GenerationId = GenerationId(4);

    #[test]
    fn the_last_member_moves_into_the_hole() {
        let mut group = Group::default();
        for who in [A, B, C, D] {
            group.join(who);
        }
        assert!(group.leave(A));
        assert_eq!(group.order, [D, B, C]);
        assert!(group.leave(C));
        assert_eq!(group.order, [D, B]);
        assert!(!group.leave(C));
    }

    #[test]
    fn the_last_member_is_misled_when_one_of_several_others_leaves() {
        let group = Group { order: vec![A, B, C] };
        assert!(group.misled(C, A) && group.misled(C, B));
        assert!(!group.misled(B, A) && !group.misled(C, C) && !group.misled(C, D));
        assert!(!Group { order: vec![A, B] }.misled(B, A), "nobody else is left");
    }

    #[test]
    fn strangers_take_their_places_and_leave_them() {
        let mut group = Group::default();
        group.join(A);
        group.recount(3, D);
        group.join(B);
        assert_eq!(group.order, [A, D, D, B]);
        group.recount(3, D);
        assert_eq!(group.order, [A, B, D]);
        group.recount(1, D);
        assert_eq!(group.order, [A, B], "our own do not leave unnoticed");
    }

    #[test]
    fn a_renamed_member_keeps_its_index() {
        let mut group = Group { order: vec![A, B] };
        group.rename(A, C);
        assert_eq!(group.index(C), Some(0));
        assert_eq!(group.index(A), None);
    }

    proptest! {
        #[test]
        fn indices_are_those_of_the_members(steps in proptest::collection::vec((any::<bool>(), 1u32..6), 0..60)) {
            let mut group = Group::default();
            let mut members = std::collections::BTreeSet::new();
            for (joins, number) in steps {
                let who = GenerationId(number);
                if joins && members.insert(who) {
                    group.join(who);
                } else if !joins {
                    prop_assert_eq!(group.leave(who), members.remove(&who));
                }
                prop_assert_eq!(group.order.len(), members.len());
                for member in &members {
                    prop_assert!(group.index(*member).is_some());
                }
            }
        }
    }
}
