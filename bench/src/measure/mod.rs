//! What is measured: one file for each thing a user would notice.

pub mod idle;
pub mod latency;
pub mod launch;
pub mod lost;
pub mod scale;
pub mod storm;
