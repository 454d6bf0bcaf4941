//! The listeners: bound once, open for as long as endless lives, with a seat for every generation.
//!
//! A *seat* is the socket one generation has at a listener. TCP and UDP seats are sockets of their own in one SO_REUSEPORT
//! group, and a classic BPF program on the group says which of them new connections go to (socket(7)). Unix seats are
//! bound at private names, and the public path is renamed from one to the next. Where that cannot be, all generations share
//! one socket. endless keeps its own descriptor of every seat, so a copy that crashes loses nothing that waits there.

mod bound;
mod captured;
mod captured_name;
mod captured_path;
mod capturing;
mod carrier;
mod census;
mod change;
mod claimed;
mod client;
mod connection;
mod deserted;
mod diag;
mod drain;
mod error;
mod found;
mod group;
mod half_close;
mod holder;
mod hushed;
mod inet;
mod inherited;
mod left;
mod limit;
mod listeners;
mod options;
mod places;
mod port;
mod probe;
mod program;
mod programs;
mod queue;
mod renamed;
mod rights;
mod said;
mod servers;
mod shared;
mod steered;
mod substitute;
mod tcp_table;
mod unbound;
mod unix_name;
mod unix_path;
mod unix_table;
mod untaken;

#[cfg(test)]
mod tests;

pub use bound::{Bound, BoundAddress};
pub use captured_path::Maker;
pub use capturing::{Asker, Verdict};
pub use change::Change;
pub use client::ProbeStream;
pub use drain::DrainWatch;
pub use error::{BindError, Fault, Holder, Problem};
pub use holder::listening_ports;
pub use inet::has_ipv6;
pub use inherited::{Inherited, inherited};
pub use limit::{leaves_none, raise_file_limit};
pub use listeners::Listeners;
pub use probe::{Probe, ProbeState};
pub use substitute::Theirs;
pub use unix_name::name_of;
pub use untaken::Untaken;
