//! The simulation: tens of thousands of random lives of the supervisor, and the stories everybody should know.
//!
//! There is no socket, no process and no real time here. A world (`world`) of good and bad targets (`target`) carries out
//! the supervisor's actions and owes it events on a coarse clock, so that things coincide. An onlooker (`ledger`, `notes`) writes
//! down what is told and done, and checks the numbered promises of ARCHITECTURE.md: at each action (`promises`), after each
//! step and as time passes (`steps`). `stories` are readable tables of single lives.
//!
//! A failure prints, for each kind of breach, the shortest life in which it was seen. `ENDLESS_SIM_SEED=N` tells one
//! life whole; `ENDLESS_SIM_LIVES=N` sets how many are lived.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

mod dice;
mod ledger;
mod life;
mod notes;
mod promises;
mod steps;
mod stories;
mod tally;
mod target;
mod teller;
mod world;

use life::{Lived, describe, live};
use std::collections::BTreeMap;
use tally::{EXPECTED, Tally};

/// How many lives a run lives: fewer with the debug build's slower code.
const LIVES: u64 = if cfg!(debug_assertions) { 20_000 } else { 40_000 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The shortest failing life of each kind of breach, and how many there were.
#[derive(Default)]
struct Failures(BTreeMap<(u8, String), (u64, u64, u64)>);

impl Failures {
    fn add(&mut self, seed: u64, lived: &Lived) {
        let Err(broken) = &lived.kept else { return };
        let kind: String = broken.1.chars().filter(|one| !one.is_ascii_digit()).collect();
        let (times, shortest, steps) = self.0.entry((broken.0, kind)).or_insert((0, seed, lived.steps));
        *times += 1;
        if lived.steps < *steps {
            (*shortest, *steps) = (seed, lived.steps);
        }
    }

    /// Takes what another thread has found.
    fn merge(&mut self, other: Failures) {
        for (kind, (times, seed, steps)) in other.0 {
            let known = self.0.entry(kind).or_insert((0, seed, steps));
            known.0 += times;
            if steps < known.2 {
                (known.1, known.2) = (seed, steps);
            }
        }
    }

    fn tell(&self) -> String {
        let mut text = String::new();
        for (times, seed, _) in self.0.values() {
            let lived = live(*seed, true);
            if let Err(broken) = &lived.kept {
                text += &format!("\n{times} x {}", describe(*seed, broken, &lived.trace));
            }
        }
        text
    }
}

/// What some lives came to.
#[derive(Default)]
struct Lives {
    failures: Failures,
    tally: Tally,
    steps: u64,
}

impl Lives {
    fn lived(seeds: impl Iterator<Item = u64>) -> Lives {
        let mut all = Lives::default();
        for seed in seeds {
            let lived = live(seed, false);
            all.failures.add(seed, &lived);
            all.tally.add(&lived.tally);
            all.steps += lived.steps;
        }
        all
    }

    fn merge(mut self, other: Lives) -> Lives {
        self.failures.merge(other.failures);
        self.tally.add(&other.tally);
        self.steps += other.steps;
        self
    }
}

#[test]
fn random_lives_keep_the_promises() {
    if let Some(seed) = number("ENDLESS_SIM_SEED") {
        let lived = live(seed, true);
        println!("{}", lived.trace.join("\n"));
        assert!(lived.kept.is_ok(), "life {seed}: {:?}", lived.kept);
        return;
    }
    let lives = number("ENDLESS_SIM_LIVES").unwrap_or(LIVES);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let Lives { failures, tally, steps } = std::thread::scope(|scope| {
        let part = |first| scope.spawn(move || Lives::lived((first..=lives).step_by(threads)));
        let parts: Vec<_> = (1..).take(threads).map(part).collect();
        parts.into_iter().map(|part| part.join().expect("a life panicked")).fold(Lives::default(), Lives::merge)
    });
    println!("{lives} lives, {steps} steps: {:?}", tally.0);
    assert!(failures.0.is_empty(), "{}\nENDLESS_SIM_SEED=N tells life N whole", failures.tell());
    let rare: Vec<_> =
        EXPECTED.iter().filter(|what| tally.0.get(*what).is_none_or(|times| *times < lives / 1000)).collect();
    assert!(rare.is_empty(), "these hardly happen: {rare:?}");
}
