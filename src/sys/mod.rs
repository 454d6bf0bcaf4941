//! The only `unsafe` in the program: what nix does not offer, each behind a safe face with its argument.

pub mod bpf;
pub mod carried;
#[forbid(unsafe_code)]
pub mod clock;
pub mod descriptors;
pub mod exec;
pub mod memory;
pub mod names;
pub mod poll;
pub mod process;
pub mod seccomp;
pub mod signals;
pub mod socket;
pub mod start;
pub mod terminal;
