//! The protocol `puma`: PUMA_INHERIT_0 and so on, `FD:URL`, by which puma hands its sockets to its own successor. The URL is
//! compared with the text of `-b`; where no host was given it is the one puma itself would write.

use super::{Facts, Variable};
use crate::listener::BoundAddress;

/// One variable a listener.
pub(super) fn variables(facts: &Facts<'_>) -> Vec<Variable> {
    let all = facts.held.iter().zip(facts.numbers).enumerate();
    all.map(|(place, (held, number))| {
        let written = held.written();
        let url = match held.address {
            BoundAddress::Tcp(_) | BoundAddress::Udp(_) => {
                let (host, port) = written.rsplit_once(':').unwrap_or(("", &written));
                format!("tcp://{}:{port}", if matches!(host, "" | "*") { "0.0.0.0" } else { host })
            }
            _ => format!("unix://{written}"),
        };
        (format!("PUMA_INHERIT_{place}").into(), Ok(format!("{number}:{url}").into()))
    })
    .collect()
}
