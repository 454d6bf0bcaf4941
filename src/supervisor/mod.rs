//! All decisions. The supervisor is a value: events and the time go in, actions come out.
//!
//! It holds no clock, no descriptor, no pid and no path, so that every order of events can be played in a test. A failed
//! action comes back as an event. The numbered promises it keeps stand in ARCHITECTURE.md.

pub mod event;

pub use event::{Action, Event, HookContext, HookRun, Outcome, Request, Seats, StopReason, Ticket, What};
