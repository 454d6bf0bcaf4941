//! Real processes: a real endless, real targets, real clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

#[path = "../support/mod.rs"]
mod support;

mod capture;
mod exhaustion;
mod exit_codes;
mod faults;
mod listeners;
mod lost;
mod probation;
mod respawn;
mod restart;
mod retiring;
mod stopping;
mod storm;
