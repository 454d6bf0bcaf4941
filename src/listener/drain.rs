//! The end of a drain: nobody waits at a generation's seats any more, and nobody can come to.
//!
//! A handshake that was half done when new connections were steered away still ends at the old seat. So the half-open
//! handshakes of that moment are written down, and the drain lasts until each of them is done or given up.

use super::diag::{Diag, Ends, State};
use super::inet::Transport;
use super::listeners::Listeners;
use super::port::Port;
use super::queue::anybody_waits;
use crate::words::GenerationId;

/// Watches one generation's seats. Begin it right after new connections were steered elsewhere.
#[derive(Debug)]
pub struct DrainWatch {
    generation: GenerationId,
    half_open: Vec<Ends>,
    diag: Option<Diag>,
}

impl Listeners {
    /// Writes down the half-open handshakes of this moment at the listeners where the generation has seats of its own.
    /// Where the kernel does not tell (no netlink), only the queues count.
    #[must_use]
    pub fn begin_drain(&self, generation: GenerationId) -> DrainWatch {
        let mut ports = self.tcp_ports(generation);
        ports.sort_unstable();
        let diag = if ports.is_empty() { None } else { Diag::open().ok() };
        let half_open = diag.as_ref().and_then(|diag| diag.half_open(&ports).ok()).unwrap_or_default();
        DrainWatch { generation, half_open, diag }
    }

    fn tcp_ports(&self, generation: GenerationId) -> Vec<u16> {
        let port = |port: &Port| match port {
            Port::Steered(steered) if steered.place().transport == Transport::Tcp => {
                steered.seat(generation).map(|_| steered.place().at.port())
            }
            Port::Captured(captured) if captured.place().transport == Transport::Tcp => {
                captured.has(generation).then(|| captured.place().at.port())
            }
            _ => None,
        };
        self.list.iter().filter_map(|listener| port(&listener.port)).collect()
    }
}

impl DrainWatch {
    /// True when no handshake of the beginning is still half open and the queues of the generation's own seats are empty.
    /// Cheap: it asks the kernel about one handshake at a time.
    pub fn over(&mut self, listeners: &Listeners) -> bool {
        while let (Some(diag), Some(ends)) = (&self.diag, self.half_open.last()) {
            if diag.state(*ends) == Ok(State::HalfOpen) {
                return false;
            }
            self.half_open.pop();
        }
        !anybody_waits(listeners.list.iter().flat_map(|listener| listener.own_seats(self.generation)))
    }
}
