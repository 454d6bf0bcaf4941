//! Real processes: a real endless, real targets, real clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

#[path = "../support/mod.rs"]
mod support;

mod booted;
mod capture;
mod check;
mod claimed;
mod config;
mod confined;
mod control;
mod datagrams;
mod deserted;
mod diagnoses;
mod disk;
mod drain;
mod events;
mod exhaustion;
mod exit_codes;
mod faults;
mod files;
mod handoff;
mod kept;
mod listeners;
mod lost;
mod notify;
mod output;
mod outside;
mod pid1;
mod presets;
mod probation;
mod process;
mod protocols;
mod readiness;
mod respawn;
mod restart;
mod retiring;
mod signals;
mod stopping;
mod storm;
mod systemd;
mod terminal;
mod unix_names;
mod unix_paths;
mod upgrade;
mod watch;
mod wrappers;
