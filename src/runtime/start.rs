//! Starting a generation: seats, notify socket, hand-off, process.

use super::Runtime;
use super::capture::Capture;
use super::channels::Channels;
use super::clock;
use super::copy::Copy;
use super::diagnosis::LOOK_AFTER;
use super::exec_check::ExecCheck;
use super::image::Variables;
use super::notify::NotifySocket;
use super::readiness::{Known, Watch};
use crate::listener::leaves_none;
use crate::notice::{Level, Notice};
use crate::spawn::{self, Launch, Tree};
use crate::supervisor::{Event, Seats};
use crate::words::{Failure, GenerationId};
use nix::libc::RLIMIT_NOFILE;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::Path;
use std::time::Duration;

impl Runtime {
    /// Starts a generation, or says why not; both come back as events.
    pub(super) fn start(&mut self, generation: GenerationId, seats: Seats) {
        self.start_under_its_plan(generation, |runtime| runtime.start_planned(generation, seats));
    }

    fn start_planned(&mut self, generation: GenerationId, seats: Seats) {
        match self.try_start(generation, seats) {
            Ok(copy) => {
                self.pids.insert(generation, copy.tree.main().as_raw());
                self.copies.insert(generation, copy);
                // It has been sent before the child executed the target. What is opened next must not take the last descriptor.
                self.capture_ready(generation, false);
                self.tell(&Notice::Starting { generation });
                let known = self.known_of(generation);
                let watch = Watch::begin(&self.plan, generation, known, &mut self.listeners, clock::now());
                if let Some(copy) = self.copies.get_mut(&generation) {
                    copy.watch = Some(watch);
                    copy.inherits = matches!(seats, Seats::Of(_));
                }
            }
            Err(failure) => {
                self.events.push_back(Event::NotStarted(generation, failure));
                self.events.push_back(Event::Gone(generation));
            }
        }
    }

    /// What is known when a generation begins to be watched.
    pub(super) fn known_of(&self, generation: GenerationId) -> Known {
        // A part of the time there is: then the candidate is not to fail.
        let most = self.plan_of(generation).lifecycle.ready_timeout.map_or(Duration::MAX, |timeout| timeout / 4 * 3);
        let late = self.copies.values().map(|copy| copy.listened_late * 2).max().unwrap_or_default();
        Known {
            others_late: late.min(most),
            expects: self.expected_of(generation),
            captures: self.captures(generation),
            alone: self.supervisor.active().is_none(),
        }
    }

    fn try_start(&mut self, generation: GenerationId, seats: Seats) -> Result<Copy, Failure> {
        self.make_seats(generation, seats)?;
        let notify = self.notify_place.as_ref().map(|place| place.notify_socket(generation)).transpose();
        let notify = notify.map_err(|errno| Failure::not_made("open a notify socket", errno))?;
        let before = self.supervisor.active();
        let (channels, theirs) = Channels::open(&self.plan, generation, before, self.notify_place.as_ref(), &self.held)
            .map_err(|(step, errno)| Failure::not_made(step, errno))?;
        self.fd_store.forget_hung_up();
        self.tell_of_home();
        let there = self.home.enter();
        let image = self.image(generation, self.own_variables(notify.as_ref(), &channels))?;
        if generation == GenerationId(1) {
            self.tell_all(image.left_out);
        }
        let output = self.output_of(generation)?;
        let seats = self.listeners.seats(generation);
        let mut fds: Vec<(BorrowedFd<'_>, RawFd)> = seats.into_iter().zip(image.numbers.iter().copied()).collect();
        fds.extend(self.fd_store.fds().zip(image.stored.iter().copied()));
        fds.extend(theirs.iter().map(|(end, number)| (end.as_fd(), *number)));
        fds.extend(output.iter().flat_map(|end| [(end.as_fd(), 1), (end.as_fd(), 2)]));
        self.tell_of_full_table(generation, &fds);
        let launched = spawn::launch(&Launch {
            program: &image.program,
            argv: &image.argv,
            envp: &image.envp,
            listen_pid: image.listen_pid,
            fds: &fds,
            process: &self.plan.process,
            file_limit: self.file_limit,
            stop_signal: self.plan.retirement.stop_signal,
            inherited: &self.inherited,
            capture: self.plan.capture,
            capture_removals: self.plan.captures_paths(),
        })?;
        drop(there);
        if let Some(report) = launched.calls {
            self.captures.insert(generation, Capture::Awaited(report));
        }
        let check = image.check.map(|(command, environment)| ExecCheck::new(command, environment, launched.pid));
        let tree = Tree::new(launched.pid, generation);
        let look_closer = (!self.plan.listeners.is_empty()).then(|| clock::now() + LOOK_AFTER);
        Ok(Copy { notify, channels, check, look_closer, ..Copy::new(generation, tree, launched.report) })
    }

    /// Says it when the copy will be able to open nothing: what it says itself seldom tells why.
    fn tell_of_full_table(&self, generation: GenerationId, fds: &[(BorrowedFd<'_>, RawFd)]) {
        let mut limits = self.file_limit.iter().chain(&self.plan.process.rlimits);
        let soft = limits.rfind(|limit| limit.resource == RLIMIT_NOFILE).and_then(|limit| limit.soft);
        if let Some(soft) = soft.filter(|_| leaves_none(fds.iter().map(|(_, number)| *number), soft)) {
            let text = format!(
                "generation {generation} can open nothing: it is handed {} descriptors, and its soft limit of open files is \
                 {soft} (ulimit -n, LimitNOFILE=, --rlimit nofile=)",
                fds.len()
            );
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    /// The variables about what only this copy has.
    fn own_variables(&self, notify: Option<&NotifySocket>, channels: &Channels) -> Variables {
        let path = |path: &Path| path.as_os_str().to_owned();
        let notify = notify.map(|notify| ("NOTIFY_SOCKET".into(), path(notify.path())));
        let ack = channels.ack_path().map(|ack| ("EINHORN_SOCK_PATH".into(), path(ack)));
        let micros = self.plan.lifecycle.watchdog.map(|interval| interval.as_micros().to_string());
        let watchdog = micros.map(|micros| ("WATCHDOG_USEC".into(), micros.into()));
        notify.into_iter().chain(ack).chain(watchdog).collect()
    }

    fn make_seats(&mut self, generation: GenerationId, seats: Seats) -> Result<(), Failure> {
        // Before the first start they are as they were made.
        if self.copies.is_empty() && generation != GenerationId(1) {
            self.listeners.reset_shared();
        }
        if let Some(active) = self.supervisor.active() {
            let notices = self.listeners.check_paths(active);
            self.tell_all(notices);
        }
        match seats {
            Seats::Of(ended) => {
                self.forget_own_sockets();
                let held = self.left_its_seats(ended);
                self.listeners.move_seats(ended, generation, held)?;
            }
            Seats::Fresh => self.listeners.make_seats(generation)?,
        }
        if self.supervisor.active().is_none() {
            // Nothing else serves: clients wait at these seats from now on.
            let notices = self.listeners.steer(generation);
            self.tell_all(notices);
        }
        Ok(())
    }
}
