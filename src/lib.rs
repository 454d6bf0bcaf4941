//! endless: zero-downtime restarts for any server.
//!
//! The modules, in reading order, are the picture in ARCHITECTURE.md:
//!
//! ```text
//! argv, env -> cli -> plan -> listener -> runtime ------------------------> exit status
//!              shape  checked  bound or    |   ^
//!              only   once     adopted     v   |  the only cycle in the program
//!                                Event + now -> supervisor -> Action
//! ```
//!
//! `words` and `notice` are the vocabulary every room shares; `sys` holds the only `unsafe`.

#[forbid(unsafe_code)]
pub mod words;

#[forbid(unsafe_code)]
pub mod notice;

#[forbid(unsafe_code)]
pub mod cli;

#[forbid(unsafe_code)]
pub mod control;

#[forbid(unsafe_code)]
pub mod plan;

#[forbid(unsafe_code)]
pub mod listener;

#[forbid(unsafe_code)]
pub mod handoff;

#[forbid(unsafe_code)]
pub mod supervisor;

#[forbid(unsafe_code)]
pub mod report;

#[forbid(unsafe_code)]
pub mod spawn;

#[forbid(unsafe_code)]
pub mod runtime;

#[forbid(unsafe_code)]
pub mod client;

pub mod sys;
