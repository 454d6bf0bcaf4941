//! Lines for a stderr that may be read slowly, or not at all for a while: a terminal that was stopped with Ctrl-S, a pipe
//! whose reader hangs. endless has more to do than to wait for that.

use crate::sys::poll;
use nix::poll::{PollFlags, PollTimeout};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;

/// So much is kept for when there is room again. What comes then is lost, and how much is said.
const MOST: usize = 64 * 1024;
/// Where a pipe has room at all, it has it for this much (PIPE_BUF, pipe(7)).
const AT_ONCE: usize = 4096;
/// Milliseconds for the last words.
const LAST: u16 = 1000;

/// Lines that are still to be written, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Voice {
    held: RefCell<Vec<u8>>,
    lost: Cell<usize>,
}

impl Voice {
    /// Writes a line, as soon as what came before it is written. Never waits. Errors are ignored. `lost` says how many were.
    pub fn say(&self, line: &[u8], to: impl AsFd, lost: impl Fn(usize) -> String) {
        let mut held = self.held.borrow_mut();
        if held.len() + line.len() > MOST {
            self.lost.set(self.lost.get() + 1);
        } else {
            held.extend_from_slice(line);
        }
        drop(held);
        self.go_on(to, lost);
    }

    /// Writes what there is room for.
    pub fn go_on(&self, to: impl AsFd, lost: impl Fn(usize) -> String) {
        let mut held = self.held.borrow_mut();
        let mut done = 0;
        while done < held.len() && has_room(&to, PollTimeout::ZERO) {
            let part = &held[done..held.len().min(done + AT_ONCE)];
            match nix::unistd::write(&to, part) {
                Ok(length) => done += length,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => done = held.len(),
            }
        }
        held.drain(..done);
        if held.is_empty() && self.lost.get() > 0 {
            held.extend_from_slice(lost(self.lost.take()).as_bytes());
        }
    }

    /// Writes what is left, and waits for room, but no longer than [`LAST`] for the next part.
    pub fn finish(&self, to: impl AsFd, lost: impl Fn(usize) -> String) {
        while self.waits() && has_room(&to, PollTimeout::from(LAST)) {
            self.go_on(&to, &lost);
        }
    }

    /// True while something waits for room.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.held.borrow().is_empty()
    }
}

fn has_room(to: &impl AsFd, wait: PollTimeout) -> bool {
    poll::state(to, PollFlags::POLLOUT, wait).map_or(true, |state| !state.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_there_is_no_room_for_comes_later_and_in_order() {
        let (mut read, write) = std::io::pipe().unwrap();
        let voice = Voice::default();
        let count = 3000;
        let lost = |count: usize| format!("lost {count}\n");
        (0..count).for_each(|number| voice.say(format!("{number:099}\n").as_bytes(), &write, lost));
        assert!(voice.waits());
        let mut text = Vec::new();
        while voice.waits() {
            let mut part = [0; 8192];
            let length = read.read(&mut part).unwrap();
            text.extend_from_slice(&part[..length]);
            voice.go_on(&write, lost);
        }
        drop(write);
        read.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (last, lines) = lines.split_last().unwrap();
        assert_eq!(*last, format!("lost {}", count - lines.len()));
        assert!(lines.iter().enumerate().all(|(at, line)| line.parse() == Ok(at)));
    }

    #[test]
    fn a_reader_that_is_gone_is_not_waited_for() {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let voice = Voice::default();
        voice.say(b"x\n", &write, |count| count.to_string());
        assert!(!voice.waits());
        (&write).flush().unwrap();
    }
}
