//! One poll(2): every descriptor something can arrive on, and the nearest deadline.

use super::control::{ClientId, Control};
use super::copy::{Copy, Main};
use super::manager::Manager;
use super::output::Output;
use super::watch::Watching;
use super::{Runtime, clock};
use crate::supervisor::Event;
use crate::sys::memory;
use crate::words::{GenerationId, Moment};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd;
use std::time::Duration;

/// Memory is given back at most this often.
const REST: Duration = Duration::from_secs(1);

/// Where not all can be waited for at once, each part is for this long.
const CROWDED: Duration = Duration::from_millis(20);

/// What a descriptor in the poll set is.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Report(GenerationId),
    Notify(GenerationId),
    /// Hung up when no process is left under the filter.
    Capture(GenerationId, bool),
    Channel(GenerationId),
    Printed(GenerationId),
    /// A listener where a client of the active generation is waited for, by its place.
    Waiting(usize),
    /// A listener where the active generation has a socket it made, by its place.
    Made(usize),
    Door,
    Watched,
    /// There is room on stderr for what is still to be said.
    Room,
    /// Gone when it has closed its end.
    Client(ClientId, bool),
}

impl Source {
    /// The same with what its descriptor said.
    fn with(self, events: PollFlags) -> Source {
        match self {
            Source::Capture(generation, _) => Source::Capture(generation, !events.contains(PollFlags::POLLIN)),
            Source::Client(id, _) => Source::Client(id, events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)),
            source => source,
        }
    }
}

impl Runtime {
    /// Sleeps until something happens or is due, and turns it into events.
    pub(super) fn wait(&mut self) {
        self.counted = None;
        for source in self.poll() {
            match source {
                Source::Signals => {
                    for received in self.signals.take() {
                        self.signal_received(received);
                    }
                }
                Source::Report(generation) => self.executed(generation),
                Source::Notify(generation) => self.notified(generation),
                Source::Capture(generation, over) => self.capture_ready(generation, over),
                Source::Channel(generation) => self.channel_spoke(generation),
                Source::Printed(generation) => self.printed(generation),
                Source::Waiting(listener) => self.somebody_waits(listener),
                Source::Made(listener) => self.somebody_came(listener),
                Source::Door => self.clients_arrive(),
                Source::Watched => self.files_changed(),
                Source::Room => self.reporter.go_on(),
                Source::Client(id, gone) => self.client_speaks(id, gone),
            }
        }
        let now = clock::now();
        self.look_at_candidates(now);
        self.look_at_late_candidates(now);
        self.look_at_suspect(now);
        self.look_at_deserted(now);
        self.look_at_drains(now);
        self.run_checks(now);
        self.hooks.kill_overdue(now);
        self.look_at_upgrade(now);
        self.look_at_changes(now);
        if let Some(control) = &mut self.control {
            control.expire(now);
        }
        if let Some(manager) = &mut self.manager {
            manager.tick(now);
        }
        if self.look_again.is_some_and(|at| at <= now) {
            self.reap();
        }
        if self.supervisor.next_deadline().is_some_and(|at| at <= now) {
            self.events.push_back(Event::Tick);
        }
    }

    fn poll(&mut self) -> Vec<Source> {
        let due = self.next_deadline();
        let now = clock::now();
        let rest = self.rest_due(now);
        let rests = rest.is_some_and(|at| at <= now);
        let look = due.into_iter().chain(rest.filter(|_| !rests)).min();
        if let Some(place) = self.notify_place.as_mut().filter(|_| rests) {
            place.sweep();
        }
        let (sources, mut fds) = self.poll_set();
        if rests {
            // Here, and not earlier: each function that runs afterwards brings sixteen pages back.
            memory::release_code_pages();
        }
        wait_for(&mut fds, look.map(|at| TimeSpec::from_duration(at.since(now))));
        let happened = |fd: &PollFd<'_>| fd.revents().filter(|events| !events.is_empty());
        let ready = sources.into_iter().zip(&fds).filter_map(|(source, fd)| Some((source, happened(fd)?)));
        let ready: Vec<Source> = ready.map(|(source, events)| source.with(events)).collect();
        if rests {
            (self.awake, self.rested) = (false, Some(now));
        }
        self.awake |= !ready.is_empty() || due.is_some_and(|at| at <= clock::now());
        ready
    }

    /// When memory is given back: as soon as nothing is to be waited for in a start, a restart or a stop, so that an idle
    /// endless does not wake for it, and [`REST`] after the last time. None when it is given back already.
    fn rest_due(&self, now: Moment) -> Option<Moment> {
        let busy = self.supervisor.active().is_none() || self.supervisor.next_deadline().is_some();
        (self.awake && !busy).then(|| self.rested.map_or(now, |rested| rested + REST))
    }

    fn poll_set(&self) -> (Vec<Source>, Vec<PollFd<'_>>) {
        let mut sources = vec![Source::Signals];
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        for copy in self.copies.values() {
            if let Main::Starting { report, .. } = &copy.main {
                sources.push(Source::Report(copy.generation));
                fds.push(PollFd::new(report.as_fd(), PollFlags::POLLIN));
            }
            if let Some(notify) = &copy.notify {
                sources.push(Source::Notify(copy.generation));
                fds.push(PollFd::new(notify.as_fd(), PollFlags::POLLIN));
            }
            for fd in copy.channels.waiting() {
                sources.push(Source::Channel(copy.generation));
                fds.push(PollFd::new(fd, PollFlags::POLLIN));
            }
        }
        for (generation, capture) in &self.captures {
            sources.push(Source::Capture(*generation, false));
            fds.push(PollFd::new(capture.as_fd(), PollFlags::POLLIN));
        }
        for (generation, pipe) in self.output.iter().flat_map(Output::pipes) {
            sources.push(Source::Printed(generation));
            fds.push(PollFd::new(pipe, PollFlags::POLLIN));
        }
        let unseen = self.unseen().map(|(listener, seat)| (Source::Waiting(listener), seat));
        for (source, seat) in unseen.chain(self.made().map(|(listener, seat)| (Source::Made(listener), seat))) {
            sources.push(source);
            fds.push(PollFd::new(seat, PollFlags::POLLIN));
        }
        if let Some(control) = &self.control {
            if let Some(door) = control.door() {
                sources.push(Source::Door);
                fds.push(PollFd::new(door, PollFlags::POLLIN));
            }
            for (id, client, flags) in control.clients() {
                sources.push(Source::Client(id, false));
                fds.push(PollFd::new(client, flags));
            }
        }
        if let Some(watching) = &self.watching {
            sources.push(Source::Watched);
            fds.push(PollFd::new(watching.as_fd(), PollFlags::POLLIN));
        }
        if let Some(stderr) = self.reporter.waits_for_room() {
            sources.push(Source::Room);
            fds.push(PollFd::new(stderr, PollFlags::POLLOUT));
        }
        (sources, fds)
    }

    fn next_deadline(&self) -> Option<Moment> {
        let executing = self.copies.values().filter(|copy| matches!(copy.main, Main::Running));
        let watches = executing.filter_map(|copy| copy.watch.as_ref()?.next());
        let drains = self.copies.values().filter_map(|copy| copy.drain.as_ref()?.next);
        let progress = self.copies.values().filter_map(|copy| Some(copy.progress.as_ref()?.next));
        let manager = self.manager.as_ref().and_then(Manager::next_deadline);
        let clients = self.control.as_ref().and_then(Control::next_deadline);
        let late = self.copies.values().filter(|copy| copy.watch.is_some());
        let closer = late.filter_map(|copy| copy.look_closer);
        let others = [
            self.supervisor.next_deadline(),
            self.hooks.next_deadline(),
            self.look_again,
            clients,
            manager,
            self.upgrade_deadline(),
            self.watching.as_ref().and_then(Watching::next_deadline),
            self.suspect_due(),
            self.status_again(),
            self.deserted_due(),
        ];
        let checks = self.copies.values().filter(|copy| copy.executes()).filter_map(|copy| copy.check.as_ref()?.next());
        watches.chain(drains).chain(progress).chain(checks).chain(closer).chain(others.into_iter().flatten()).min()
    }

    fn look_at_candidates(&mut self, now: Moment) {
        // Before it is the target it can accept nothing, and on one processor our looking would only hold it up.
        let due = |copy: &&Copy| {
            matches!(copy.main, Main::Running) && copy.watch.as_ref().is_some_and(|watch| watch.is_due(now))
        };
        let due: Vec<GenerationId> = self.copies.values().filter(due).map(|copy| copy.generation).collect();
        for generation in due {
            if self.put_off_by_survivors(generation, now) {
                continue;
            }
            let watch = self.copies.get_mut(&generation).and_then(|copy| copy.watch.as_mut());
            let Some(sign) = watch.and_then(|watch| watch.look(now, &mut self.listeners)) else { continue };
            // What it has said before counts first.
            self.notified(generation);
            self.channel_spoke(generation);
            self.events.push_back(Event::Ready(generation, sign));
        }
    }
}

/// ppoll(2). It takes no more descriptors than may be open (EINVAL), and somebody may have lowered that limit for us
/// (prlimit(2)): then as many are waited for as go, for a moment only, in turn.
fn wait_for(fds: &mut [PollFd<'_>], timeout: Option<TimeSpec>) {
    // An interrupted wait is as good as one in which nothing happened: the signal is in the pipe.
    if ppoll(fds, timeout, None) != Err(Errno::EINVAL) {
        return;
    }
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(1, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX));
    let moment = TimeSpec::from_duration(CROWDED.min(timeout.map_or(CROWDED, Duration::from)));
    for part in fds.chunks_mut(most.max(1)) {
        let _ = ppoll(part, Some(moment), None);
    }
}
