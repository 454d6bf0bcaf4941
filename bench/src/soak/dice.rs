//! Random numbers that are the same for the same seed (xorshift64).

use std::time::Duration;

pub struct Dice(u64);

impl Dice {
    /// A row of its own for each `stream` of a seed.
    pub fn new(seed: u64, stream: u64) -> Dice {
        let mut dice = Dice((seed << 8 | stream).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        dice
    }

    /// One of 0, 1, ... `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize]
    }

    /// Up to so many milliseconds.
    pub fn within(&mut self, millis: u64) -> Duration {
        Duration::from_micros(self.below(millis * 1000))
    }
}
