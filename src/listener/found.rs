//! The first socket of an address that is to have seats.
//!
//! It is bound as the only one of its address, so that a busy address is an error; the program is on its group before the
//! first client can come, so that a stranger who joins the group later gets nothing. Where there are very many groups, it
//! comes when the first copy has been started ([`super::steered::Steered::complete`]).

use super::error::{During, Fault};
use super::inet::{Place, Transport};
use super::options::begin_to_listen;
use super::program::Steering;
use super::programs::Programs;
use crate::plan::SocketOptions;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use std::os::fd::{AsFd, OwnedFd};

/// The program on a group, or why there can be none.
pub(super) type Attached = Result<Option<Steering>, Errno>;

/// The first socket of an address, alone there, with the program that sends everybody to it, unless that can wait.
pub(super) fn found(
    place: Place,
    options: &SocketOptions,
    programs: &Programs,
) -> Result<(OwnedFd, Place, Attached), Fault> {
    let join = |socket: &OwnedFd| {
        setsockopt(socket, sockopt::ReusePort, &true)?;
        if place.transport == Transport::Tcp && programs.can_wait() {
            return Ok(None);
        }
        let everybody = Steering::default();
        programs.put(socket.as_fd(), &everybody).map(|()| Some(everybody))
    };
    if place.transport == Transport::Udp {
        // A socket that has a group of its own before it is bound shares its address with nobody, with the flag or
        // without (udp_lib_lport_inuse in the kernel): a busy port is an error here too.
        return match place.bind(options, |socket| join(socket).map(drop).during("steer it")) {
            Ok((socket, place)) => Ok((socket, place, Ok(Some(Steering::default())))),
            Err(Fault { step: "steer it", errno }) => {
                let (socket, place) = place.bind(options, |_| Ok(()))?;
                Ok((socket, place, Err(errno)))
            }
            Err(fault) => Err(fault),
        };
    }
    let (socket, place) = place.bind(options, |_| Ok(()))?;
    let steered = join(&socket);
    if steered.is_err() {
        setsockopt(&socket, sockopt::ReusePort, &false).during("clear SO_REUSEPORT")?;
    }
    begin_to_listen(&socket, options)?;
    Ok((socket, place, steered))
}
