//! `--capture`: whether endless looks at the sockets a copy binds by itself.

use super::error::Error;
use super::{Address, HandoffPlan, ListenerSpec, Plan, UnixName, handing, value};
use crate::cli::Args;
use std::ffi::OsString;

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

/// Reads `--capture`. `auto` depends on whether there are listeners to hand over instead, and on whether anything says that
/// the target `takes` them: then the filter would be of no use to it.
pub(super) fn read(given: Option<&str>, listeners: &[ListenerSpec], takes: bool) -> Result<Capture, Error> {
    let auto = match takes {
        _ if listeners.is_empty() => Capture::Always,
        true => Capture::Never,
        false => Capture::IfFree,
    };
    let words = [("auto", auto), ("always", Capture::Always), ("never", Capture::Never)];
    value::or("--capture", given, auto, |text| value::one_of(text, &words))
}

/// Whether the command line says that the target takes the sockets it is handed: by a preset, by a protocol that is none of
/// the defaults, or by the number of a descriptor in its arguments.
pub(super) fn takes_sockets(args: &Args, handoff: &HandoffPlan) -> bool {
    let asks = |argument: &OsString| handoff.expand && argument.to_string_lossy().contains("{fd");
    let chosen = !handoff.protocols.is_empty() && handoff.protocols != handing::DEFAULT;
    args.listeners.preset.is_some() || chosen || args.command.iter().any(asks)
}

impl Plan {
    /// Whether the target's removing of files is looked at, too: Unix paths need that, and nothing else pays for it.
    #[must_use]
    pub fn captures_paths(&self) -> bool {
        let may_be_path = |spec: &ListenerSpec| {
            matches!(spec.address, Address::Unix { name: UnixName::Path(_), .. } | Address::Inherited(_))
        };
        self.capture == Capture::Always || self.listeners.iter().any(may_be_path)
    }
}
