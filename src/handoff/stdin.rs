//! The protocol `stdin`: the one listener is descriptor 0, as with inetd's wait style, FastCGI and `inheritedChannel`.

use crate::plan::ListenerSpec;

/// The number of the only listener's descriptor. The plan has made sure that it is not put elsewhere.
pub(super) fn number(only: &ListenerSpec) -> i32 {
    only.options.fd.unwrap_or(0)
}
