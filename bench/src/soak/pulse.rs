//! Whether the machine lets processes start and end: one that does nothing is run again and again, and what took long is kept.
//!
//! A thread that only sleeps and looks does not see when that stops: it goes on.

use crate::system;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// What is shorter is not kept.
const LONG: u64 = 100_000_000;

/// From when to when, of those that took long.
static LONG_ONES: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// When the one that runs now was started; never, if none runs.
static BEGAN: AtomicU64 = AtomicU64::new(u64::MAX);

/// Runs them until the deadline (`system::now`).
pub fn beat(deadline: u64) {
    while system::now() < deadline {
        let began = system::now();
        BEGAN.store(began, Ordering::Relaxed);
        let _ = Command::new("true").status();
        let ended = system::now();
        BEGAN.store(u64::MAX, Ordering::Relaxed);
        if ended - began >= LONG {
            LONG_ONES.lock().expect("nobody panics").push((began, ended));
        }
        sleep(Duration::from_millis(50));
    }
}

/// How long the longest took that ran between these two; 0 if none took long.
pub fn longest(from: u64, to: u64) -> u64 {
    let running = (BEGAN.load(Ordering::Relaxed), system::now());
    let ended = LONG_ONES.lock().expect("nobody panics");
    let between = ended.iter().chain([&running]).filter(|(began, ended)| *began <= to && *ended >= from);
    between.map(|(began, ended)| ended - began).filter(|took| *took >= LONG).max().unwrap_or(0)
}
