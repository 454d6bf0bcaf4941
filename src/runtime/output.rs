//! The target's output, where it goes through endless (`--output`): a pipe for each generation, appended to the file.

use super::Runtime;
use crate::notice::{Level, Notice};
use crate::report::Sink;
use crate::sys::carried::Kept;
use crate::words::{Failure, GenerationId, printable};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// So much of the end of what a generation printed is kept, for the case that it fails.
const TAIL: usize = 2048;
/// So many of its last lines are shown then.
const LAST_LINES: usize = 5;

/// The file, and the generations whose output is not at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Output {
    sink: Sink,
    open: BTreeMap<GenerationId, Pipe>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pipe {
    /// None after its end.
    read: Option<Kept<File>>,
    tail: Vec<u8>,
}

impl Output {
    pub(super) fn new(sink: Sink) -> Output {
        Output { sink, open: BTreeMap::new() }
    }

    /// The end a new generation writes to.
    pub(super) fn pipe(&mut self, generation: GenerationId) -> nix::Result<OwnedFd> {
        self.open.retain(|_, pipe| pipe.read.is_some());
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.open.insert(generation, Pipe { read: Some(Kept(File::from(read))), tail: Vec::new() });
        Ok(write)
    }

    /// Where something may arrive.
    pub(super) fn pipes(&self) -> impl Iterator<Item = (GenerationId, BorrowedFd<'_>)> {
        self.open.iter().filter_map(|(generation, pipe)| Some((*generation, pipe.read.as_ref()?.as_fd())))
    }

    /// Moves what a generation has printed, a bounded part of it. None when there is nothing; else the first failure of the
    /// file since it could be written.
    fn take(&mut self, generation: GenerationId) -> Option<std::io::Result<()>> {
        let pipe = self.open.get_mut(&generation)?;
        let mut part = [0u8; 64 * 1024];
        match pipe.read.as_mut()?.read(&mut part) {
            Ok(0) => {
                pipe.read = None;
                None
            }
            Ok(length) => {
                pipe.tail.extend_from_slice(&part[..length]);
                let surplus = pipe.tail.len().saturating_sub(TAIL);
                pipe.tail.drain(..surplus);
                Some(self.sink.write(&part[..length]))
            }
            Err(_) => None,
        }
    }

    /// The end of what a generation has printed.
    pub(super) fn tail(&self, generation: GenerationId) -> Option<&[u8]> {
        self.open.get(&generation).map(|pipe| &pipe.tail[..])
    }

    fn last_lines(&self, generation: GenerationId) -> Vec<String> {
        let Some(pipe) = self.open.get(&generation) else { return Vec::new() };
        let text = String::from_utf8_lossy(&pipe.tail);
        let lines: Vec<String> = text.lines().map(printable).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }
}

impl Runtime {
    /// What a new generation writes to, where its output goes through endless.
    pub(super) fn output_of(&mut self, generation: GenerationId) -> Result<Option<OwnedFd>, Failure> {
        let pipe = self.output.as_mut().map(|output| output.pipe(generation)).transpose();
        pipe.map_err(|errno| Failure::not_made("make a pipe for its output", errno))
    }

    /// A generation has printed something, or has ended.
    pub(super) fn printed(&mut self, generation: GenerationId) {
        let taken = self.output.as_mut().and_then(|output| output.take(generation));
        if let Some(Err(error)) = taken {
            let text = format!("--output cannot be written: {error}; what the target prints is lost until it can be");
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    /// A failed generation's last words, which tell why more often than not.
    pub(super) fn tell_last_lines(&mut self, generation: GenerationId) {
        self.printed(generation);
        for line in self.output.as_ref().map(|output| output.last_lines(generation)).unwrap_or_default() {
            let text = format!("generation {generation} printed: {line}");
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    /// At the end: what is still in the pipes.
    pub(super) fn drain_output(&mut self) {
        let Some(output) = &mut self.output else { return };
        for generation in output.open.keys().copied().collect::<Vec<_>>() {
            while output.take(generation).is_some() {}
        }
    }

    /// The action `reopen`.
    pub(super) fn reopen(&mut self) {
        let output = self.output.as_mut().map_or(Ok(()), |output| output.sink.reopen());
        let mut failed = self.reporter.reopen();
        failed.extend(output.err().map(|error| format!("--output cannot be opened again: {error}")));
        for text in failed {
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }
}
