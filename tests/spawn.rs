//! Processes made for real: what a child is, what it reports, and that nothing of it is left.
//!
//! The tests take turns, for they wait for any child, and a child of another test is one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

#[path = "spawn/support.rs"]
mod support;

#[path = "spawn/again.rs"]
mod again;
#[path = "spawn/child.rs"]
mod child;
#[path = "spawn/descriptors.rs"]
mod descriptors;
#[path = "spawn/failures.rs"]
mod failures;
#[path = "spawn/signals.rs"]
mod signals;
#[path = "spawn/sockets.rs"]
mod sockets;
#[path = "spawn/tree.rs"]
mod tree;
