//! `--capture`: whether endless looks at the sockets a copy binds by itself.

use super::error::Error;
use super::{ListenerSpec, value};

/// `--capture`, as it comes out for this plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// No filter is installed: the copy is left alone.
    #[default]
    Never,
    /// Only where it costs the copy nothing: where the filter needs no no_new_privs (seccomp(2)).
    IfFree,
    /// Where it can be; no_new_privs is set where the filter needs it.
    Always,
}

/// Reads `--capture`. `auto` depends on whether there are listeners to hand over instead.
pub(super) fn read(given: Option<&str>, listeners: &[ListenerSpec]) -> Result<Capture, Error> {
    let auto = if listeners.is_empty() { Capture::Always } else { Capture::Never };
    let words = [("auto", auto), ("always", Capture::Always), ("never", Capture::Never)];
    value::or("--capture", given, auto, |text| value::one_of(text, &words))
}
