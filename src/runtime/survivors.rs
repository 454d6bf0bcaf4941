//! Processes that a generation has left behind and that take the clients of the one after it.
//!
//! A copy that crashed leaves its sockets, queue and all, to its successor. Where its main process alone has ended, its
//! workers may go on to accept there for a while, and would accept the probe.

use super::Runtime;
use super::copy::{Copy, Main};
use super::readiness::Watch;
use crate::notice::{Level, Notice};
use crate::spawn::ProcessTable;
use crate::words::{GenerationId, Moment};

impl Runtime {
    /// While processes of an earlier generation have sockets of this candidate open, it is not asked whether it accepts there.
    /// Afterwards it is, and at the latest when it has had time to settle: they may take long to finish, and it is not to fail
    /// for their sake.
    pub(super) fn put_off_by_survivors(&mut self, generation: GenerationId, now: Moment) -> bool {
        let connects = |copy: &Copy| copy.doubted || copy.watch.as_ref().is_some_and(Watch::connects);
        let Some(copy) = self.copies.get(&generation).filter(|copy| copy.inherits && connects(copy)) else {
            return false;
        };
        let patient = copy.watch.as_ref().is_some_and(|watch| watch.is_young(now));
        let other = if patient { self.survivors_at(generation) } else { None };
        let Some(copy) = self.copies.get_mut(&generation) else { return false };
        let doubted = std::mem::replace(&mut copy.doubted, other.is_some());
        // Nobody gets them open who has not.
        copy.inherits = other.is_some();
        if let (Some(watch), Some(_)) = (&mut copy.watch, other) {
            watch.put_off(&mut self.listeners, now);
        }
        match other {
            Some(other) if !doubted => {
                let text = format!(
                    "processes of generation {other} still have the sockets that are generation {generation}'s now: whether \
                     that one accepts is seen when they have let them go, or in a while"
                );
                self.tell(&Notice::Note { level: Level::Normal, text });
            }
            None if doubted => {
                let (plan, known) = (self.plan_of(generation), self.known_of(generation));
                if let Some(watch) = self.copies.get_mut(&generation).and_then(|copy| copy.watch.as_mut()) {
                    watch.look_anew(&plan, known, &mut self.listeners, now);
                }
            }
            _ => {}
        }
        other.is_some()
    }

    /// Whether a process that this ended generation has left has its sockets open.
    pub(super) fn left_its_seats(&mut self, ended: GenerationId) -> bool {
        let sockets = self.listeners.own_sockets(ended);
        self.copies.get_mut(&ended).is_some_and(|copy| copy.tree.holds_any(&ProcessTable::read(), &sockets))
    }

    /// A generation without a main process that has sockets of this one open.
    fn survivors_at(&mut self, generation: GenerationId) -> Option<GenerationId> {
        let ended = |copy: &&mut Copy| copy.generation != generation && matches!(copy.main, Main::Ended);
        let mut ended = self.copies.values_mut().filter(ended).peekable();
        ended.peek()?;
        let (sockets, table) = (self.listeners.own_sockets(generation), ProcessTable::read());
        ended.find_map(|copy| copy.tree.holds_any(&table, &sockets).then_some(copy.generation))
    }
}
