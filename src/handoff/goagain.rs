//! The protocol `goagain`, as programs of the Go library rcrowley/goagain read it: one descriptor of any number, its name, and
//! whom to tell by which signal that the program serves. With GOAGAIN_PID empty that is GOAGAIN_PPID.

use super::{Facts, Variable, plain};
use crate::listener::BoundAddress;
use crate::plan::protocol::GOAGAIN_SIGNAL;
use std::ffi::OsString;

/// All of them.
pub(super) fn variables(facts: &Facts<'_>) -> Vec<Variable> {
    let (Some(number), Some(held)) = (facts.numbers.first(), facts.held.first()) else { return Vec::new() };
    let kind = match held.address {
        BoundAddress::Tcp(_) => "tcp",
        _ => "unix",
    };
    let mut name = OsString::from(kind);
    name.push(":");
    name.push(held.address.plain());
    name.push("->");
    vec![
        plain("GOAGAIN_FD", number.to_string()),
        plain("GOAGAIN_NAME", name),
        plain("GOAGAIN_PID", ""),
        plain("GOAGAIN_PPID", facts.endless.to_string()),
        plain("GOAGAIN_SIGNAL", GOAGAIN_SIGNAL.0.to_string()),
    ]
}
