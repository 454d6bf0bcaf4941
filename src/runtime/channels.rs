//! Where one copy says that it serves, beside its notify socket: einhorn's socket, a pipe.

use super::Runtime;
use super::ack::AckSocket;
use super::notify_place::NotifyPlace;
use crate::handoff::tableflip;
use crate::listener::Bound;
use crate::plan::protocol::{TABLEFLIP_NAMES, TABLEFLIP_READY};
use crate::plan::{Plan, Protocol, ReadyMode, Sign};
use crate::sys::carried::Kept;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read, write};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// endless' ends.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Channels {
    ack: Option<AckSocket>,
    /// The pipes the copy writes a byte to, and the copy's numbers for them.
    ready: Vec<(Kept<OwnedFd>, i32)>,
    /// The generation before it, and the pipe whose end tells tableflip that this one is gone.
    before: Option<(GenerationId, Kept<OwnedFd>)>,
}

/// The copy's ends and their numbers in it.
type Theirs = Vec<(OwnedFd, RawFd)>;

impl Channels {
    /// Makes what the plan needs for this copy. `before`: the generation that serves now.
    ///
    /// # Errors
    /// The step, as a verb phrase, and the kernel's answer.
    pub fn open(
        plan: &Plan,
        generation: GenerationId,
        before: Option<GenerationId>,
        place: Option<&NotifyPlace>,
        held: &[Bound],
    ) -> Result<(Channels, Theirs), (&'static str, Errno)> {
        let mut channels = Channels::default();
        let mut theirs = Vec::new();
        if plan.handoff.speaks(Protocol::Einhorn) {
            let made = place.ok_or(Errno::ENOENT).and_then(|place| place.ack_socket(generation));
            channels.ack = Some(made.map_err(|errno| ("open a socket for worker:ack", errno))?);
        }
        if plan.handoff.speaks(Protocol::Tableflip) {
            channels
                .make_tableflip(before, held, &mut theirs)
                .map_err(|errno| ("make the pipes of tableflip", errno))?;
        }
        if let ReadyMode::Fd(number) = plan.readiness.mode {
            let (read_end, write_end) = ready_pipe().map_err(|errno| ("make a pipe", errno))?;
            channels.ready.push((Kept(read_end), number));
            theirs.push((write_end, number));
        }
        Ok((channels, theirs))
    }

    fn make_tableflip(
        &mut self,
        before: Option<GenerationId>,
        held: &[Bound],
        theirs: &mut Theirs,
    ) -> Result<(), Errno> {
        let (read_end, write_end) = ready_pipe()?;
        self.ready.push((Kept(read_end), TABLEFLIP_READY));
        theirs.push((write_end, TABLEFLIP_READY));
        let (read_end, write_end) = filled_pipe(&tableflip::names(held))?;
        theirs.push((read_end, TABLEFLIP_NAMES));
        self.before = before.map(|before| (before, Kept(write_end)));
        Ok(())
    }

    /// What EINHORN_SOCK_PATH says.
    #[must_use]
    pub fn ack_path(&self) -> Option<&Path> {
        self.ack.as_ref().map(AckSocket::path)
    }

    /// What something may arrive on.
    pub fn waiting(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let ready = self.ready.iter().map(|(pipe, _)| pipe.as_fd());
        self.ack.iter().flat_map(AckSocket::waiting).chain(ready)
    }

    /// A generation is gone: where it was the one before, tableflip is told.
    pub fn gone(&mut self, generation: GenerationId) {
        self.before.take_if(|(before, _)| *before == generation);
    }

    /// The numbers of the pipes a byte has come through. A pipe is closed after that, or when the copy has closed it.
    fn wrote(&mut self) -> Vec<i32> {
        let mut numbers = Vec::new();
        self.ready.retain(|(pipe, number)| match read(pipe, &mut [0u8; 64]) {
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Ok(0) | Err(_) => false,
            Ok(_) => {
                numbers.push(*number);
                false
            }
        });
        numbers
    }
}

impl Runtime {
    /// Takes what a copy said on one of its channels.
    pub(super) fn channel_spoke(&mut self, generation: GenerationId) {
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        let acked = copy.channels.ack.as_mut().map(AckSocket::take).unwrap_or_default();
        let wrote = copy.channels.wrote();
        for sender in acked {
            if self.sent_by(generation, sender, "worker:ack") {
                self.said_ready(generation, Sign::Ack);
            }
        }
        for number in wrote {
            self.said_ready(generation, Sign::Pipe(number));
        }
    }
}

/// A pipe for one byte: our end does not block, the copy's end is ordinary.
fn ready_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read_end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read_end, write_end))
}

/// A pipe with something in it, made as large as that needs.
fn filled_pipe(content: &[u8]) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write_end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let size = fcntl(&write_end, FcntlArg::F_GETPIPE_SZ)?;
    if usize::try_from(size).is_ok_and(|size| size < content.len()) {
        let wanted = i32::try_from(content.len()).map_err(|_| Errno::EFBIG)?;
        fcntl(&write_end, FcntlArg::F_SETPIPE_SZ(wanted))?;
    }
    match write(&write_end, content)? {
        length if length == content.len() => Ok((read_end, write_end)),
        _ => Err(Errno::ENOSPC),
    }
}
